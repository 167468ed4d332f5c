"""The layer that finds periods: known tempi, missing edges, gradients; the convolutions it stands beside."""

import pytest
import torch
from torch.nn import functional as F

from sordino.backbones._conformer import DepthwiseConv, PointwiseConv
from sordino.backbones._mini_frontend import N_MELS, VIEWS, lag_bpms
from sordino.backbones._pulse import STEP_FRAMES, PulseLayer, windowed_autocorrelation
from sordino.backbones.mini import Mini
from tests.unit.test_mini import clicks


@pytest.mark.parametrize("bpm", [66.0, 97.0, 120.0, 173.0])
def test_every_onset_channel_finds_the_tempo_of_clicks(bpm):
    model = Mini.load("random:0", n_layers=1, dim=32, n_heads=1, n_onsets=4)
    layer, mel = model.pulse, model.norm_features(model.views(clicks(bpm)))[..., VIEWS["mel"]]
    correlations = windowed_autocorrelation(layer.onsets(mel), layer.window) @ layer.lag_weights
    near = (lag_bpms() > 0.75 * bpm) & (lag_bpms() < 1.5 * bpm)
    found = lag_bpms()[correlations[0, :, 10].masked_fill(~near, -1).argmax(-1)]
    assert (found / bpm - 1).abs().max() < 0.03


def test_a_correlation_equals_the_sum_that_defines_it():
    x = torch.rand(1, 1, 400, generator=torch.Generator().manual_seed(0))
    window = torch.hann_window(400)
    second = windowed_autocorrelation(x, window)[0, 0, 8]
    # Window 8 is centred on frame 8.5 * STEP_FRAMES and reaches from 4 to 404; four frames of it are missing.
    weight = window[:396]
    inside = x[0, 0, 4:]
    centred = (inside - (inside * weight).sum() / weight.sum()) * weight
    for lag in (0, 1, 37, 100):
        product = (centred[lag:] * centred[: 396 - lag]).sum()
        assert float(second[lag]) == pytest.approx(float(product / ((centred**2).sum() + 1e-3)), abs=1e-5)
    assert int(8.5 * STEP_FRAMES) - 200 == 4


def test_mini_with_onsets_reads_no_tempogram_and_gives_a_state_per_frame():
    model = Mini.load("random:1", n_layers=1, dim=32, n_heads=1, n_onsets=4)
    features = torch.randn(2, 31, VIEWS["tempogram"].stop, generator=torch.Generator().manual_seed(0))
    without = features.clone()
    without[..., VIEWS["tempogram"]] = 0
    assert torch.equal(model.embed_features(features), model.embed_features(without))
    assert model(torch.zeros(1, 24_000))[-1].shape == (1, 25, 32)


def test_what_counts_as_an_onset_is_learned():
    torch.manual_seed(0)
    layer = PulseLayer(16, 3)
    layer(torch.randn(2, 60, 2 * N_MELS)).square().sum().backward()
    assert layer.onset_conv.weight.grad.abs().sum() > 0


def test_the_weights_of_a_mini_with_onsets_come_back(tmp_path):
    model = Mini.load("random:2", n_layers=1, dim=32, n_heads=1, n_onsets=4)
    model.save(tmp_path / "m.safetensors")
    again = Mini.load(tmp_path / "m.safetensors")
    assert again.config == model.config
    audio = clicks(100.0, 3.0)
    assert torch.allclose(again(audio)[-1], model(audio)[-1], atol=0.02)


def test_convolutions_in_another_layout_are_the_usual_ones():
    torch.manual_seed(0)
    x = torch.randn(2, 33, 24, dtype=torch.float64).transpose(1, 2).requires_grad_()
    for conv in (PointwiseConv(24, 48, 1, bias=False).double(), DepthwiseConv(24, 31).double()):
        ours, usual = conv(x), torch.nn.Conv1d.forward(conv, x)
        assert torch.allclose(ours, usual, atol=1e-12)
        weighting = torch.randn_like(usual)
        for got, wanted in zip(
            torch.autograd.grad((ours * weighting).sum(), [x, conv.weight], retain_graph=True),
            torch.autograd.grad((usual * weighting).sum(), [x, conv.weight]),
            strict=True,
        ):
            assert torch.allclose(got, wanted, atol=1e-10)
    assert torch.allclose(F.conv1d(x, conv.weight, padding=15, groups=24), conv(x))
