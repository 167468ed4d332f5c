"""Mel spectrograms as the music models want them.

`LogMel` is that of the transformers: HTK scale, unnormalised triangles, power, decibels. `Mel` is the power alone, on
HTK's scale or on Slaney's with triangles of equal area.

Differs: HTK equals torchaudio's MelSpectrogram (HTK, no norm), followed by 10 log10 with a floor and no upper
    limit; Slaney equals librosa's `melspectrogram` with its defaults.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

LINEAR_HZ = 1000.0  # below it, Slaney's scale is linear
HZ_PER_MEL = 200.0 / 3.0
LOG_STEP = math.log(6.4) / 27.0  # above it, 27 mels are a factor of 6.4


def hz_to_mel(hz: Tensor) -> Tensor:
    """HTK's mel scale."""
    return 2595.0 * torch.log10(1.0 + hz / 700.0)


def mel_to_hz(mel: Tensor) -> Tensor:
    """The inverse of `hz_to_mel`."""
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)


def slaney_hz_to_mel(hz: Tensor) -> Tensor:
    """The mel scale of Slaney's Auditory Toolbox: linear up to 1 kHz, then logarithmic."""
    high = LINEAR_HZ / HZ_PER_MEL + torch.log(hz.clamp(min=LINEAR_HZ) / LINEAR_HZ) / LOG_STEP
    return torch.where(hz < LINEAR_HZ, hz / HZ_PER_MEL, high)


def slaney_mel_to_hz(mel: Tensor) -> Tensor:
    """The inverse of `slaney_hz_to_mel`."""
    top = LINEAR_HZ / HZ_PER_MEL
    high = LINEAR_HZ * torch.exp(LOG_STEP * (mel.clamp(min=top) - top))
    return torch.where(mel < top, mel * HZ_PER_MEL, high)


def mel_filters(
    sample_rate_hz: int, n_fft: int, n_mels: int, slaney: bool = False, limits_hz: tuple[float, float] | None = None
) -> Float[Tensor, "bin mel"]:
    """Triangles between two limits, or from 0 Hz to the Nyquist frequency: HTK's with peak 1, or Slaney's with equal
    areas.

    On the CPU always: constants must be real even while the network around them is built on the meta device.
    """
    to_mel, to_hz = (slaney_hz_to_mel, slaney_mel_to_hz) if slaney else (hz_to_mel, mel_to_hz)
    exact = {"dtype": torch.float64, "device": "cpu"}
    bins_hz = torch.linspace(0, sample_rate_hz / 2, n_fft // 2 + 1, **exact)
    low, top = (float(to_mel(torch.tensor(limit, **exact))) for limit in limits_hz or (0.0, sample_rate_hz / 2))
    edges_hz = to_hz(torch.linspace(low, top, n_mels + 2, **exact))
    width = edges_hz.diff()
    slopes = edges_hz[None, :] - bins_hz[:, None]
    down, up = -slopes[:, :-2] / width[:-1], slopes[:, 2:] / width[1:]
    triangles = torch.minimum(down, up).clamp(min=0)
    return (triangles * 2 / (edges_hz[2:] - edges_hz[:-2]) if slaney else triangles).float()


class Mel(nn.Module):
    """Waveform to the power in mel bands.

    Args:
        sample_rate_hz: of the waveform.
        n_fft: window length in samples (Hann).
        hop_samples: samples from frame to frame.
        n_mels: bands.
        pad_mode: what lies beyond the ends, `reflect` or `constant` (zeros).
        slaney: see `mel_filters`.
        limits_hz: see `mel_filters`.
    """

    window: Tensor
    filters: Tensor

    def __init__(
        self,
        sample_rate_hz: int = 24_000,
        n_fft: int = 2048,
        hop_samples: int = 240,
        n_mels: int = 128,
        pad_mode: str = "reflect",
        slaney: bool = False,
        limits_hz: tuple[float, float] | None = None,
    ):
        super().__init__()
        self.n_fft, self.hop_samples, self.pad_mode = n_fft, hop_samples, pad_mode
        self.register_buffer("window", torch.hann_window(n_fft, device="cpu"), persistent=False)
        filters = mel_filters(sample_rate_hz, n_fft, n_mels, slaney, limits_hz)
        self.register_buffer("filters", filters, persistent=False)

    @torch.autocast("cpu", enabled=False)
    @torch.autocast("cuda", enabled=False)
    def forward(self, waveform: Float[Tensor, "batch time"]) -> Float[Tensor, "batch frame mel"]:
        """Power; 1 + time // hop_samples frames."""
        spectrum = torch.stft(
            waveform.float(),
            self.n_fft,
            self.hop_samples,
            window=self.window,
            center=True,
            pad_mode=self.pad_mode,
            return_complex=True,
        )
        power = spectrum.real.square() + spectrum.imag.square()
        return power.transpose(1, 2) @ self.filters


class LogMel(Mel):
    """Waveform to log-mel in decibels; the arguments are those of `Mel`."""

    def forward(self, waveform: Float[Tensor, "batch time"]) -> Float[Tensor, "batch frame mel"]:
        """Decibels with a floor at -100 dB; 1 + time // hop_samples frames."""
        return 10.0 * torch.log10(super().forward(waveform).clamp(min=1e-10))
