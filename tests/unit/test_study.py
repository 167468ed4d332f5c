"""Studies: every point of the grid once, seeds taken together, tables that say what they show."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from sordino.cli.study import command
from sordino.config import Config, build
from sordino.datasets import load_dataset
from sordino.study.demo import configs
from sordino.study.grid import read_study
from sordino.study.names import own_settings, row_names, short
from sordino.study.plain import beside_plain, learned_and_tested, majority, plain_baseline
from sordino.study.report.pictures import cost_picture, picture
from sordino.study.report.table import caption, cells, header, markdown, notes
from sordino.study.rows import Row, plain_row, rows_of
from sordino.study.side_by_side import run_all
from sordino.tasks import make_task
from sordino.training.plan import Run
from sordino.training.splits import make_tasks
from tests.conftest import TINY


def config(method="lora", **values):
    """A resolved config without its seed."""
    return {
        key: value for key, value in build(Config, {"method": method, **values}).resolved().items() if key != "seed"
    }


def result(score=0.5, task="key", tested="t", step_s=1.0, machine="zen", best_step=5, **values):
    """What a finished run says of itself."""
    scored = {"metric": "weighted_score", "metrics": {"weighted_score": score}, "interval": [0.4, 0.6], "n_tracks": 100,
              "per_track": [{"id": tested, "reference": "C major", "estimated": "C major"}]}  # fmt: skip
    plain = build(Config, {"task": task, **values}).resolved()
    return Run(Path(), {
        "config": plain, "tasks": {spec["name"]: scored for spec in plain["task"]}, "weights": "w",
        "parameters": {"method": 1000, "share": 0.01}, "step_s": step_s, "peak_memory_bytes": 5e6,
        "best_step": best_step, "protocol": {"tracks": {"train": 5}},
        "versions": {"sordino": "1", "machine": machine},
    })  # fmt: skip


ROWS = [
    Row("chroma template", "key", "weighted_score", [0.6], (0.5, 0.7), 100),
    Row("lora", "key", "weighted_score", [0.7, 0.8], (0.65, 0.85), 100, "w", 1000, 0.01, 0.5, 5e6, config=config()),
    Row("finetune", "key", "weighted_score", [0.7, 0.7], (0.6, 0.8), 100, "w", 90_000, 0.9, 1.0, 2e7,
        config=config("finetune")),
]  # fmt: skip


def study(tmp_path, grid, head=""):
    path = tmp_path / "study.toml"
    path.write_text(f"{head}\n[grid]\n{grid}\n")
    return path


def study_file(tmp_path, triads):
    backbone = ", ".join(f'{k} = "{v}"' if isinstance(v, str) else f"{k} = {v}" for k, v in TINY.items())
    return study(
        tmp_path,
        'method = ["probe", {name = "lora", r = 4}]\nseed = [0, 1]',
        f'data = "{triads}"\nbackbone = {{{backbone}}}\nhead = {{hidden = 0}}\n'
        'training = {steps = 2, batch_size = 4, precision = "float32"}',
    )


def test_a_grid_has_one_config_for_each_point(tmp_path, triads):
    found = read_study(study_file(tmp_path, triads), ["training.steps=1"])
    assert [(c.method, c.seed) for c in found] == [
        ("probe", 0), ("probe", 1), ({"name": "lora", "r": 4}, 0), ({"name": "lora", "r": 4}, 1),
    ]  # fmt: skip
    assert {c.training.steps for c in found} == {1}


@pytest.mark.parametrize(
    "grid",
    [
        '"training.lr" = [1e-3, 1e-4]\n"head.layers" = ["last", "all"]',
        'training.lr = [1e-3, 1e-4]\nhead.layers = ["last", "all"]',
        'training = [{lr = 1e-3}, {lr = 1e-4}]\nhead = [{layers = "last"}, {layers = "all"}]',
    ],
)
def test_settings_of_the_grid_are_merged_into_those_outside(grid, tmp_path):
    found = read_study(study(tmp_path, grid, "head = {hidden = 0}\ntraining = {steps = 7, clip = 2.0}"))
    assert [(c.training.lr, c.head["layers"]) for c in found] == [
        (1e-3, "last"), (1e-3, "all"), (1e-4, "last"), (1e-4, "all"),
    ]  # fmt: skip
    assert all(c.training.steps == 7 and c.training.clip == 2.0 and c.head["hidden"] == 0 for c in found)


def test_tables_inside_tables_are_merged_too(tmp_path):
    head = "[training.head_first]\nsteps = 9\nlr = 1e-2"
    found = read_study(study(tmp_path, "training = [{head_first = {lr = 1e-3}}, {steps = 3}]", head))
    assert [c.training.head_first for c in found] == [{"steps": 9, "lr": 1e-3}, {"steps": 9, "lr": 1e-2}]
    assert [c.training.steps for c in found] == [None, 3]


def test_options_are_set_on_the_spec_outside_and_a_whole_spec_replaces_it(tmp_path):
    head = 'method = {name = "lora", r = 8}\nbackbone = {name = "mini", depth = 2}'
    given = 'method = [{r = 4}, "probe", {name = "lora"}]\n"backbone.depth" = [1]'
    found = read_study(study(tmp_path, given, head))
    assert [c.method for c in found] == [{"name": "lora", "r": 4}, "probe", {"name": "lora"}]
    assert found[0].backbone == {"name": "mini", "depth": 1}
    assert [c.method for c in read_study(study(tmp_path, '"method.r" = [1]', 'method = "dora"'))] == [
        {"name": "dora", "r": 1}
    ]
    assert read_study(study(tmp_path, '"method.r" = [3]'))[0].method == {"name": "lora", "r": 3}


def test_a_method_can_have_settings_of_its_own(tmp_path):
    grid = 'method = ["probe", {method = "lora", training = {lr = 1e-3}, "head.hidden" = 0}]\nseed = [0, 1]'
    found = read_study(study(tmp_path, grid, "training = {lr = 1e-2, steps = 5}"))
    told = [(c.method, c.training.lr, c.training.steps, c.head, c.seed) for c in found]
    assert told == [
        ("probe", 1e-2, 5, {}, 0), ("probe", 1e-2, 5, {}, 1),
        ("lora", 1e-3, 5, {"hidden": 0}, 0), ("lora", 1e-3, 5, {"hidden": 0}, 1),
    ]  # fmt: skip


def test_equal_points_are_one_point(tmp_path):
    grid = 'method = ["lora", {name = "lora"}, {name = "lora", r = 2}, {name = "lora", r = 4}]\nseed = [0, 0]'
    assert [c.method for c in read_study(study(tmp_path, grid))] == ["lora", {"name": "lora", "r": 4}]


@pytest.mark.parametrize(
    ("grid", "told"),
    [
        ('methd = ["lora"]', 'unknown setting "methd"; did you mean "method"'),
        ('"training.lrr" = [1]', 'unknown setting "training.lrr"; did you mean "training.lr"'),
        ("training = [{stepz = 1}]", 'unknown setting "training.stepz"'),
        ('"head.layrs" = ["last"]', 'unknown setting "head.layrs"'),
        ('"training.head_first.stepz" = [1]', 'unknown setting "training.head_first.stepz"'),
        ('"training.loss_weights" = [{tmpo = 2.0}]', 'task of this run "training.loss_weights.tmpo"'),
        ('"training.augment" = [["echo"]]', r'training.augment\[0\] = "echo"; it wants pitch_shift'),
        ('method = ["lora", {name = "lora", rr = 4}]', 'unknown setting "method.rr"'),
        ('method = ["lora", {method = "lora", trainig = {lr = 1}}]', 'unknown setting "trainig"'),
        ('task = ["kee"]', 'unknown task "kee"'),
        ('backbone = [{name = "mini", depht = 2}]', 'unknown setting "backbone.depht"'),
        ("seed = 3", r"seed = 3 in \[grid\] is no list"),
        ("seed = []", r"seed = \[\] in \[grid\] is no list"),
        ('seed = ["a"]', 'seed = "a"; it wants a whole number'),
    ],
)
def test_what_is_wrong_in_any_point_is_an_error_before_anything_runs(grid, told, tmp_path):
    with pytest.raises(ValueError, match=told):
        read_study(study(tmp_path, grid))


def test_an_assignment_that_changes_nothing_is_an_error(tmp_path):
    path = study(tmp_path, "seed = [0, 1]\ntraining = [{lr = 1e-3}]")
    for assignment in ("seed=5", "training.lr=0.5"):
        with pytest.raises(ValueError, match=rf"{assignment} changes nothing: \[grid\].*write grid\."):
            read_study(path, [assignment])
    assert [c.seed for c in read_study(path, ["grid.seed=[7]", "training.steps=4"])] == [7]


@pytest.mark.parametrize(
    "grid",
    [
        '"training.lr" = [1e-3, 1e-4]',
        'head = [{layers = "last"}, {layers = "all"}]',
        'data = ["demo", "gtzan_key"]',
    ],
)
def test_what_is_no_seed_is_not_averaged(grid, tmp_path):
    found = read_study(study(tmp_path, f"{grid}\nseed = [0, 1, 2]"))
    runs = [Run(Path(), {**result(i).result, "config": c.resolved()}) for i, c in enumerate(found)]
    rows = rows_of(runs)
    assert [row.scores for row in rows] == [[0, 1, 2], [3, 4, 5]]
    assert [row.score for row in rows] == [1, 4] and len({row.name for row in rows}) == 2


def test_the_same_seed_twice_counts_once():
    same = [
        result(0.2, seed=0),
        result(0.4, seed=1),
        result(0.2, seed=0),
        result(0.2, seed=0, method={"name": "lora", "r": 2}),
    ]
    assert [row.scores for row in rows_of(same)] == [[0.2, 0.4]]


def test_seeds_share_a_row(tmp_path, triads):
    runs = run_all(read_study(study_file(tmp_path, triads)), tmp_path / "runs", lambda *told: None)
    rows = rows_of(runs)
    assert [(row.name, len(row.scores)) for row in rows] == [("probe", 2), ("lora r=4", 2)]
    from_disk = [Run(run.folder, json.loads((run.folder / "result.json").read_text())) for run in runs]
    assert rows_of(from_disk) == rows


def test_names_of_rows_are_short_and_tell_what_varies():
    assert row_names([config("probe"), config("lora"), config("lora+prefix")]) == ["probe", "lora", "lora + prefix"]
    four = {"name": "lora", "r": 4}
    assert row_names([config(four)]) == ["lora"]
    assert row_names([config("probe"), config(four)]) == ["probe", "lora r=4"]
    assert row_names([config("lora"), config(four)]) == ["lora r=2", "lora r=4"]
    assert row_names([config(four, training={"lr": 1e-3}), config(four, training={"lr": 0.5})]) == [
        "lora training.lr=1e-3", "lora training.lr=0.5",
    ]  # fmt: skip
    assert row_names([config(backbone="musicfm"), config(backbone={"name": "musicfm", "depth": 6})]) == [
        "lora on musicfm", "lora on musicfm depth=6",
    ]  # fmt: skip
    assert row_names([config(backbone={"name": "mini", "weights": "random"}), config()]) == [
        "lora on mini weights=random", "lora on mini",
    ]  # fmt: skip
    paths = ["arms/mel/mini.safetensors", "arms/all/mini.safetensors", "random"]
    assert row_names([config(backbone={"name": "mini", "weights": path}) for path in paths]) == [
        "lora on mini weights=mel", "lora on mini weights=all", "lora on mini weights=random",
    ]  # fmt: skip
    paths = ["a/b/mini.safetensors", "a/mini.safetensors"]
    assert row_names([config(backbone={"name": "mini", "weights": path}) for path in paths]) == [
        "lora on mini weights=b", "lora on mini weights=a/mini.safetensors",
    ]  # fmt: skip
    assert row_names([config(task="key"), config(task="key+tempo")]) == ["lora task=key", "lora task=key + tempo"]
    assert row_names([config(head={"hidden": 0}), config(training={"augment": ["gain", "noise"]})]) == [
        "lora head.hidden=0 training.augment=none", "lora training.augment=gain+noise",
    ]  # fmt: skip
    assert list(map(short, [1e-7, 0.25, 29.99, 1600, True, None, "last"])) == [
        "1e-7", "0.25", "29.99", "1600", "true", "none", "last",
    ]  # fmt: skip


def test_what_does_not_tell_rows_apart_stands_below_the_table():
    own = [
        config("probe", training={"schedule": "constant"}), config("lora"), config("adapter"),
        config("finetune", training={"lr": 1e-5}), config("finetune", training={"lr": 1e-4}),
    ]  # fmt: skip
    assert row_names(own) == ["probe", "lora", "adapter", "finetune training.lr=1e-5", "finetune training.lr=1e-4"]
    assert own_settings(own) == [
        {"training.schedule": "constant"}, {}, {}, {"training.lr": 1e-5}, {"training.lr": 1e-4},
    ]  # fmt: skip
    rows = [replace(ROWS[1], name=name, config=one) for name, one in zip(row_names(own), own, strict=True)]
    assert notes(rows)[1:] == ["probe: training.schedule=constant"]


def test_rows_and_tasks_keep_the_order_of_the_file(tmp_path):
    grid = 'task = ["tempo", "key"]\nmethod = ["ssf", "adapter", "probe"]\nseed = [1, 0]'
    found = [result(task=c.task, method=c.method, seed=c.seed) for c in read_study(study(tmp_path, grid))]
    rows = rows_of(found)
    assert [(row.task, row.name) for row in rows] == [
        ("tempo", "ssf"), ("tempo", "adapter"), ("tempo", "probe"),
        ("key", "ssf"), ("key", "adapter"), ("key", "probe"),
    ]  # fmt: skip


def test_a_study_without_a_grid_is_refused(tmp_path):
    (tmp_path / "s.toml").write_text('task = "key"\n')
    with pytest.raises(ValueError, match=r"has no \[grid\]"):
        read_study(tmp_path / "s.toml")


def test_the_command_writes_table_and_picture(tmp_path, triads):
    from click.testing import CliRunner

    words = [
        str(study_file(tmp_path, triads)),
        "--out",
        str(tmp_path / "runs"),
        "--report",
        str(tmp_path / "r"),
        "--plain",
    ]
    told = CliRunner().invoke(command, words, catch_exceptions=False)
    assert told.exit_code == 0, told.output
    text = (tmp_path / "r" / "table.md").read_text()
    assert [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")] == [
        "method", "chroma template", "majority", "probe", "lora r=4",
    ]  # fmt: skip
    assert "mean ± standard deviation of 2 seeds" in text and "training.steps=2" in text
    assert (tmp_path / "r" / "table.png").read_bytes()[:4] == b"\x89PNG"

    words = [words[0], "grid.seed=[0,1,2]", *words[1:], "--finished"]  # of a study that has grown since
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sordino.study.side_by_side.run_all", None)  # would fail if it were called
        again = CliRunner().invoke(command, words, catch_exceptions=False)
        none = CliRunner().invoke(command, [*words[:3], str(tmp_path / "elsewhere"), "--finished"])
    assert again.exit_code == 0 and "4 of 6 runs are finished" in again.stderr
    assert (tmp_path / "r" / "table.md").read_text() == text
    assert none.exit_code == 1 and "no run of" in none.stderr


def test_the_table_shows_ratios_to_finetuning_and_spread(tmp_path):
    body = cells(ROWS)
    assert body[1][1] == "0.750 ± 0.071"
    assert body[1][6:] == ("0.50 x", "0.25 x")
    assert body[0][3:] == ("–", "–", "–", "–", "–")
    assert "backbone weights: w" in markdown(ROWS) and "100 test tracks" in markdown(ROWS)
    kept = [*ROWS, replace(ROWS[1], name="adapter", kept_start=True)]
    assert cells(kept)[-1][0] == "adapter †" and notes(kept)[0].endswith("validation tracks")
    assert "†" not in markdown(ROWS)
    assert picture(ROWS, tmp_path / "t.png").stat().st_size > 5000
    text = cost_picture(ROWS, tmp_path / "c.svg").read_text()
    assert all(row.name in text for row in ROWS) and "CPU seconds of training" in text


@pytest.mark.parametrize(
    "other",
    [{"backbone": "mert"}, {"machine": "xeon"}, {"training": {"batch_size": 4}}, {"data": "gtzan_key"}],
)
def test_costs_are_compared_with_finetuning_of_the_same_work_only(other):
    full = result(method="finetune", step_s=2.0, **other)
    lora, itself = cells(rows_of([result(step_s=1.0), full]))
    assert lora[6:] == ("–", "–") and itself[6:] == ("1.00 x", "1.00 x")
    near = result(method="finetune", step_s=4.0, training={"lr": 1e-5})
    assert cells(rows_of([result(step_s=1.0), full, near]))[0][6] == "0.25 x"


def test_other_metrics_stand_beside_the_score():
    run = result(0.5)
    scored = run.result["tasks"]["key"]
    scored["metrics"] = {"weighted_score": 0.5, "weighted_score_descending": 0.625}
    scored["beside"] = ["weighted_score_descending"]
    rows = [*rows_of([run]), replace(ROWS[0], metrics={})]
    assert header(rows)[3] == "weighted_score_descending"
    assert [row[3] for row in cells(rows)] == ["0.625", "–"]
    assert "| method | score | 95 % interval | weighted_score_descending |" in markdown(rows)
    assert header(ROWS)[3] == "trained parameters"


def test_the_caption_says_what_differs_between_rows():
    rows = rows_of([result(seed=0), result(seed=1), result(method="probe", tested="other")])
    assert caption(rows) == (
        "key: weighted_score on 100 test tracks, mean ± standard deviation of 1 to 2 seeds; backbone weights: w; "
        "the rows were tested on different tracks"
    )
    assert "90 to 100 test tracks" in caption([*ROWS, replace(ROWS[0], n_tracks=90)])
    assert notes(rows_of([result(head={"hidden": 0}), result(head={"hidden": 0}, method="probe")])) == [
        "All trained rows: data=demo, backbone=mini, head.hidden=0"
    ]
    assert notes(ROWS[:1]) == []
    first = {"head_first": {"steps": 9, "lr": 0.1}}
    rows = rows_of([result(training=first), result(training=first, seed=1), result(method="probe")])
    assert notes(rows)[-1] == "probe: training.head_first=none"


def test_what_is_undefined_is_shown_as_such(tmp_path):
    run = result(None)
    run.result["tasks"]["key"]["interval"] = [None, None]
    run.result["step_s"] = None
    (row,) = rows_of([run])
    assert math.isnan(row.score) and cells([row])[0][1:3] == ("nan", "nan – nan")
    low = replace(row, scores=[-0.5], interval=(-0.6, -0.4))
    assert picture([low], tmp_path / "t.svg").stat().st_size > 1000


def test_plain_baselines_hear_pure_triads(triads):
    dataset = load_dataset(triads)
    (task,) = make_tasks([{"name": "key"}], dataset.tracks())
    scored = plain_baseline(task, dataset)
    assert scored["n_tracks"] == 6 and scored["metrics"]["accuracy"] == 1.0
    assert majority(task, learned_and_tested(task, [dataset]))["metrics"]["accuracy"] == pytest.approx(1 / 6)


def test_plain_baselines_are_scored_on_the_tracks_of_a_run(triads, tmp_path):
    shutil.copytree(triads.parent, tmp_path / "copy")
    (tmp_path / "copy" / "clip 20.wav").write_text("no sound")
    dataset = load_dataset(tmp_path / "copy" / triads.name)
    (task,) = make_tasks([{"name": "key"}], dataset.tracks())
    expected = [f"clip {number}.wav" for number in (18, 19, 21, 22, 23)]
    for scored in (plain_baseline(task, dataset), majority(task, learned_and_tested(task, [dataset]))):
        assert [row["id"] for row in scored["per_track"]] == expected


def test_plain_rows_stand_before_their_task_and_name_their_data(triads, tmp_path):
    copy = tmp_path / "labels.csv"
    copy.write_text(triads.read_text().replace("clip ", f"{triads.parent}/clip "))
    both = [build(Config, {"data": str(path), "task": ["tempo", "key"]}) for path in (triads, copy)]
    rows = rows_of([result(task=["tempo", "key"])])
    told = [(row.task, row.name.partition(" data=")[0]) for row in beside_plain(rows, both[:1])]
    assert told == [
        ("tempo", "onset autocorrelation"), ("tempo", "majority"), ("tempo", "lora"),
        ("key", "chroma template"), ("key", "majority"), ("key", "lora"),
    ]  # fmt: skip
    names = [row.name for row in beside_plain(rows, both)]
    assert f"chroma template data={triads}" in names and f"chroma template data={copy}" in names


def test_the_majority_is_the_most_frequent_label_whatever_the_order(triads):
    dataset = load_dataset(triads)
    first, *_ = tracks = dataset.tracks()[:6]
    labels = ["A minor", "C major", "C major", "A minor", "G major", "C major"]
    given = [replace(t, labels={"key": key}, split="train") for t, key in zip(tracks, labels, strict=True)]
    given += [replace(first, labels={"key": key}, split="test") for key in ("C major", "D major")]
    dataset.tracks = lambda: given
    task = make_task("key")
    scored = majority(task, learned_and_tested(task, [dataset]))
    assert [row["estimated"] for row in scored["per_track"]] == ["C major", "C major"]
    del given[5]  # two of C major, two of A minor: the last by name, as ever
    assert majority(task, learned_and_tested(task, [dataset]))["per_track"][0]["estimated"] == "C major"


def test_the_demo_has_every_row_and_all_tasks():
    named = configs()
    methods, networks = ["probe", "lora, upper two layers", "adapter", "lora", "finetune"], ["beat_tcn"]
    assert list(named) == ["probe on random weights", *methods, *(f"{name} from scratch" for name in networks)]
    assert all(isinstance(c, Config) and c.resolved()["task"] for c in named.values())
    assert [c.task for c in named.values()] == [["key", "beat"]] * 6 + ["beat"]
    assert len({json.dumps(c.deciding()) for c in named.values()}) == 7


def test_rows_can_be_given_names():
    rows = rows_of([result(), result(method="probe", seed=0), result(method="probe", seed=1)], ["ours", "b", "b"])
    assert [(row.name, len(row.scores)) for row in rows] == [("ours", 1), ("b", 2)]
    assert plain_row("p", "key", result(0.3).result["tasks"]["key"]).scores == [0.3]
