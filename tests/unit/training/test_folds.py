"""Cross-validation by group: every track is answered by a model that never saw its group, and by the right fold."""

import csv
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from sordino.cli import group
from sordino.config import Training, load_config
from sordino.contracts import Prediction, Track
from sordino.datasets import Folds, load_dataset
from sordino.datasets._resplit import dealt
from sordino.study.estimate import estimates, runs_of
from sordino.study.plain import beside_plain, plain_scores
from sordino.study.rows import rows_of
from sordino.study.side_by_side import run_all
from sordino.study.tuning import Search, searched
from sordino.tasks import make_task
from sordino.training import train
from sordino.training.folds import Answer, _scored, usual_folds
from sordino.training.plan import finished_runs, open_run, results_below
from sordino.training.run import carry_out
from tests.conftest import TINY

SETTINGS = {"steps": 60, "batch_size": 8, "lr": 3e-2, "validate_every": 20, "precision": "float32", "segment_s": 1.0}


@pytest.fixture
def small(triads, tmp_path):
    """The triads without a split: 24 tracks of six keys."""
    rows = list(csv.DictReader(triads.read_text(encoding="utf-8").splitlines()))
    path = tmp_path / "mine" / "labels.csv"
    path.parent.mkdir()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["path", "key"])
        writer.writeheader()
        for row in rows:
            place = triads.parent / row["path"]
            shutil.copy(place, path.parent)
            writer.writerow({"path": row["path"], "key": row["key"]})
    return path


def config(data, **values):
    return load_config(None, (), data=str(data), task="key", backbone=TINY, method="probe",
                       head={"hidden": 0, "dropout": 0.0}, training=SETTINGS, **values)  # fmt: skip


def test_groups_are_dealt_evenly_and_not_torn():
    tracks = [Track(f"{n}", Path(f"{n}.wav"), {}, group=f"g{n % 7}" if n < 40 else "") for n in range(60)]
    groups = [track.group or track.id for track in tracks]
    parts = dealt(groups, 5)
    assert parts == dealt(groups[::-1], 5)
    sizes = [sum(parts[group] == part for group in groups) for part in range(5)]
    assert sizes == [12] * 5


def test_folds_test_every_track_once_on_what_was_not_learned(small):
    whole = Folds(load_dataset(str(small)), 4)
    tested = []
    for fold in whole.folds:
        assert Counter(track.split for track in fold.tracks()) == {"train": 18, "test": 6}
        tested += [track.id for track in fold.tracks() if track.split == "test"]
    assert sorted(tested) == sorted(track.id for track in whole.tracks())
    with pytest.raises(ValueError, match=r"24 groups .* do not make 25 folds"):
        Folds(load_dataset(str(small)), 25)


def test_tracks_without_the_label_are_not_dealt(small):
    text = small.read_text(encoding="utf-8").splitlines()
    small.write_text("\n".join([*text[:11], *(f"{line.split(',')[0]}," for line in text[11:])]), encoding="utf-8")
    tracks = load_dataset(str(small)).tracks()
    assert len(tracks) == 24
    whole = Folds(load_dataset(str(small)), 5, ["key"])
    tests = [[track for track in fold.tracks() if track.split == "test"] for fold in whole.folds]
    assert [len(own) for own in tests] == [2] * 5 and all(track.labels["key"] for own in tests for track in own)


def test_few_labelled_tracks_are_folded_by_as_many_groups_as_there_are():
    def folds(n, n_groups, n_others=0):
        tracks = [Track(f"{n}", Path("a.wav"), {"key": "C"}, group=f"{n % n_groups}") for n in range(n)]
        others = [Track(f"other {n}", Path("a.wav"), {"mood": "dark"}) for n in range(n_others)]
        return usual_folds([*tracks, *others], [make_task("key")])

    assert [folds(199, 199), folds(200, 200), folds(40, 40, 1000)] == [5, 1, 5]
    assert [folds(40, n_groups) for n_groups in (4, 2, 1)] == [4, 2, 1]


