"""What a run is: nothing that can change its result may change unseen, and nothing else makes it another run."""

import json
import os
import shutil

import numpy as np
import pytest
import soundfile

from sordino.adapter_file import read_card
from sordino.backbones import load_backbone
from sordino.config import load_config
from sordino.training import identity as identity_module
from sordino.training.plan import open_run
from sordino.training.run import train
from tests.conftest import RATE_HZ, TINY


@pytest.fixture
def folder(triads, tmp_path):
    """A copy of the triads that may be changed."""
    (tmp_path / "data").mkdir()
    for path in (triads, *triads.parent.glob("clip*.wav")):
        shutil.copy(path, tmp_path / "data")
    return tmp_path / "data"


def opened(folder, out="runs", **values):
    config = {"backbone": TINY, "method": "probe", "head": {"hidden": 0}, **values}
    return open_run(load_config(None, (), data=str(folder), **config), folder.parent / out)


def keeping_time(path, write):
    """Change a file, keeping its size and the time of its change."""
    status = path.stat()
    write(path)
    assert path.stat().st_size == status.st_size
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_the_same_data_elsewhere_and_touched_are_the_same_run(folder):
    first = opened(folder)
    os.utime(folder / "clip 3.wav")
    shutil.copytree(folder, folder.parent / "moved")
    assert first.folder == opened(folder).folder == opened(folder.parent / "moved").folder
    assert opened(folder, training={"workers": 2, "checkpoint_s": 1.0}).folder == first.folder
    assert first.identity == opened(folder / "labels.csv").identity


def test_every_option_of_a_method_counts_whether_it_is_written_or_not(folder):
    """So that another default in a later version is another run."""
    usual = opened(folder, method="adapter")
    assert usual.identity["settings"]["method"][0]["activation"] == "gelu"
    assert opened(folder, method={"name": "adapter", "activation": "gelu"}).folder == usual.folder
    assert opened(folder, method={"name": "adapter", "activation": "relu"}).folder != usual.folder


def test_labels_edited_to_the_same_size_and_time_are_another_run(folder):
    def swap(path):
        path.write_bytes(path.read_bytes().replace(b"G major", b"C major", 1))

    first = opened(folder)
    keeping_time(folder / "labels.csv", swap)
    second = opened(folder)
    assert second.folder != first.folder and second.identity["labels"] != first.identity["labels"]


def test_sound_replaced_in_the_same_size_and_time_is_another_run(folder):
    def other(path):
        n_samples = soundfile.info(path).frames
        soundfile.write(path, 0.01 * np.random.default_rng(0).standard_normal(n_samples), RATE_HZ)

    first = opened(folder)
    keeping_time(folder / "clip 1.wav", other)
    second = opened(folder)
    assert second.identity["sound"] != first.identity["sound"] and second.folder != first.folder


def test_other_weights_of_the_same_size_are_another_run(folder, tmp_path):
    def plan(seed):
        spec = {**TINY, "weights": f"random:{seed}"}
        backbone = load_backbone(**spec)
        backbone.save(tmp_path / "weights.safetensors")
        return opened(folder, backbone={"name": "mini", "weights": str(tmp_path / "weights.safetensors")})

    first, second = plan(1), plan(2)
    assert first.identity["settings"] == second.identity["settings"]
    assert first.folder != second.folder


@pytest.mark.parametrize("name", ["audio", "augment", "vocoder", "cut"])
def test_another_version_of_the_code_is_another_run(name, folder, monkeypatch):
    first = opened(folder)
    monkeypatch.setitem(identity_module.VERSIONS, name, 1000)
    assert opened(folder).folder != first.folder


def test_another_version_of_a_frontend_is_another_backbone(monkeypatch):
    backbone = load_backbone(**TINY)
    first = backbone.fingerprint()
    monkeypatch.setattr(type(backbone), "version", 1000)
    assert backbone.fingerprint() != first


def test_splits_settings_and_tracks_are_part_of_it(folder):
    first = opened(folder)
    assert opened(folder, training={"lr": 0.5}).folder != first.folder
    assert opened(folder, seed=1).folder != first.folder
    text = (folder / "labels.csv").read_text()
    (folder / "labels.csv").write_text(text.replace("validation", "test", 1))
    assert opened(folder).folder != first.folder
    (folder / "labels.csv").write_text(text + "unlabelled.wav,,,train\n")
    assert opened(folder).folder == first.folder  # a track without a label for the task changes nothing


def test_a_finished_run_is_verified(folder):
    short = {"steps": 2, "batch_size": 4, "precision": "float32"}
    plan = opened(folder, training=short)
    run = train(plan.config, plan.folder.parent)
    assert run.folder == plan.folder
    assert run.result["identity"] == json.loads(json.dumps(plan.identity))
    assert read_card(run.adapter)["config"] == run.result["config"]
    text = (run.folder / "result.json").read_text()
    (run.folder / "result.json").write_text(text.replace(plan.identity["labels"], "0" * 20))
    with pytest.raises(ValueError, match="belongs to another run; delete its folder"):
        opened(folder, training=short).finished()
    (run.folder / "result.json").write_text(text[:100])
    with pytest.raises(ValueError, match=r"cannot be read .*; delete its folder"):
        opened(folder, training=short).finished()
