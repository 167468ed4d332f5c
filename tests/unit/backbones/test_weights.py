"""Finding, checking, converting and loading of published files."""

import hashlib
import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from published import PublishedMusicFM, shake, write_musicfm
from safetensors.torch import load_file

from sordino.backbones import _published, load_backbone, mert, musicfm
from sordino.backbones._musicfm_network import TINY


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(1)
    place = tmp_path / "published"
    place.mkdir()
    write_musicfm(shake(PublishedMusicFM(TINY)), place)
    return place


@pytest.fixture
def pinned(folder, monkeypatch):
    """The files in `folder` as if they were the pinned ones."""
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())[::-1]}
    published = replace(musicfm.VARIANTS["msd"], files=hashes)
    monkeypatch.setitem(musicfm.VARIANTS, "msd", published)
    return published


def load(weights=None):
    return load_backbone("musicfm", weights=weights, size=TINY)


@pytest.mark.parametrize("name", ["musicfm", "mert", "muq"])
def test_without_network_and_cache_the_error_says_what_to_fetch_and_where_to_put_it(name, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        load_backbone(name)
    message = str(caught.value)
    assert "https://huggingface.co/" in message and str(tmp_path / "cache" / "weights") in message
    assert any(file in message for file in ("pretrained_msd.pt", "pytorch_model.bin", "model.safetensors"))


def test_files_put_into_the_named_folder_are_found(folder, pinned):
    assert "Fetch pretrained_msd.pt and msd_stats.json" in musicfm.MusicFM.where()
    pinned.folder.parent.mkdir(parents=True)
    folder.rename(pinned.folder)
    assert load().weights == "minzwon/MusicFM@4513b38b"
    assert str(pinned.folder / "pretrained_msd.pt") in musicfm.MusicFM.where()


def test_files_in_the_hugging_face_cache_are_found(folder, pinned, tmp_path):
    snapshots = tmp_path / "hub" / "models--minzwon--MusicFM" / "snapshots"
    snapshots.mkdir(parents=True)
    folder.rename(snapshots / pinned.revision)
    assert load().fingerprint() == load(snapshots / pinned.revision).fingerprint()


def test_a_file_with_another_hash_is_not_taken(folder, pinned):
    pinned.folder.parent.mkdir(parents=True)
    folder.rename(pinned.folder)
    load()
    (pinned.folder / "msd_stats.json").write_text(json.dumps({"melspec_2048_mean": 0, "melspec_2048_std": 1}))
    with pytest.raises(FileNotFoundError, match=r"msd_stats\.json"):
        load()


def test_a_download_with_another_hash_is_an_error(folder, pinned, monkeypatch):
    (folder / "msd_stats.json").write_text("{}")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda repository, file, revision: folder / file)
    with pytest.raises(ValueError, match=r"msd_stats\.json is not the published"):
        load()


def test_a_download_tells_the_licence(folder, pinned, monkeypatch, capsys):
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda repository, file, revision: folder / file)
    load()
    assert capsys.readouterr().err.splitlines() == ["MusicFM (msd): weights of minzwon/MusicFM@4513b38b, licence MIT"]


def test_the_hubs_own_hash_is_checked_where_none_is_pinned(tmp_path):
    content = b"weights"
    good, bad = tmp_path / hashlib.sha256(content).hexdigest(), tmp_path / ("0" * 64)
    for blob in (good, bad):
        blob.write_bytes(content)
    link = tmp_path / "pytorch_model.bin"
    for blob, expected in {good: True, bad: False}.items():
        link.unlink(missing_ok=True)
        link.symlink_to(blob)
        assert _published._is_pinned(link, None) is expected


def test_the_copy_beside_the_file_is_used_from_then_on(folder):
    first = load(folder).fingerprint()
    copy = folder / "pretrained_msd.sordino.safetensors"
    assert "model.cls_token" in load_file(copy)
    status = (folder / "pretrained_msd.pt").stat()
    (folder / "pretrained_msd.pt").write_bytes(b"x" * status.st_size)  # never opened again
    os.utime(folder / "pretrained_msd.pt", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert load(folder).fingerprint() == first


def test_a_changed_file_is_converted_again(folder):
    first = load(folder).fingerprint()
    torch.manual_seed(2)
    path = write_musicfm(shake(PublishedMusicFM(TINY)), folder)
    os.utime(path, ns=(1, 1))
    assert load(folder).fingerprint() != first


def test_where_the_folder_cannot_be_written_the_copy_lies_in_the_cache(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    first = load(folder).fingerprint()
    assert len(list((tmp_path / "cache" / "weights" / "converted").iterdir())) == 1
    assert not list(folder.glob("*.safetensors"))
    assert load(folder).fingerprint() == first


def test_pickled_code_is_never_run(folder):
    torch.save({"state_dict": {"x": Path("x")}}, folder / "pretrained_msd.pt")
    with pytest.raises(pickle.UnpicklingError):
        load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("model.conv.linear.weight"), r"missing conv\.linear\.weight"),
        (lambda t: t.update({"model.surprise": torch.zeros(1)}), "unknown surprise"),
        (
            lambda t: t.update({"model.conv.linear.bias": torch.zeros(3)}),
            r"conv\.linear\.bias is \(3,\) and not \(16,\)",
        ),
        (lambda t: t.update({"model.conformer.layers.2.x": torch.zeros(1)}), r"unknown layers\.2\.x"),
    ],
)
def test_loading_is_strict(folder, change, message):
    path = folder / "pretrained_msd.pt"
    content = torch.load(path, weights_only=True)
    change(content["state_dict"])
    torch.save(content, path)
    with pytest.raises(ValueError, match=message):
        load(folder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "random:x"}, "write random or random:SEED"),
        ({"variant": "large"}, 'mert.variant = "large"; it wants 95m or 330m'),
        ({"depht": 3}, 'unknown setting "mert.depht"; did you mean "mert.depth"'),
        ({"weights": "random", "depth": 13}, "mert has 12 layers, so depth = 13 cannot be built"),
        ({"weights": "random", "depth": 0}, "mert.depth = 0; it wants a whole number"),
    ],
)
def test_mistyped_options_are_errors(options, message):
    with pytest.raises(ValueError, match=message):
        load_backbone("mert", **options)


def test_random_weights_follow_their_seed_and_leave_the_global_generator_alone():
    state = torch.get_rng_state()
    prints = [
        load_backbone("mert", weights=w, size=mert.TINY).fingerprint() for w in ("random", "random:0", "random:1")
    ]
    assert prints[0] == prints[1] != prints[2]
    assert torch.equal(state, torch.get_rng_state())
