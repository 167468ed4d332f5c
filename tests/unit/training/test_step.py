"""A step: in parts, in one piece and on two processes it is the same."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sordino.config import load_config
from sordino.training.run import train
from tests.conftest import TINY

SETTINGS = {"steps": 6, "batch_size": 7, "lr": 1e-2, "validate_every": 3, "precision": "float32", "segment_s": 1.0}


def config(triads, **training):
    return load_config(None, (), data=str(triads), task="key+tempo", backbone=TINY, method="lora",
                       head={"dropout": 0.0}, training={**SETTINGS, **training})  # fmt: skip


@pytest.fixture
def gaps(triads):
    """The triads, some without a key and some without a tempo."""
    lines = triads.read_text().splitlines()
    rows = [line.split(",") for line in lines[1:]]
    for number, row in enumerate(rows):
        if number % 5 == 1:
            row[1] = ""
        elif number % 5 == 3:
            row[2] = ""
    table = triads.with_name("gaps.csv")
    table.write_text("\n".join([lines[0], *map(",".join, rows)]) + "\n")
    yield table
    table.unlink()


def tensors(run):
    return run.model().trained_state()


@pytest.mark.parametrize("parts", [2, 7])
def test_accumulated_parts_are_one_large_batch(parts, gaps, tmp_path):
    whole = train(config(gaps), tmp_path)
    parted = train(config(gaps, accumulate=parts), tmp_path)
    assert parted.folder != whole.folder
    for name, value in tensors(whole).items():
        # Adam makes steps of up to 1e-2 whatever the gradient, so what rounds to another tiny gradient moves visibly.
        torch.testing.assert_close(tensors(parted)[name], value, atol=2e-3, rtol=1e-3)
    assert parted.result["peak_memory_bytes"] < whole.result["peak_memory_bytes"]


def test_tags_that_are_judged_in_parts_are_learned_from_these(triads, tmp_path):
    rows = [line.split(",") for line in triads.read_text(encoding="utf-8").splitlines()[1:]]
    tags = ["minor" if "minor" in row[1] else "major" for row in rows]
    asked = [f"{tag};?{('major', 'minor')[n % 2]}" if n % 3 else tag for n, tag in enumerate(tags)]
    lines = [f"{triads.parent}/{row[0]},{cell},{row[3]}" for row, cell in zip(rows, asked, strict=True)]
    (tmp_path / "tags.csv").write_text("\n".join(["path,tags,split", *lines]), encoding="utf-8")
    settings = {"task": "tagging", "backbone": TINY, "method": "probe", "head": {"hidden": 0, "dropout": 0.0}}
    whole, parted = (
        train(load_config(None, (), data=str(tmp_path / "tags.csv"), **settings,
                          training={**SETTINGS, "steps": 60, "lr": 3e-2, "accumulate": parts}), tmp_path)
        for parts in (1, 7)
    )  # fmt: skip
    row = whole.result["tasks"]["tagging"]
    assert row["metrics"]["map"] == 1.0
    assert row["notes"][0].endswith("of 12 tags of tracks were not judged and do not count")
    for name, value in tensors(whole).items():
        torch.testing.assert_close(tensors(parted)[name], value, atol=1e-3, rtol=1e-2)


def test_more_parts_than_rows_are_refused(triads, tmp_path):
    with pytest.raises(ValueError, match=r"batch_size = 7 gives 1 processes x 8 parts no row each; make it 8"):
        train(config(triads, accumulate=8), tmp_path)


def test_two_processes_are_as_one(gaps, tmp_path):
    """Two processes on the CPU, with a head trained first: the adapter of one process, written once."""
    probe = {"steps": 3, "validate_every": 3}
    alone = train(config(gaps, head_first=probe), tmp_path / "one")
    words = [f"training.{name}={value}" for name, value in SETTINGS.items()]
    words += [f"backbone.{name}={value}" for name, value in TINY.items()]
    words += ["head.dropout=0.0", "training.head_first={steps = 3, validate_every = 3}", "training.devices=2",
              "training.accelerator=cpu"]  # fmt: skip
    command = [Path(sys.executable).with_name("sordino"), "train", gaps, "-t", "key+tempo", "-m", "lora",
               "--out", tmp_path / "two", "--json", *words]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "SORDINO_CACHE": str(tmp_path / "cache"),
                   "PYTHONPATH": os.pathsep.join(sys.path)}  # fmt: skip
    done = subprocess.run([str(word) for word in command], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "two").glob("key+tempo-mini-lora-*")
    result = json.loads((folder / "result.json").read_text())
    for name, row in alone.result["tasks"].items():
        for metric, value in row["metrics"].items():
            assert result["tasks"][name]["metrics"][metric] == pytest.approx(value, nan_ok=True, abs=1e-6)
        assert [t["id"] for t in result["tasks"][name]["per_track"]] == [t["id"] for t in row["per_track"]]
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [0, 3, 6]
    from sordino.adapter_file import load_adapter

    two = load_adapter(folder / "model.adapter").trained_state()
    for name, value in tensors(alone).items():
        torch.testing.assert_close(two[name], value, atol=5e-4, rtol=1e-3)  # Adam makes large steps of tiny gradients
    assert math.isfinite(result["step_s"])
