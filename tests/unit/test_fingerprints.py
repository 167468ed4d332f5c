"""Fingerprints of weights: one value for one content, however it is found out."""

import hashlib

import pytest
import torch

from sordino import fingerprints
from sordino.adapter_file import load_adapter, save_adapter
from sordino.backbones import load_backbone
from sordino.model import Model
from sordino.petl import make_method
from sordino.tasks import make_task
from tests.conftest import TINY


@pytest.fixture
def backbone():
    return load_backbone(**TINY)


@pytest.fixture
def hashed(monkeypatch, tmp_path):
    """How often something was hashed; everything counts as large."""
    calls, real = [], fingerprints._hashed
    monkeypatch.setenv("SORDINO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fingerprints, "LARGE_BYTES", 0)
    monkeypatch.setattr(fingerprints, "ROW_WORDS", 8)
    monkeypatch.setattr(fingerprints, "BLOCK_ROWS", 4)
    monkeypatch.setattr(fingerprints, "_hashed", lambda parts: calls.append(1) or real(parts))
    return calls


def by_copies(backbone):
    digest = hashlib.sha256(f"{backbone.name} {backbone.version} {backbone.states_depend_on}".rstrip().encode())
    for name, value in sorted(backbone.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def test_small_weights_are_hashed(backbone):
    assert backbone.fingerprint() == by_copies(backbone)


def test_large_weights_are_hashed_once(backbone, hashed):
    first = backbone.fingerprint()
    assert first == by_copies(backbone) and len(hashed) == 1
    assert backbone.share().fingerprint() == load_backbone(**TINY).fingerprint() == first and len(hashed) == 1


def change_one(weight):
    weight[0, 0] = torch.nextafter(weight[0, 0], torch.tensor(9.0))


def swap_columns(weight):
    weight[:, :2] = weight[:, [1, 0]]


def swap_neighbouring_rows(weight):
    weight[:2] = weight[[1, 0]]


def swap_distant_rows(weight):
    weight[[0, -1]] = weight[[-1, 0]]


def transpose(weight):
    weight[:] = weight.T.clone()


@pytest.mark.parametrize("change", [change_one, swap_columns, swap_neighbouring_rows, swap_distant_rows, transpose])
def test_weights_that_were_changed_behind_its_back_are_hashed(change, backbone, hashed):
    first = backbone.fingerprint()
    weight = next(value for value in backbone.parameters() if value.dim() == 2 and len(set(value.shape)) == 1)
    change(weight.data)
    assert first != backbone.fingerprint() == by_copies(backbone) and len(hashed) == 2


def test_what_is_attached_changes_nothing_and_what_is_merged_does(backbone, hashed):
    first = backbone.fingerprint()
    attachment = make_method("bitfit").attach(backbone)
    for part in attachment.parts.parameters():
        part.data.add_(1.0)
    assert backbone.fingerprint() == first
    attachment.merge()
    assert first != backbone.fingerprint() == by_copies(backbone) and len(hashed) == 2
    attachment.detach()
    assert backbone.fingerprint() == first and len(hashed) == 2


def test_without_a_cache_everything_is_hashed(backbone, hashed, tmp_path):
    (tmp_path / "cache").write_text("no folder")
    assert backbone.fingerprint() == backbone.fingerprint() == by_copies(backbone) and len(hashed) == 2


def test_an_adapter_believes_the_fingerprint_it_is_given(backbone, tmp_path, monkeypatch):
    model = Model(backbone, [make_task("key")], [make_method("probe")], {})
    found = backbone.fingerprint()
    folder = save_adapter(model, tmp_path / "a.adapter", TINY, found, 1.0)
    monkeypatch.setattr(type(backbone), "fingerprint", lambda self: pytest.fail("asked again"))
    assert load_adapter(folder, backbone, found).backbone.weights == backbone.weights
    with pytest.raises(ValueError, match="load the backbone it names"):
        load_adapter(folder, backbone, "0" * 16)
