"""How fast: learned onset channels, their autocorrelation around each frame, read by a small network.

A conformer of this size finds no period of several seconds in mel frames by itself. Here the network makes its own
onset channels (a convolution over 100 ms of mel, which begins as the rise of band groups), correlates each with
itself over eight seconds at lags in equal steps of log tempo, and brings that to the width of the stream. Every step
has a gradient, so what counts as an onset and how the correlations are read is learned.

Paper: Wu et al., Autoformer, 2021, section 3.2 https://arxiv.org/abs/2106.13008 (autocorrelation as a layer);
    Quinton, Equivariant Self-Supervision for Musical Tempo Estimation, 2022 https://arxiv.org/abs/2209.01478
    (log tempo)
Differs: correlations in windows of a stretch rather than of all, read at logarithmic lags.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from sordino.backbones._mini_frontend import MEL_HOP_SAMPLES, MEL_STACK, N_LAGS, N_MELS, SAMPLE_RATE_HZ, lag_bpms

MEL_RATE_HZ = SAMPLE_RATE_HZ / MEL_HOP_SAMPLES
ONSET_KERNEL_FRAMES = 5  # mel frames of 20 ms
WINDOW_FRAMES = 400  # mel frames, 8 s
STEP_FRAMES = 24  # mel frames from one window to the next, 0.48 s
FFT_FRAMES = 512  # no less than the window and the longest lag together


class PulseLayer(nn.Module):
    """Normed mel frames to what is known of their tempo, one vector per frame of 25 Hz.

    Args:
        dim: width of the stream.
        n_onsets: onset channels.
    """

    lag_weights: Tensor
    window: Tensor

    def __init__(self, dim: int, n_onsets: int):
        super().__init__()
        self.onset_conv = nn.Conv1d(N_MELS, n_onsets, ONSET_KERNEL_FRAMES, padding=ONSET_KERNEL_FRAMES // 2)
        self.read = nn.Sequential(nn.Linear(n_onsets * N_LAGS, dim), nn.GELU(), nn.Linear(dim, dim))
        self.register_buffer("lag_weights", lag_weights(), persistent=False)
        self.register_buffer("window", torch.hann_window(WINDOW_FRAMES), persistent=False)
        self._begin_as_rises()

    def onsets(self, mel: Float[Tensor, "batch frame mel"]) -> Float[Tensor, "batch channel onset_frame"]:
        """Onset channels at 50 Hz of mel frames stacked by two."""
        single = rearrange(mel, "batch frame (stack mel) -> batch mel (frame stack)", stack=MEL_STACK)
        return F.relu(self.onset_conv(single))

    def forward(self, mel: Float[Tensor, "batch frame mel"]) -> Float[Tensor, "batch frame dim"]:
        """Correlate and read."""
        n_frames = mel.shape[1]
        correlations = windowed_autocorrelation(self.onsets(mel), self.window) @ self.lag_weights
        read = self.read(rearrange(correlations, "batch channel window lag -> batch window (channel lag)"))
        fine = F.interpolate(read.transpose(1, 2), scale_factor=STEP_FRAMES // MEL_STACK, mode="linear")
        return fine[..., :n_frames].transpose(1, 2)

    @torch.no_grad()
    def _begin_as_rises(self) -> None:
        """Channel c is the rise of the c-th group of bands at the start."""
        n_onsets = len(self.onset_conv.weight)
        group = torch.arange(N_MELS) * n_onsets // N_MELS
        bands = F.one_hot(group, n_onsets).T.float()
        rise = torch.tensor([-0.5, -0.5, 0.0, 0.5, 0.5])
        self.onset_conv.weight.mul_(0.1).add_(rise * F.normalize(bands, p=1, dim=1)[..., None])
        assert self.onset_conv.bias is not None
        self.onset_conv.bias.zero_()


def lag_weights() -> Float[Tensor, "lag tempo"]:
    """Reads a correlation at whole lags of 20 ms (from 0) off at those of `lag_bpms`, between neighbours."""
    lags_frames = 60 * MEL_RATE_HZ / lag_bpms()
    whole = torch.arange(int(lags_frames[0]) + 2)
    return (1 - (whole[:, None] - lags_frames).abs()).clamp_min(0)


def windowed_autocorrelation(
    x: Float[Tensor, "batch channel time"], window: Float[Tensor, " tap"]
) -> Float[Tensor, "batch channel window lag"]:
    """Correlation of each channel with itself in windows every STEP_FRAMES, 1 at lag 0; outside counts as missing.

    Windows are centred on the middle of each step; the weighted mean of what is inside is taken off.
    """
    n_windows = -(-x.shape[-1] // STEP_FRAMES)
    before = (len(window) - STEP_FRAMES) // 2
    after = (n_windows - 1) * STEP_FRAMES + len(window) - before - x.shape[-1]

    def blocks(values: Tensor) -> Tensor:
        return F.pad(values, (before, after)).unfold(-1, len(window), STEP_FRAMES)

    weight = window * blocks(torch.ones_like(x[:1, :1]))
    inside = blocks(x)
    mean = (inside * weight).sum(-1, keepdim=True) / weight.sum(-1, keepdim=True)
    spectrum = torch.fft.rfft((inside - mean) * weight, n=FFT_FRAMES)
    power = spectrum.real.square() + spectrum.imag.square()
    correlation = torch.fft.irfft(power, n=FFT_FRAMES)[..., : len(lag_weights())]
    return correlation / (correlation[..., :1] + 1e-3)
