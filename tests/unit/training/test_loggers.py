"""Loggers are told every validation, close at the end, and change nothing of the run."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from sordino.config import load_config
from sordino.study.curves import read_log
from sordino.training import train
from sordino.training.loggers import opened
from tests.conftest import TINY

QUICK = {"steps": 4, "validate_every": 2, "batch_size": 4, "precision": "float32"}


def config(triads, *loggers):
    training = {**QUICK, "loggers": list(loggers)}
    return load_config(None, (), data=str(triads), task="key", method="probe", backbone=TINY, training=training)


@pytest.fixture
def trackio(monkeypatch):
    """Trackio's interface (and wandb's), written down."""
    told = {"rows": [], "finished": 0}
    module = ModuleType("trackio")

    def init(project, name, config):
        told.update(project=project, name=name, config=config)
        return SimpleNamespace(
            log=lambda values, step: told["rows"].append((step, values)),
            finish=lambda: told.update(finished=told["finished"] + 1),
        )

    module.init = init
    monkeypatch.setitem(sys.modules, "trackio", module)
    return told


def test_a_run_is_told_validation_by_validation(triads, tmp_path, trackio):
    run = train(config(triads, "trackio"), tmp_path)
    rows = read_log(run.folder)
    assert trackio["rows"] == [
        (row["step"], {"loss": pytest.approx(row["loss"], abs=1e-5), "validation/key": row["validation"]["key"]})
        for row in rows
    ]
    assert trackio["name"] == run.folder.name and trackio["finished"] == 1
    assert trackio["config"]["method"] == [{"name": "probe"}]
    again = train(config(triads), tmp_path)  # the same run: where it is told cannot change it
    assert again.folder == run.folder and len(trackio["rows"]) == len(rows)


def test_tensorboard_reads_what_was_written(tmp_path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with opened(["tensorboard"], tmp_path, {}) as log:
        log(2, {"loss": 1.5, "validation/key": 0.25})
        log(4, {"loss": 1.0, "validation/key": 0.5})
    found = events.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in found.Scalars("validation/key")] == [(2, 0.25), (4, 0.5)]


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_what_is_not_installed_is_told(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard" if name == "tensorboard" else name, None)
    with pytest.raises(ImportError, match=rf"pip install 'sordino\[{name}\]'"), opened([name], tmp_path, {}):
        pass


def test_only_known_loggers_can_be_set(triads):
    with pytest.raises(ValueError, match="tensorboard, trackio or wandb"):
        config(triads, "mlflow")
