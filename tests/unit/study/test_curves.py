"""`sordino show` of what lies on disk: adapters and runs, and their curves."""

import json
import math

import pytest
from click.testing import CliRunner

from sordino.cli import group
from sordino.config import load_config
from sordino.study.curves import draw, read_log
from sordino.training import train
from tests.conftest import TINY
from tests.tiny_adapters import adapter

QUICK = {"steps": 4, "validate_every": 2, "batch_size": 4, "precision": "float32"}


def show(*words):
    return CliRunner().invoke(group, ["show", *map(str, words)], catch_exceptions=False)


@pytest.fixture(scope="module")
def run(triads, tmp_path_factory):
    config = load_config(None, (), data=str(triads), task="key", method="probe", backbone=TINY, training=QUICK)
    return train(config, tmp_path_factory.mktemp("runs"))


def test_a_run_is_shown_and_its_curves_drawn(run, tmp_path, monkeypatch):
    told = show(run.folder).stdout
    score = run.result["tasks"]["key"]["metrics"]["weighted_score"]
    assert f"weighted_score {score:.3f}" in told and "Finished after 4 steps" in told and "step      2" in told
    from matplotlib.axes import Axes

    drawn, plot = [], Axes.plot
    monkeypatch.setattr(Axes, "plot", lambda self, x, y, **k: (drawn.append((x, y)), plot(self, x, y, **k))[1])
    assert show(run.folder, "--plot", tmp_path / "curves.png").stdout.strip() == str(tmp_path / "curves.png")
    rows = read_log(run.folder)
    assert [row["step"] for row in rows] == [2, 4]
    assert drawn == [([2, 4], [row["loss"] for row in rows]), ([2, 4], [row["validation"]["key"] for row in rows])]


def test_a_run_that_goes_on_is_shown_too(run, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("config.json", "log.jsonl"):
        (folder / name).write_text((run.folder / name).read_text())
    with (folder / "log.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')  # being written
    assert "Not finished" in show(folder).stdout and len(read_log(folder)) == 2
    (folder / "log.jsonl").write_text('{"step": 2, "loss": 1.0, "validation": {}}\n')  # of folds
    assert draw(folder, tmp_path / "a.png").is_file() and "validations" not in show(folder).stdout
    (folder / "log.jsonl").write_text("")
    with pytest.raises(ValueError, match="no validation yet"):
        draw(folder, tmp_path / "a.png")
    told = CliRunner().invoke(group, ["show", "mini", "--plot", "a.png"])
    assert told.exit_code == 2 and "has no log.jsonl" in told.stderr


@pytest.mark.parametrize(("found", "best"), [([0.5, math.nan, 0.4], 2), ([math.nan] * 3, 6)])
def test_an_undefined_score_is_never_better_and_is_shown(found, best, triads, tmp_path, monkeypatch):
    told = iter(found)
    monkeypatch.setattr("sordino.training.loop.scores", lambda *args: {"key": next(told)})
    config = load_config(None, (), data=str(triads), task="key", method="probe", backbone=TINY,
                         training={**QUICK, "steps": 6})  # fmt: skip
    run = train(config, tmp_path)
    assert run.result["best_step"] == best
    assert "NaN" not in (run.folder / "log.jsonl").read_text()
    assert [row["validation"]["key"] for row in read_log(run.folder)] == [None if s != s else s for s in found]
    run.result["tasks"]["key"]["metrics"]["weighted_score"] = run.result["tasks"]["key"]["interval"][0] = None
    (run.folder / "result.json").write_text(json.dumps(run.result))
    told = show(run.folder).stdout
    assert "key undefined" in told and "weighted_score undefined (95 % undefined to" in told
    assert draw(run.folder, tmp_path / "curves.png").is_file()


def test_an_adapter_is_shown_with_what_its_licence_forbids(tmp_path, monkeypatch):
    made = adapter(tmp_path / "a.adapter", "key")
    told = show(made).stdout
    assert "methods" in told and "lora" in told and "forbids" not in told
    card = json.loads((made / "adapter.json").read_text())
    (made / "adapter.json").write_text(json.dumps({**card, "licence_of_weights": "CC-BY-NC-4.0"}))
    assert "forbids commercial use" in show(made).stdout
    assert json.loads(show(made, "--json").stdout)["kind"] == "adapter"
    monkeypatch.setattr("sordino.adapters.FOLDER", tmp_path)
    assert json.loads(show("a", "--json").stdout)["folder"] == str(made)  # one that ships, by its name
    with pytest.raises(FileNotFoundError, match="is not an adapter"):
        show(tmp_path)
