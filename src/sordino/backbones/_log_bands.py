"""Spectrograms on a logarithmic frequency axis, as the networks for key, chords and beats want them.

Triangles of equal sum between neighbouring centres, a number of them in each octave, tuned to 440 Hz. A centre lies on
the nearest bin of the spectrum; where several would share one, in the bass, they are one.

Paper: Boeck et al., madmom: a new Python Audio and Music Signal Processing Library, 2016 (the filterbank and its
    defaults) https://arxiv.org/abs/1605.07008
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

TUNED_TO_HZ = 440.0


def log_filters(
    sample_rate_hz: int, n_fft: int, per_octave: int, lowest_hz: float, highest_hz: float
) -> Float[Tensor, "bin band"]:
    """Triangles between `lowest_hz` and `highest_hz`, each of sum 1; on the CPU always, see `mel_filters`."""
    first, last = (per_octave * math.log2(hz / TUNED_TO_HZ) for hz in (lowest_hz, highest_hz))
    steps = torch.arange(math.ceil(first), math.floor(last) + 1, dtype=torch.float64, device="cpu")
    centres_hz = TUNED_TO_HZ * 2 ** (steps / per_octave)
    bins = torch.unique(torch.round(centres_hz * n_fft / sample_rate_hz))
    below, centre, above = bins[:-2], bins[1:-1], bins[2:]
    at = torch.arange(n_fft // 2 + 1, dtype=torch.float64, device="cpu")[:, None]
    triangles = torch.minimum((at - below) / (centre - below), (above - at) / (above - centre)).clamp(min=0)
    return (triangles / triangles.sum(0)).float()


class LogBands(nn.Module):
    """Waveform to log10(1 + magnitude) in bands.

    Args:
        sample_rate_hz: of the waveform.
        n_fft: window length in samples (Hann).
        hop_samples: samples from frame to frame.
        per_octave: bands in an octave.
        lowest_hz: where they begin.
        highest_hz: where they end.
    """

    window: Tensor
    filters: Tensor

    def __init__(
        self, sample_rate_hz: int, n_fft: int, hop_samples: int, per_octave: int, lowest_hz: float, highest_hz: float
    ):
        super().__init__()
        self.n_fft, self.hop_samples = n_fft, hop_samples
        filters = log_filters(sample_rate_hz, n_fft, per_octave, lowest_hz, highest_hz)
        self.register_buffer("window", torch.hann_window(n_fft, device="cpu"), persistent=False)
        self.register_buffer("filters", filters, persistent=False)

    @property
    def n_bands(self) -> int:
        """How many there are."""
        return self.filters.shape[1]

    @torch.autocast("cpu", enabled=False)
    @torch.autocast("cuda", enabled=False)
    def forward(self, waveform: Float[Tensor, "batch time"]) -> Float[Tensor, "batch frame band"]:
        """Silence outside; 1 + time // hop_samples frames."""
        spectrum = torch.stft(
            waveform.float(), self.n_fft, self.hop_samples, window=self.window, center=True, pad_mode="constant",
            return_complex=True,
        )  # fmt: skip
        return torch.log10(1.0 + spectrum.abs().transpose(1, 2) @ self.filters)
