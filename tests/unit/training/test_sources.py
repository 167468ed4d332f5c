"""Stored states: each computed once for all who read it, from the highest that is there, as precise as promised."""

import shutil

import numpy as np
import pytest
import soundfile
import torch

from sordino.backbones import load_backbone
from sordino.backbones._ast import SpectrogramTransformer
from sordino.backbones._clap import ClapAudio
from sordino.compute import Compute
from sordino.config import Training
from sordino.contracts import Backbone
from sordino.datasets import load_dataset
from sordino.model import Model
from sordino.petl import parse_methods
from sordino.store_chunks import contents
from sordino.training.sources import Computed
from sordino.training.splits import cut_splits, look_at, make_source, make_tasks, silent
from sordino.training.waves import Waves
from tests.conftest import TINY

CPU = Compute(torch.device("cpu"), bf16=False)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SORDINO_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def frontends(monkeypatch):
    """How many clips went through a frontend."""
    seen, original = [], Backbone.frontend
    monkeypatch.setattr(Backbone, "frontend", lambda self, x, n=None: seen.extend(x) or original(self, x, n))
    return seen


def opened(triads, method, cache="float32", compute=CPU, crops="grid", backbone=None, **options):
    """A model, its training examples, and where their states come from."""
    tracks = load_dataset(triads).tracks()
    tasks = make_tasks([{"name": "key"}], tracks)
    backbone = backbone or load_backbone(**TINY)
    model = Model(backbone, tasks, parse_methods([{"name": method, **options}]), {"hidden": 0})
    settings = Training(cache=cache, segment_s=1.0, crops=crops)
    known = look_at(tracks, tasks, silent)
    examples = cut_splits(tracks, known, model, settings)["train"]
    return model, examples, make_source(model, examples, compute, backbone.fingerprint(), settings, silent, "train")


def test_the_frontend_runs_once_for_all_methods(triads, frontends):
    """The lowest state first: whatever lies above is computed from it."""
    _, examples, _ = opened(triads, "lora")
    assert len(frontends) == len(examples) > 12
    for method in ("probe", "adapter", "side", "prompt", "mix", "lora"):
        opened(triads, method)
    assert len(frontends) == len(examples)
    stored = [chunk["about"]["state"] for chunk in contents()]
    assert sorted(stored) == [0, 1, 2]  # the frontend's output is state 0 of mini: it is stored once


def test_a_track_whose_states_are_no_numbers_is_named(triads, tmp_path):
    shutil.copytree(triads.parent, tmp_path / "copy")
    huge = (1e30 * np.random.default_rng(0).standard_normal(48_000)).astype(np.float32)
    soundfile.write(tmp_path / "copy" / "clip 3.wav", huge, 24_000, subtype="FLOAT")
    with pytest.raises(ValueError, match=r"clip 3\.wav: a row holds infinity or nan as float32; the sound overflows"):
        opened(tmp_path / "copy" / triads.name, "probe")


def test_only_what_is_read_is_stored(triads):
    opened(triads, "probe")
    assert [chunk["about"]["state"] for chunk in contents()] == [2]
    opened(triads, "lora", layers="2")
    assert sorted(chunk["about"]["state"] for chunk in contents()) == [1, 2]


def test_other_tracks_share_the_rows_they_have(triads, frontends):
    opened(triads, "probe")
    n_first = len(frontends)
    tracks = load_dataset(triads).tracks()
    swapped = {"train": "test", "test": "train", "validation": "validation"}
    model, *_ = opened(triads, "probe")
    moved = [track.with_split(swapped[track.split]) for track in tracks]
    known = look_at(moved, list(model.tasks.values()), silent)
    examples = cut_splits(moved, known, model, Training(segment_s=1.0))["train"]
    make_source(model, examples, CPU, model.backbone.fingerprint(), Training(), silent, "train")
    assert len(frontends) == n_first + len(examples)
    back = cut_splits(tracks, known, model, Training(segment_s=1.0))["train"]
    make_source(model, back, CPU, model.backbone.fingerprint(), Training(), silent, "train")
    assert len(frontends) == n_first + len(examples)


