"""Studies on a cluster: the same runs as here, also when a worker is killed."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from sordino.config import load_config
from sordino.study.side_by_side import run_all
from tests.conftest import TINY

SETTINGS = {
    "steps": 60,
    "batch_size": 6,
    "lr": 1e-2,
    "validate_every": 20,
    "checkpoint_s": 0.0,
    "precision": "float32",
}


@pytest.fixture
def ray():
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    yield ray
    ray.shutdown()


def workers():
    """Processes of Ray that train a run."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes()
        except OSError:
            continue
        if words.startswith(b"ray::_train"):
            found.append(int(entry.parent.name))
    return found


def test_a_killed_worker_costs_no_run(ray, triads, tmp_path):
    given = {"data": str(triads), "backbone": TINY, "training": SETTINGS}
    first = [{"method": "lora", "training": {**SETTINGS, "steps": 20}}]
    configs = [load_config(None, (), **given, method=method) for method in ("probe", "lora")]
    configs.append(load_config(None, (), **given, method="probe", after=first, after_as="frozen"))
    here = run_all(configs, tmp_path / "here")
    killed = []

    def kill():
        while not killed:
            for number in workers():
                if list((tmp_path / "there").glob("*/checkpoint/*.pt")):
                    os.kill(number, signal.SIGKILL)
                    killed.append(number)
                    return
            time.sleep(0.01)

    hunter = threading.Thread(target=kill, daemon=True)
    hunter.start()
    there = run_all(configs, tmp_path / "there", ray="local")
    hunter.join(1)
    assert killed
    assert [run.folder.name for run in there] == [run.folder.name for run in here]
    assert [run.result["tasks"] for run in there] == [run.result["tasks"] for run in here]


def test_an_error_of_a_run_is_told_as_it_is(ray, triads, tmp_path):
    given = {"data": str(triads), "backbone": TINY, "method": "adapter", "training": {**SETTINGS, "steps": 2}}
    config = load_config(None, (), **given, after=[{"method": "lora"}])
    with pytest.raises(ValueError, match="adapter cannot start from the parts of lora"):
        run_all([config], tmp_path, ray="local")
