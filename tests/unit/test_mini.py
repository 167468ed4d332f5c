"""The built-in backbone: its views of known sounds, its weights file."""

import math

import pytest
import torch

from sordino.backbones import load_backbone
from sordino.backbones._mini_frontend import (
    FRAME_SAMPLES,
    N_FEATURES,
    SAMPLE_RATE_HZ,
    VIEWS,
    MiniFrontend,
    fold_chroma,
    lag_bpms,
)
from sordino.backbones.mini import BUILTIN, Mini


def tone(midi_pitch, duration_s=2.0):
    time_s = torch.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return 0.3 * torch.sin(2 * math.pi * 440 * 2 ** ((midi_pitch - 69) / 12) * time_s)[None]


def clicks(bpm, duration_s=16.0):
    audio = torch.zeros(1, round(duration_s * SAMPLE_RATE_HZ))
    burst = torch.randn(200, generator=torch.Generator().manual_seed(0)) * 0.3
    for start in (torch.arange(0, duration_s - 0.1, 60 / bpm) * SAMPLE_RATE_HZ).long():
        audio[0, start : start + 200] = burst
    return audio


@pytest.mark.parametrize("midi_pitch", [40, 57, 69, 70, 90])
def test_a_pure_tone_lands_on_its_pitch(midi_pitch):
    pitch = MiniFrontend()(tone(midi_pitch))[0, 25, VIEWS["pitch"]]
    assert int(pitch.argmax()) // 3 + 36 == midi_pitch


@pytest.mark.parametrize("midi_pitch", [40, 57, 69, 70, 82])
def test_a_pure_tone_has_its_pitch_class(midi_pitch):
    pitch = MiniFrontend()(tone(midi_pitch))[0, 25, VIEWS["pitch"]]
    assert int(fold_chroma(pitch).argmax()) == midi_pitch % 12


def test_chroma_hears_a_chord_through_noise():
    noise = 0.02 * torch.randn(1, 2 * SAMPLE_RATE_HZ, generator=torch.Generator().manual_seed(0))
    pitch = MiniFrontend()(sum(tone(p) for p in (60, 64, 67)) / 3 + noise)[0, :, VIEWS["pitch"]]
    assert sorted(fold_chroma(pitch.mean(0)).topk(3).indices.tolist()) == [0, 4, 7]


@pytest.mark.parametrize("bpm", [66.0, 97.0, 120.0, 173.0])
def test_the_tempogram_of_clicks_peaks_at_their_tempo(bpm):
    tempogram = MiniFrontend()(clicks(bpm))[0, 200, VIEWS["tempogram"]]
    double = (lag_bpms() > 0.75 * bpm) & (lag_bpms() < 1.5 * bpm)
    found = lag_bpms()[tempogram.masked_fill(~double, -1).argmax()]
    assert abs(found / bpm - 1) < 0.025
    assert tempogram.max() > 0.8


def test_silence_is_finite_and_has_no_pitch_and_no_pulse():
    features = MiniFrontend()(torch.zeros(1, SAMPLE_RATE_HZ))
    assert features.shape == (1, 25, N_FEATURES)
    assert torch.isfinite(features).all()
    assert features[..., VIEWS["pitch"].start :].abs().max() == 0


def test_a_frame_begun_counts():
    assert MiniFrontend()(torch.zeros(2, FRAME_SAMPLES * 3 + 1)).shape[1] == 4
    assert Mini.tiny().n_frames(FRAME_SAMPLES * 3 + 1) == 4


def test_loudness_moves_the_mel_view_only():
    audio = tone(60) + tone(67)
    loud, soft = MiniFrontend()(audio)[0, 25], MiniFrontend()(audio / 2)[0, 25]
    strong = loud[VIEWS["pitch"]] > 1
    assert strong.any()
    assert torch.allclose(loud[VIEWS["pitch"]][strong], soft[VIEWS["pitch"]][strong], atol=0.02)
    mel = VIEWS["mel"]
    assert (loud[mel] - soft[mel]).max() == pytest.approx(math.log(4), abs=0.01)


def test_weights_come_back_from_their_file(tmp_path):
    model = Mini.tiny(seed=3)
    model.save(tmp_path / "m.safetensors")
    again = Mini.load(tmp_path / "m.safetensors")
    assert again.config == model.config
    for (name, old), new in zip(model.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(old.half().float(), new), name


def test_a_changed_byte_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    Mini.tiny().save(path)
    data = bytearray(path.read_bytes())
    data[-1000] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="do not match their checksum"):
        Mini.load(path)


def test_a_cut_file_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    Mini.tiny().save(path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        Mini.load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.safetensors"):
        Mini.load(tmp_path / "nothing.safetensors")


def test_the_builtin_weights_are_two_and_small():
    taught, label_free = Mini.load(), Mini.load(variant="label_free")
    assert taught.weights.startswith("mini.safetensors")
    assert label_free.weights.startswith("mini_label_free.safetensors")
    assert sum(path.stat().st_size for path in BUILTIN.values()) < 20e6
    assert len({model.fingerprint() for model in (taught, label_free, Mini.load("random:0"))}) == 3
    assert len(Mini.load(depth=2).layers) == 2
    with pytest.raises(ValueError, match='variant = "label_free" is of the built-in weights'):
        Mini.load("random", variant="label_free")


def test_the_label_free_network_finds_its_periods_itself():
    """No tempogram at its door: the view is not read, and what it reads moves with the music."""
    model = Mini.load(variant="label_free")
    features = torch.randn(1, 250, N_FEATURES, generator=torch.Generator().manual_seed(0))
    silenced = features.clone()
    silenced[..., VIEWS["tempogram"]] = 0
    assert model.pulse is not None
    torch.testing.assert_close(model.embed_features(features), model.embed_features(silenced))


def test_sizes_come_with_the_weights_and_no_layer_is_made_up():
    with pytest.raises(ValueError, match="n_layers comes with the weights"):
        load_backbone("mini", n_layers=2)
    with pytest.raises(ValueError, match="mini has 4 layers, so depth = 9 cannot be built"):
        load_backbone("mini", weights="random", depth=9)
    with pytest.raises(ValueError, match="write random or random:SEED"):
        load_backbone("mini", weights="random:x")
    assert load_backbone("mini", weights="random:3", n_layers=2, dim=32, n_heads=2).n_layers == 2