def test_all_answers_are_out_of_fold_and_the_adapter_learns_from_all(small, tmp_path):
    lines = []
    plan = open_run(config(small, folds=4), tmp_path / "runs")
    assert [each.folder for each in runs_of(plan)][-1] == plan.folder and len(runs_of(plan)) == 5
    run = carry_out(plan, tell=lines.append)
    row = run.result["tasks"]["key"]
    assert row["n_tracks"] == 24 and row["metrics"]["accuracy"] > 0.9
    assert run.result["protocol"]["tracks"] == {"train": 24, "validation": 0, "test": 0}
    assert "4 folds by group" in row["notes"][-1] and len(lines) == 4
    assert lines[0].startswith("fold 1 of 4: key: weighted_score") and "of 6 tracks so far" in lines[0]
    folds = {}
    for path in (tmp_path / "runs" / "folds").glob("*/result.json"):
        found = json.loads(path.read_text())
        folds |= {track["id"]: track["estimated"] for track in found["tasks"]["key"]["per_track"]}
    assert len(folds) == 24 and {t["id"]: t["estimated"] for t in row["per_track"]} == folds
    names = {path.parent.name for path in results_below(tmp_path / "runs" / "folds")}
    assert {fold["run"] for fold in run.result["folds"]} == names and len(names) == 4
    assert [each.folder for each in finished_runs([tmp_path / "runs"])] == [run.folder]  # folds are parts of it
    assert [fold["tracks"] for fold in run.result["folds"]] == [{"train": 18, "validation": 0, "test": 6}] * 4
    assert {run.result["steps"], *(fold["steps"] for fold in run.result["folds"])} == {60}  # nobody ended it early
    again = open_run(config(small, folds=4), tmp_path / "runs")
    assert again.folder == run.folder and carry_out(again, tell=lines.append).result == run.result
    assert (len(runs_of(again)), len(lines)) == (1, 4)  # what is finished is read
    assert run.result["config"]["folds"] == 4
    plain = plain_scores(plan.tasks[0], plan.dataset)
    assert {title: scored["n_tracks"] for title, scored in plain.items()} == {"chroma template": 24, "majority": 24}


def test_segments_are_no_longer_than_the_clips_where_nobody_says(small, tmp_path):
    training = {**SETTINGS, "segment_s": None, "steps": 1}
    run = train(replace(config(small, folds=2), training=Training(**training)), tmp_path)
    assert run.result["protocol"]["segment_s"] == pytest.approx(2.3, abs=0.05)  # the task: 30


def test_what_wants_another_split_is_refused(small, tmp_path):
    with pytest.raises(ValueError, match="want a test split, folds have none"):
        config(small, folds=4, under=["noise"])
    with pytest.raises(ValueError, match="a validation split, folds have none"):
        searched([config(small, folds=4)], Search({"training.lr": [1e-3, 1e-2]}), lambda configs: [])


def test_a_study_has_folds_as_any_setting(small, tmp_path):
    """Its rows, their cost and what stands beside them are of all tracks; what was trained alone is found again."""
    settings = {**SETTINGS, "steps": 4, "validate_every": 4}
    configs = [replace(config(small, folds=2, seed=seed), training=Training(**settings)) for seed in (0, 1)]
    told = []
    runs = run_all(configs, tmp_path, before=lambda plans: told.extend(estimates([p.config for p in plans], plans)))
    assert [one.n_runs for one in told] == [6] and told[0].sound.tracks["train"] == 12
    assert [run.result["tasks"]["key"]["n_tracks"] for run in runs] == [24, 24]
    rows = beside_plain(rows_of(runs), configs)
    assert [(row.name, row.n_tracks) for row in rows[:2]] == [("chroma template", 24), ("majority", 24)]
    assert train(configs[1], tmp_path).folder == runs[1].folder and len(finished_runs([tmp_path])) == 2


