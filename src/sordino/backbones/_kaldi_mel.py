"""Log-mel bands as Kaldi makes them: each frame for itself, without what lies beyond the ends.

Differs: equals torchaudio's `compliance.kaldi.fbank` with a Hann window and without dither.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

WINDOW_SAMPLES, HOP_SAMPLES, N_FFT = 400, 160, 512
LOWEST_HZ = 20.0
PREEMPHASIS = 0.97
FLOOR = torch.finfo(torch.float32).eps


def to_mel(hz: Tensor) -> Tensor:
    """Kaldi's mel scale."""
    return 1127.0 * torch.log1p(hz / 700.0)


def kaldi_filters(sample_rate_hz: int, n_mels: int) -> Float[Tensor, "bin mel"]:
    """Triangles with straight sides on the mel scale, from 20 Hz to the Nyquist frequency; on the CPU always."""
    exact = {"dtype": torch.float64, "device": "cpu"}
    bins = to_mel(torch.linspace(0, sample_rate_hz / 2, N_FFT // 2 + 1, **exact))
    lowest, highest = to_mel(torch.tensor([LOWEST_HZ, sample_rate_hz / 2], **exact)).tolist()
    edges = torch.linspace(lowest, highest, n_mels + 2, **exact)
    slopes = (bins[:, None] - edges[None, :]) / edges.diff()[0]
    return torch.minimum(slopes[:, :-2], -slopes[:, 2:]).clamp(min=0).float()


class KaldiMel(nn.Module):
    """Waveform to the logarithm of the power in mel bands.

    Args:
        sample_rate_hz: of the waveform.
        n_mels: bands.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, sample_rate_hz: int, n_mels: int):
        super().__init__()
        window = torch.hann_window(WINDOW_SAMPLES, periodic=False, device="cpu")
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("filters", kaldi_filters(sample_rate_hz, n_mels), persistent=False)

    @torch.autocast("cpu", enabled=False)
    @torch.autocast("cuda", enabled=False)
    def forward(self, waveform: Float[Tensor, "batch time"]) -> Float[Tensor, "batch frame mel"]:
        """1 + (time - 400) // 160 frames; at least 400 samples are wanted."""
        frames = waveform.float().unfold(1, WINDOW_SAMPLES, HOP_SAMPLES)
        frames = frames - frames.mean(2, keepdim=True)
        frames = frames - PREEMPHASIS * torch.cat([frames[..., :1], frames[..., :-1]], dim=2)
        spectrum = torch.fft.rfft(F.pad(frames * self.window, (0, N_FFT - WINDOW_SAMPLES)))
        power = spectrum.real.square() + spectrum.imag.square()
        return (power @ self.filters).clamp(min=FLOOR).log()