@pytest.mark.parametrize(("cache", "tolerance"), [("float32", 1e-6), ("float16", 5e-4), ("bfloat16", 4e-3)])
@pytest.mark.parametrize("first", ["lora", "probe"])
def test_stored_states_are_those_that_would_be_computed(cache, tolerance, first, triads):
    opened(triads, first, cache)
    model, examples, source = opened(triads, "probe", cache)
    visits = [(row, 0) for row in (3, 0, 7, len(examples) - 1)]
    (stored, stored_mask), (anew, mask) = source(visits), Computed(model, Waves(examples), CPU)(visits)
    assert stored.keys() == anew.keys() and (mask is None) == (stored_mask is None)
    for number, state in anew.items():
        error = (stored[number] - state).norm() / state.norm()
        assert error <= tolerance


def test_without_a_store_a_row_is_computed_once_while_memory_lasts(triads, frontends):
    model, examples, _ = opened(triads, "probe")
    examples.rows.lengths[0] = 9_600  # 0.4 s: ten frames
    visits = [(row, 0) for row in (0, 1, 0, 2)]
    before = len(frontends)
    source, forgetful = Computed(model, Waves(examples), CPU), Computed(model, Waves(examples), CPU, 0)
    first, again, anew = source(visits), source([(row, 1) for row, _ in visits]), forgetful(visits)
    assert len(frontends) == before + 6
    mixed, _ = source([(3, 0), (1, 5)])
    assert len(frontends) == before + 7
    for number, state in anew[0].items():
        assert torch.equal(first[0][number], state) and torch.equal(again[0][number], state)
        torch.testing.assert_close(mixed[number][1], state[1])
    assert anew[1].sum(1).tolist() == again[1].sum(1).tolist() == [10, 25, 10, 25]


def test_random_crops_are_not_remembered(triads, frontends):
    _, _, source = opened(triads, "probe", "off", crops="random")
    before = len(frontends)
    for visit in range(3):
        source([(0, visit)])
    assert len(frontends) == before + 3


def test_masks_of_unequal_lengths_are_kept(triads):
    model, examples, _ = opened(triads, "probe")
    examples.rows.lengths[0] = 9_600  # 0.4 s: ten frames
    short = make_source(model, examples, CPU, "other", Training(), silent, "train")
    constant, mask = short([(0, 0), (1, 0)])
    assert mask is not None and mask.sum(1).tolist() == [10, 25]
    alone, none = short([(0, 0)])
    assert none is None
    np.testing.assert_allclose(alone[2][0], constant[2][0, :10], atol=1e-6)


@pytest.mark.parametrize(("family", "n_tokens"), [(SpectrogramTransformer, 4), (ClapAudio, 2)])
def test_states_of_several_tokens_are_stored_whole(family, n_tokens, triads, frontends):
    """What layer 2 reads of AST and CLAP is more than heads read of state 1; state 2 is computed from it."""
    patches = family.configured({**family.small, "depths": [1, 1]}, normalise=True).freeze()
    model, examples, kept = opened(triads, "lora", layers="2", backbone=patches)
    heard = len(frontends)
    probe, _, probed = opened(triads, "probe", backbone=patches)
    assert len(frontends) == heard == len(examples)
    rows = [(0, 0), (1, 0)]
    (state, mask), (top, _) = kept(rows), probed(rows)
    assert state[1].shape[2] == patches.packed_dim(1) == n_tokens * patches.dim
    anew, _ = Computed(probe, Waves(examples), CPU)(rows)
    torch.testing.assert_close(top[2], anew[2])
    torch.testing.assert_close(model.read([None, None, anew[2]], mask)["key"], model.forward(state, mask)["key"])


def test_another_precision_is_another_store(triads):
    opened(triads, "probe")
    opened(triads, "probe", compute=Compute(torch.device("cpu"), bf16=True))
    assert sorted(chunk["about"]["precision"] for chunk in contents()) == ["bf16", "float32"]


def test_the_size_is_told_before_anything_is_stored(triads, capsys):
    _, examples, _ = opened(triads, "probe")
    n_bytes = len(examples) * 25 * 32 * 4
    assert f"storing {n_bytes / 1e9:.2f} GB ({25 * 32 * 4 * 3600 / 1e9:.2f} GB an hour)" in capsys.readouterr().err