def call(*words):
    return CliRunner().invoke(group, list(map(str, words)))


def test_few_own_tracks_without_a_split_are_folded_unless_told_otherwise(small, tmp_path):
    words = ["train", small, "-t", "key", "-m", "probe", "--out", tmp_path / "runs", "training.steps=2",
             "training.segment_s=1", f"backbone={json.dumps(TINY).replace(':', ' =')}"]  # fmt: skip
    told = call(*words)
    assert told.exit_code == 0, told.output
    order = [
        told.stderr.index(words) for words in ("folds = 5", "for 6 runs (the first one's score after", "fold 1 of 5")
    ]
    assert order == sorted(order)
    assert "fold 5 of 5" in told.stderr and "24 test tracks" in told.stdout and "5 folds by group" in told.stdout
    (row,) = call("runs", tmp_path / "runs", "--json").stdout.splitlines()  # the folds are parts of it
    assert json.loads(row)["n_tracks"] == 24
    told = call(*words, "folds=1")
    assert told.exit_code == 0 and "fold 1" not in told.stderr and "about " in told.stderr, told.output
    assert "24 test tracks" not in told.stdout


def test_of_own_data_a_probe_is_trained_first_and_the_method_goes_on_from_its_head(small, tmp_path):
    words = ["train", small, "-t", "key", "-m", "bitfit", "--out", tmp_path, "--folds", 1, "training.segment_s=1",
             "training.lr=0", f"backbone={json.dumps(TINY).replace(':', ' =')}"]  # fmt: skip
    told = call(*words)
    assert told.exit_code == 0 and '"head_first": {"steps": null' in told.stderr, told.output
    probe, run = (json.loads(next(tmp_path.glob(f"key-*-{name}-*/result.json")).read_text())
                  for name in ("probe", "bitfit"))  # fmt: skip
    assert probe["config"]["training"]["lr"] is None  # its own, not the method's
    assert run["tasks"]["key"]["metrics"] == probe["tasks"]["key"]["metrics"]  # which learns nothing here
    assert "head_first" in call("train", "--help").output


def test_one_recording_in_two_groups_is_refused(small):
    second = small.parent / "copy.wav"
    second.write_bytes((small.parent / "clip 0.wav").read_bytes())
    with small.open("a", encoding="utf-8") as file:
        file.write("copy.wav,C major\n")
    told = call("train", small, "-t", "key", "-m", "probe")
    assert "one recording (same bytes) in two groups; give both one group" in str(told.exception)


def test_tags_keep_their_thresholds_from_all_folds(small, tmp_path):
    text = small.read_text().replace("key", "tags").replace(" major", ";bright").replace(" minor", ";dark")
    small.write_text(text)
    values = {"task": {"name": "tagging"}, "backbone": TINY, "method": "probe", "training": SETTINGS}
    run = train(load_config(None, (), data=str(small), folds=3, **values), tmp_path)
    (task,) = run.model().tasks.values()
    assert run.result["tasks"]["tagging"]["n_tracks"] == 24
    assert set(task.config()["tags"]) >= {"bright", "dark"} and make_task("tagging").config() != task.config()


def test_a_fold_is_decided_by_what_the_others_chose():
    task = make_task("tagging", tags=["dark"])
    sure = {0: [(0.9, 1), (0.8, 0)], 1: [(0.4, 1), (0.3, 0)]}  # thresholds of 0.9 and 0.4 part them
    folds = [
        [Answer(f"{fold} {p}", ["dark"] * dark, np.array([p]), Prediction([])) for p, dark in own]
        for fold, own in sure.items()
    ]
    answered = {row["id"]: row["estimated"] for row in _scored(task, folds, 25.0)["per_track"]}
    assert answered == {"0 0.9": ["dark"], "0 0.8": ["dark"], "1 0.4": [], "1 0.3": []}
    assert task.config()["thresholds"] == [pytest.approx(0.35)]  # of all: three are dark by it, two of them rightly
