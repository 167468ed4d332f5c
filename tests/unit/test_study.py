"""Studies: every point of the grid once, seeds taken together, tables that say what they show."""

import pytest

from sordino.cli.study import command
from sordino.config import Config
from sordino.datasets import load_dataset
from sordino.study.demo import configs
from sordino.study.grid import Row, describe, read_study, rows_of, run_all
from sordino.study.plain import majority, plain_baseline
from sordino.study.table import cells, markdown, picture
from sordino.training.splits import make_tasks
from tests.conftest import TINY

ROWS = [
    Row("chroma template", "key", "weighted_score", [0.6], (0.5, 0.7), 100),
    Row("lora", "key", "weighted_score", [0.7, 0.8], (0.65, 0.85), 100, "w", 1000, 0.01, 0.5, 5e6),
    Row("finetune", "key", "weighted_score", [0.7, 0.7], (0.6, 0.8), 100, "w", 90_000, 0.9, 1.0, 2e7),
]


def study_file(tmp_path, triads):
    path = tmp_path / "study.toml"
    backbone = ", ".join(f'{k} = "{v}"' if isinstance(v, str) else f"{k} = {v}" for k, v in TINY.items())
    path.write_text(
        f'data = "{triads}"\nbackbone = {{{backbone}}}\nhead = {{hidden = 0}}\n'
        'training = {steps = 2, batch_size = 4, precision = "float32"}\n'
        '[grid]\nmethod = ["probe", {name = "lora", r = 4}]\nseed = [0, 1]\n'
    )
    return path


def test_a_grid_has_one_config_for_each_point(tmp_path, triads):
    found = read_study(study_file(tmp_path, triads), ["training.steps=1"])
    assert [(c.method, c.seed) for c in found] == [
        ("probe", 0), ("probe", 1), ({"name": "lora", "r": 4}, 0), ({"name": "lora", "r": 4}, 1),
    ]  # fmt: skip
    assert {c.training.steps for c in found} == {1}


def test_seeds_share_a_row(tmp_path, triads):
    runs = run_all(read_study(study_file(tmp_path, triads)), tmp_path / "runs", lambda *told: None)
    rows = rows_of(runs)
    assert [len(row.scores) for row in rows] == [2, 2]
    assert rows[0].name.startswith("probe") and rows[1].name.startswith("lora (r 4)")


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
    assert "| lora (r 4)" in text and "| majority" in text and "| plain" in text
    assert (tmp_path / "r" / "table.png").read_bytes()[:4] == b"\x89PNG"


def test_the_table_shows_ratios_to_finetuning_and_spread(tmp_path):
    body = cells(ROWS)
    assert body[1][1] == "0.750 ± 0.071"
    assert body[1][6:] == ("0.50 x", "0.25 x")
    assert body[0][3:] == ("–", "–", "–", "–", "–")
    assert "backbone weights: w" in markdown(ROWS) and "100 test tracks" in markdown(ROWS)
    kept = [*ROWS, Row("adapter", "key", "weighted_score", [0.7], (0.6, 0.8), 100, "w", 1, kept_start=True)]
    assert cells(kept)[-1][0] == "adapter †" and markdown(kept).rstrip().endswith("validation tracks")
    assert "†" not in markdown(ROWS)
    assert picture(ROWS, tmp_path / "t.png").stat().st_size > 5000


def test_plain_baselines_hear_pure_triads(triads):
    dataset = load_dataset(triads)
    (task,) = make_tasks([{"name": "key"}], dataset.tracks())
    scored = plain_baseline(task, dataset)
    assert scored["n_tracks"] == 6 and scored["metrics"]["accuracy"] == 1.0
    assert majority(task, dataset)["metrics"]["accuracy"] == pytest.approx(1 / 6)


def test_the_demo_has_every_row_and_both_tasks():
    named = configs()
    assert list(named) == ["probe on random weights", "probe", "lora", "adapter", "finetune"]
    assert all(isinstance(c, Config) and c.task == ["key", "tempo"] for c in named.values())
    assert len({c.run_id() for c in named.values()}) == 5


def test_names_of_rows_are_short():
    config = Config(method={"name": "lora", "r": 4}, backbone={"name": "musicfm", "depth": 6}).resolved()
    assert describe(config) == "lora (r 4) on musicfm, depth 6"
    assert describe(Config().resolved()) == "lora"
