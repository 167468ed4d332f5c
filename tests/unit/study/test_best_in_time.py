"""`sordino adapt`: what it chooses from labels, how it compares, and that it keeps to its time and its test split."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from sordino.cli import group
from sordino.contracts import Track
from sordino.datasets import Resplit, load_dataset
from sordino.study.best_in_time import BestInTime, Candidate, choose
from sordino.study.choosing import choose_task, seconds_of
from sordino.tasks import make_task
from sordino.training.plan import Run
from sordino.training.splits import usual_segment_s
from tests.conftest import TINY


def tracks(**labels):
    n = max(map(len, labels.values()))
    rows = [{name: values[row] for name, values in labels.items() if row < len(values)} for row in range(n)]
    return [Track(str(number), Path("x.wav"), row) for number, row in enumerate(rows)]


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({"key": ["C major", "A minor"] * 10, "genre": ["a", "b"] * 10}, "key"),
        ({"key": ["C major"] * 5, "genre": ["a", "b"] * 10}, "classification of the label `genre`"),
        ({"mood": [["sad"], ["glad", "calm"]] * 9}, "tagging of the label `mood`"),
        ({"energy": [str(0.1 * n) for n in range(30)]}, "regression of the label `energy`"),
        ({"stars": [1, 2, 3] * 8}, "classification of the label `stars`"),
        ({"key": ["H", "J"] * 9, "genre": ["a", "b"] * 9}, "classification of the label `genre`"),
    ],
)
def test_the_task_follows_from_the_labels(labels, told):
    choice = choose_task(tracks(**labels))
    assert choice.told == told and told not in choice.others


def test_labels_that_nothing_can_be_learned_from_are_told():
    with pytest.raises(ValueError, match="no label can be learned"):
        choose_task(tracks(title=[f"song {n}" for n in range(20)], one=["a"] * 20))


def test_times_and_lengths():
    assert [seconds_of(text) for text in ("15m", "2h", "90s", "45")] == [900, 7200, 90, 45]
    for text in ("soon", "", "-3m", "0s", "m"):
        with pytest.raises(ValueError, match="is not a time"):
            seconds_of(text)
    key = [make_task("key")]
    assert usual_segment_s(key, [200.0] * 9) == 30.0 and usual_segment_s(key, [3.5] * 9 + [4.0]) == 4.0


def test_splits_anew_leave_the_test_split_out_and_groups_whole(triads):
    whole = load_dataset(triads)
    test = {track.id for track in whole.tracks() if track.split == "test"}
    seen = []
    for seed in range(3):
        found = Resplit(whole, seed).tracks()
        assert not test & {track.id for track in found} and {t.split for t in found} == {"train", "validation", "test"}
        seen.append(frozenset(track.id for track in found if track.split == "test"))
    assert len(set(seen)) > 1


def scored(name, scores, seconds):
    return Candidate(name, {}, (1,), dict(enumerate(scores)), 0.0, seconds)


def test_the_cheapest_that_is_as_good_is_chosen():
    cheap, dear, lucky = scored("a", [0.8, 0.5, 0.71], 1), scored("b", [0.79, 0.6, 0.7], 9), scored("c", [0.99], 1)
    best, why = choose([dear, cheap, lucky])
    assert best is cheap and "as good as b" in why and "cheaper" in why
    best, why = choose([scored("a", [0.5, 0.4, 0.45], 1), dear])
    assert best is dear and why.startswith("b, the best of 2")


def test_halving_keeps_the_better_half_and_to_its_time(monkeypatch, tmp_path):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("sordino.study.best_in_time.time.monotonic", lambda: clock.now)
    tried = []

    def attempt(self, candidate, split, steps):
        tried.append((candidate.name, split, steps))
        clock.now += steps
        candidate.seconds, candidate.step_s = float(steps), 1.0
        candidate.scores[split] = {"a": 0.1, "b": 0.9, "c": 0.5, "d": 0.7}[candidate.name]

    monkeypatch.setattr(BestInTime, "_try", attempt)
    search = BestInTime(
        load_dataset("demo"), {"name": "key"}, 1.0, ["mini"], tmp_path, 1e9, lambda line: None, began=0.0
    )
    four = [Candidate(name, {}, (1, 10)) for name in "abcd"]
    assert [c.name for c in search.halved(four, (1, 3), 1e9)] == ["b", "d"]
    assert tried == [(name, 0, 1) for name in "abcd"] + [(name, split, 10) for split in (1, 2) for name in "bd"]
    tried.clear()
    late = [Candidate(name, {}, (1, 10)) for name in "abcd"]
    assert search.halved(late, (1, 3), clock.now + 2.5)[0].name == "b"
    assert tried == [("a", 0, 1), ("b", 0, 1)]  # the third would be over in time, and its next round would not
    assert search.spent_s <= clock.now


def test_what_a_run_took_is_what_its_result_says_and_an_undefined_score_is_none(monkeypatch, tmp_path):
    """So that the same command, stopped and begun again, chooses the same: what is finished is read in no time."""

    def done(config, advance):
        right, seconds = {1: (0.5, 9.0), 2: (0.5, 3.0), 3: (None, 1.0)}[config.head["hidden"]]
        scores = {"metric": "map", "metrics": {"map": right}}
        return Run(tmp_path, {"tasks": {"tagging": scores}, "seconds": seconds, "step_s": 0.1})

    monkeypatch.setattr("sordino.study.best_in_time.carry_out", done)
    monkeypatch.setattr(BestInTime, "_opened", lambda self, config, dataset, out: config)
    search = BestInTime(load_dataset("demo"), {"name": "tagging"}, 1.0, ["mini"], tmp_path, 1e9, lambda line: None)
    settings = {"backbone": "mini", "method": "probe", "training": {}}
    three = [Candidate(str(n), {**settings, "head": {"hidden": n}}, (1, 2)) for n in (1, 2, 3)]
    going = search.halved(three, (1, 2), 1e9)
    assert [one.name for one in going] == ["1"] and not three[2].scores
    assert choose([*three[:2], three[2]])[0].name == "1"  # it alone has two splits
    assert [one.seconds for one in three] == [9.0, 3.0, 1.0]
    assert choose(three[1:])[0].name == "2"
    monkeypatch.setattr(
        BestInTime, "_heads", lambda self: [Candidate("3", {**settings, "head": {"hidden": 3}}, (1, 2))]
    )
    monkeypatch.setattr(BestInTime, "_foretell", lambda self, first: None)
    with pytest.raises(ValueError, match="tagging: the score is undefined on every split"):
        search.run()


def test_a_folder_becomes_a_tested_adapter(triads, tmp_path, monkeypatch):
    monkeypatch.setattr("sordino.study.choosing.backbones_here", lambda: [TINY])
    monkeypatch.setattr("sordino.study.best_in_time.METHODS", ("bitfit",))
    words = ["adapt", str(triads), "--budget", "10s", "--task", "key", "--out", str(tmp_path), "--json"]
    told = CliRunner().invoke(group, words, catch_exceptions=False)
    assert told.exit_code == 0, told.output
    result = json.loads(told.stdout)
    test = {track.id for track in load_dataset(triads).tracks() if track.split == "test"}
    assert {row["id"] for row in result["tasks"]["key"]["per_track"]} == test
    assert "round 1" in told.stderr and "chosen: " in told.stderr and "segments of 2.3 s" in told.stderr
    rounds = json.loads((tmp_path / result["adapter"]).parent.joinpath("adapt.json").read_text())["rounds"]
    means = [np.mean(list(scores.values())) for scores in rounds[0]["scores"].values()]
    assert means == sorted(means, reverse=True)
    plain = CliRunner().invoke(group, words[:-1], catch_exceptions=False)
    assert "chroma template: 1.000" in plain.stdout and "majority: " in plain.stdout and "adapter: " in plain.stdout


@pytest.fixture
def few(triads, tmp_path):
    """The triads without their splits."""
    rows = [line.rpartition(",")[0] for line in triads.read_text(encoding="utf-8").splitlines()]
    table = tmp_path / "mine" / "labels.csv"
    table.parent.mkdir()
    table.write_text("\n".join([rows[0], *(f"{triads.parent}/{row}" for row in rows[1:])]), encoding="utf-8")
    return table


def test_few_tracks_are_scored_by_folds(few, tmp_path, monkeypatch):
    settings = {"backbone": TINY, "method": "probe", "head": {"hidden": 0}, "training": {"lr": 1e-2}}
    monkeypatch.setattr(BestInTime, "_heads", lambda self: [Candidate("probe", settings, (3, 5))])
    monkeypatch.setattr("sordino.study.best_in_time.METHODS", ())
    words = ["adapt", str(few), "--budget", "1h", "--task", "key", "--out", str(tmp_path / "runs")]
    told = CliRunner().invoke(group, words, catch_exceptions=False)
    assert told.exit_code == 0, told.output
    assert "24 test tracks" in told.stdout and "scored in 5 folds by group" in told.stdout
    assert "fold 5 of 5" in told.stderr and "by splits of the tracks that it is scored on" in told.stdout
    (adapter,) = [line.removeprefix("adapter: ") for line in told.stdout.splitlines() if line.startswith("adapter: ")]
    result = json.loads(Path(adapter).with_name("result.json").read_text(encoding="utf-8"))
    assert {each["id"] for each in result["tasks"]["key"]["per_track"]} == {t.id for t in load_dataset(few).tracks()}
    assert result["steps"] == 5 and [fold["steps"] for fold in result["folds"]] == [5] * 5
    assert "chroma template: 1.000" in told.stdout and "majority: " in told.stdout


def test_folds_that_take_too_long_are_told(few, tmp_path):
    lines = []
    search = BestInTime(load_dataset(few), {"name": "key"}, 1.0, [TINY], tmp_path, 60.0, lines.append, folds=5)
    assert search._in_folds(scored("probe", [0.5], 1e6)) is None
    assert "5 folds take about 69.4 days" in lines[0] and "--budget" in lines[0]
    search.folds = 1
    assert search._in_folds(scored("probe", [0.5], 1)) is None and len(lines) == 1
