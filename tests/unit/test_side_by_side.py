"""Many runs: the same whether one after the other or at once, and nothing frozen computed twice."""

import pytest
import torch

from sordino.backbones.mini import Mini
from sordino.config import load_config
from sordino.study import side_by_side
from sordino.study.side_by_side import open_all, run_all, usual_jobs
from sordino.training.plan import Run
from tests.conftest import TINY

HEAD_FIRST = {"head_first": {"steps": 4, "lr": 1e-2}}


def config(triads, method, **training):
    settings = {"steps": 3, "batch_size": 6, "lr": 1e-2, "validate_every": 1, "precision": "float32", **training}
    return load_config(None, (), data=str(triads), backbone=TINY, method=method, training=settings)


def configs(triads):
    return [config(triads, "probe"), config(triads, "lora", **HEAD_FIRST), config(triads, "side", **HEAD_FIRST)]


def test_at_once_as_one_after_the_other(triads, tmp_path, monkeypatch):
    monkeypatch.setattr(side_by_side, "RUN_BYTES", 1 << 20)  # whatever else the machine does
    torch.set_num_threads(1)
    alone = run_all(configs(triads), tmp_path / "alone")
    told = []
    at_once = run_all(configs(triads), tmp_path / "at_once", lambda *news: told.append(news), jobs=2)
    assert [run.folder.name for run in at_once] == [run.folder.name for run in alone]
    assert [run.result["tasks"] for run in at_once] == [run.result["tasks"] for run in alone]
    states = [
        (run.model().trained_state(), other.model().trained_state()) for run, other in zip(alone, at_once, strict=True)
    ]
    assert all(torch.equal(mine[name], its[name]) for mine, its in states for name in mine)
    assert {what.partition(":")[0] for what, _, _ in told} >= {"1", "2", "runs"}
    assert len(list((tmp_path / "at_once").glob("*/result.json"))) == 4  # the probe of two runs was trained once


def test_a_worker_that_fails_ends_the_study(triads, tmp_path):
    wrong = config(triads, "lora", lr=1e30)
    with pytest.raises(ValueError, match="lower the learning rate"):
        run_all([config(triads, "probe"), wrong], tmp_path, jobs=2)
    assert isinstance(run_all([config(triads, "probe")], tmp_path, jobs=2)[0], Run)


def test_the_frontend_hears_every_row_once(triads, tmp_path, monkeypatch):
    monkeypatch.setenv("SORDINO_CACHE", str(tmp_path / "cache"))
    heard = []
    frontend = Mini.frontend

    def counted(self, waveform, n_samples=None):
        heard.append(len(waveform))
        return frontend(self, waveform, n_samples)

    monkeypatch.setattr(Mini, "frontend", counted)
    runs = run_all(configs(triads), tmp_path)
    assert len(runs) == 3
    assert sum(heard) == 24  # the clips of the table
    open_all(configs(triads), tmp_path)
    assert sum(heard) == 24


def test_one_alone_where_the_machine_says_so(triads, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 6)
    assert usual_jobs([config(triads, "probe")]) == 6
    assert usual_jobs([config(triads, "probe", devices=2)]) == 1
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert usual_jobs([config(triads, "probe")]) == 1


def test_memory_bounds_the_runs_at_once(triads, tmp_path, monkeypatch):
    monkeypatch.setattr(side_by_side, "RUN_BYTES", 1 << 50)
    monkeypatch.setattr(side_by_side, "_in_workers", pytest.fail)
    assert len(run_all([config(triads, "probe"), config(triads, "lora")], tmp_path, jobs=2)) == 2
