"""The small networks from scratch: bands, sizes and reach as their papers give them."""

import math

import numpy as np
import pytest
import torch

from sordino.backbones import load_backbone
from sordino.backbones._log_bands import LogBands, log_filters
from sordino.backbones.beat_tcn import BeatTCN
from sordino.backbones.key_cnn import KeyCNN
from sordino.backbones.transformer import positions
from sordino.config import load_config
from sordino.training.run import train

BANDS = {"key": (8192, 24, 65, 2100), "beat": (2048, 12, 30, 17_000)}  # window, bands an octave, lowest, highest


@pytest.mark.parametrize(("name", "n_bands"), [("key", 105), ("beat", 81)])
def test_there_are_as_many_bands_as_the_papers_say(name, n_bands):
    filters = log_filters(44_100, *BANDS[name])
    assert filters.shape[1] == n_bands
    torch.testing.assert_close(filters.sum(0), torch.ones(n_bands))
    peaks_hz = filters.argmax(0) * 44_100 / BANDS[name][0]
    assert bool((peaks_hz.diff() > 0).all())
    octaves = torch.log2(peaks_hz[-24:] / 440) * BANDS[name][1]  # where bins are dense enough
    assert float((octaves - octaves.round()).abs().max()) < 0.5


def test_a_tone_stands_in_its_band_a_fifth_seven_semitones_above():
    bands = LogBands(44_100, 8192, 8820, 24, 65, 2100)
    time = torch.arange(44_100) / 44_100
    strongest = [int(bands(torch.sin(2 * math.pi * hz * time)[None])[0, 2].argmax()) for hz in (440.0, 660.0, 880.0)]
    assert np.diff(strongest).tolist() == [14, 10]  # quarter tones


@pytest.mark.parametrize(
    ("name", "n_parameters"),
    [
        # 5x5 and 3x3 convolutions of 20, 20, 40, 40, 80, 80, 160, 160 channels, each with two of a norm; 16 of 1x1
        ("key_cnn", 25 * 20 + 9 * (20 * 20 + 20 * 40 + 40**2 + 40 * 80 + 80**2 + 80 * 160 + 160**2) + 1200 + 16 * 161),
        # 3x3, 3x3, 8x1; eleven times a norm, five frames, one frame
        ("beat_tcn", 160 + 2320 + (16 * 8 * 16 + 16) + 11 * (32 + (16 * 16 * 5 + 16) + (16 * 16 + 16))),
    ],
)  # fmt: skip
def test_size(name, n_parameters):
    assert sum(p.numel() for p in load_backbone(name).parameters()) == n_parameters


def test_the_transformer_is_of_minis_size():
    mini, plain = (sum(p.numel() for p in load_backbone(n, "random").parameters()) for n in ("mini", "transformer"))
    assert plain == pytest.approx(mini, rel=0.02)


def test_a_beat_frame_hears_as_far_as_the_dilations_reach():
    backbone = BeatTCN.load("random", n_filters=4, n_blocks=4, dropout=0.0)
    frames = torch.zeros(1, 101, backbone.dim, requires_grad=True)
    with torch.enable_grad():
        backbone.layers[0](frames, None)[0, 50].sum().backward()
    heard = frames.grad[0].abs().sum(1).nonzero()[:, 0] - 50
    reach = 2 * (1 + 2 + 4 + 8) + 2  # dilated convolutions of five frames, two convolutions of three
    assert (int(heard.min()), int(heard.max())) == (-reach, reach)
    assert 2 * (2 * (2**11 - 1) + 2) + 1 == 8193  # of the whole network: 82 s


def test_states_are_the_channels_and_zeros():
    for backbone, n_channels in ((KeyCNN.tiny(), 16 * 13), (BeatTCN.tiny(), 12)):
        last = backbone(0.1 * torch.randn(1, 44_100))[-1]
        assert last.shape[2] == backbone.dim and bool((last[..., n_channels:] == 0).all())
        assert bool((last[..., :n_channels] != 0).any(1).all())


def test_dropout_is_for_training_alone():
    backbone = KeyCNN.load("random", n_filters=4)
    wave = 0.1 * torch.randn(1, 44_100)
    still = backbone(wave)[-1]
    assert torch.equal(still, backbone(wave)[-1])
    backbone.train()
    assert not torch.equal(still, backbone(wave)[-1])


def test_positions_are_the_papers():
    found = positions(7, 6, torch.device("cpu")).numpy()
    expected = np.zeros((7, 6))
    for pos in range(7):
        for i in range(3):
            expected[pos, 2 * i] = math.sin(pos / 10_000 ** (2 * i / 6))
            expected[pos, 2 * i + 1] = math.cos(pos / 10_000 ** (2 * i / 6))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_heads_of_attention_are_part_of_what_a_backbone_is():
    few, many = (load_backbone("transformer", "random", 1, n_mels=8, n_heads=n) for n in (2, 4))
    assert all(torch.equal(a, b) for a, b in zip(few.parameters(), many.parameters(), strict=True))
    assert few.fingerprint() != many.fingerprint()
    with pytest.raises(ValueError, match="n_heads = 3 does not divide the width 16"):
        load_backbone("transformer", "random", n_mels=8, n_heads=3)


def test_the_key_network_learns_pure_triads_from_scratch(triads, tmp_path):
    method = {"name": "finetune", "backbone_learning_rate": 3e-3}
    settings = {"steps": 120, "lr": 3e-3, "batch_size": 6, "precision": "float32", "validate_every": 40}
    backbone = {"name": "key_cnn", "n_filters": 8}
    config = load_config(
        None, (), data=str(triads), backbone=backbone, method=method, head={"hidden": 0}, training=settings
    )
    assert train(config, tmp_path).result["tasks"]["key"]["metrics"]["accuracy"] == 1.0
