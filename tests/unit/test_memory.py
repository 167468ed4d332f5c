"""Freed memory stays with the process; a full memory gets fewer rows at a time, and the answers stay."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch

from sordino import audio
from sordino.analysis.states import hear
from sordino.backbones import load_backbone
from sordino.compute import Compute
from sordino.config import load_config
from sordino.contracts import Backbone
from sordino.datasets import load_dataset
from sordino.inference.passes import Line
from sordino.inference.predictor import Predictor
from sordino.memory import in_room
from sordino.segments import stream
from sordino.serve.heard import Ear
from sordino.training.run import train
from tests.conftest import RATE_HZ, TINY
from tests.tiny_adapters import adapter

PROGRAM = """
import ctypes, resource, sys
from sordino.memory import keep_freed_memory
assert sys.argv[1] != "keep" or keep_freed_memory()
c = ctypes.CDLL(None)
c.malloc.restype, c.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
c.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
def step():
    blocks = [c.malloc(12 << 20) for _ in range(8)]
    for block in blocks:
        c.memset(block, 1, 12 << 20)
    for block in reversed(blocks):
        c.free(block)
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how):
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_the_next_step_finds_its_pages():
    assert faults("keep") < 100 < faults("leave")


@pytest.fixture
def small(monkeypatch):
    """A device whose memory holds a layer's work for so many rows; notes how many came at a time."""
    encode, seen = Backbone.encode, []

    def within(most):
        def tried(self, frames, *args, **kwargs):
            seen.append(len(frames.x))
            if len(frames.x) > most:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return encode(self, frames, *args, **kwargs)

        monkeypatch.setattr(Backbone, "encode", tried)
        return seen

    return within


def test_rows_are_halved_until_they_have_room_and_come_in_their_order():
    asked = []

    def squares(rows):
        asked.append(list(rows))
        if len(rows) > 2:
            raise torch.OutOfMemoryError("full")
        return [row**2 for row in rows]

    found = list(in_room(squares, range(5)))
    assert [list(rows) for rows, _ in found] == [[0, 1], [2], [3, 4]]
    assert [value for _, values in found for value in values] == [0, 1, 4, 9, 16]
    assert asked == [[0, 1, 2, 3, 4], [0, 1], [2, 3, 4], [2], [3, 4]]


def test_another_error_is_not_taken_for_a_full_memory():
    def wrong(rows):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        next(in_room(wrong, [1, 2]))


def test_a_row_without_room_is_told(small, tmp_path, songs):
    small(0)
    with pytest.raises(torch.OutOfMemoryError):
        Predictor([adapter(tmp_path / "a", "key")]).file(songs[0])


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    folder, generator = tmp_path_factory.mktemp("songs"), np.random.default_rng(0)
    for number in range(3):
        soundfile.write(folder / f"{number}.wav", 0.1 * generator.standard_normal(4 * RATE_HZ), RATE_HZ)
    return sorted(folder.iterdir())


def test_predictions_stay_where_a_batch_has_no_room(small, tmp_path, songs):
    tasks = ("key", "tempo", "beat", "chord")
    predictor = Predictor([adapter(tmp_path / task, task, seed=number) for number, task in enumerate(tasks)])

    def probabilities():
        found = []
        for each in predictor.passes:
            line = Line(each, predictor.compute, 8)
            cuts = [(number, *cut) for number, song in enumerate(songs)
                    for cut in stream([audio.read(song, RATE_HZ)], each.grid)]  # fmt: skip
            answers = [a for number, piece, wave in cuts for a in line.add((number, piece), wave)]
            found += [*answers, *line.flush()]
        return found

    expected = probabilities()
    seen = small(2)
    for (number, own), (same, reference) in zip(probabilities(), expected, strict=True):
        assert number == same and own.keys() == reference.keys()
        for name, value in own.items():
            np.testing.assert_allclose(value, reference[name], atol=1e-5)
    assert max(seen) > 2 and 2 in seen


@pytest.mark.parametrize("cache", ["off", "float32"])
def test_a_score_stays_where_a_batch_has_no_room(cache, small, triads, tmp_path, monkeypatch):
    monkeypatch.setenv("SORDINO_CACHE", str(tmp_path / "cache"))
    settings = {"steps": 1, "batch_size": 2, "precision": "float32", "segment_s": 1.0, "cache": cache}
    chosen = load_config(None, (), data=str(triads), task="key", backbone=TINY, method="lora", training=settings)
    whole = train(chosen, tmp_path / "whole")
    monkeypatch.setenv("SORDINO_CACHE", str(tmp_path / "another"))
    seen = small(3)
    parted = train(chosen, tmp_path / "parted")
    assert max(seen) > 3 and parted.result["tasks"] == whole.result["tasks"]


def test_what_a_model_hears_stays_where_a_batch_has_no_room(small, triads):
    ear, wave = Ear(TINY, 1.0, Compute.choose("cpu", "float32")), np.random.default_rng(1).standard_normal(150_000)
    vectors, backbone = ear(wave.astype(np.float32)), load_backbone(**TINY)
    tracks = load_dataset(str(triads)).tracks()[:3]
    heard = hear(backbone, tracks, 1.0, Compute.choose("cpu", "float32"))
    seen = small(1)
    np.testing.assert_allclose(ear(wave.astype(np.float32)), vectors, atol=1e-5)
    np.testing.assert_allclose(hear(backbone, tracks, 1.0, ear.compute).states, heard.states, atol=1e-5)
    assert max(seen) > 1
