"""Log-mel spectrograms as the music models want them: HTK scale, unnormalised triangles, power, decibels.

Differs: equals torchaudio's MelSpectrogram (HTK, no norm) followed by 10 log10 with a floor and no upper
    limit.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


def hz_to_mel(hz: Tensor) -> Tensor:
    """HTK's mel scale."""
    return 2595.0 * torch.log10(1.0 + hz / 700.0)


def mel_to_hz(mel: Tensor) -> Tensor:
    """The inverse of `hz_to_mel`."""
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)


def mel_filters(sample_rate_hz: int, n_fft: int, n_mels: int) -> Float[Tensor, "bin mel"]:
    """Triangles with peak 1, from 0 Hz to the Nyquist frequency.

    On the CPU always: constants must be real even while the network around them is built on the meta device.
    """
    exact = {"dtype": torch.float64, "device": "cpu"}
    bins_hz = torch.linspace(0, sample_rate_hz / 2, n_fft // 2 + 1, **exact)
    top = hz_to_mel(torch.tensor(sample_rate_hz / 2, **exact))
    edges_hz = mel_to_hz(torch.linspace(0, float(top), n_mels + 2, **exact))
    width = edges_hz.diff()
    slopes = edges_hz[None, :] - bins_hz[:, None]
    down, up = -slopes[:, :-2] / width[:-1], slopes[:, 2:] / width[1:]
    return torch.minimum(down, up).clamp(min=0).float()


class LogMel(nn.Module):
    """Waveform to log-mel in decibels.

    Args:
        sample_rate_hz: of the waveform.
        n_fft: window length in samples (Hann).
        hop_samples: samples from frame to frame.
        n_mels: bands.
        pad_mode: what lies beyond the ends, `reflect` or `constant` (zeros).
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
    ):
        super().__init__()
        self.n_fft, self.hop_samples, self.pad_mode = n_fft, hop_samples, pad_mode
        self.register_buffer("window", torch.hann_window(n_fft, device="cpu"), persistent=False)
        self.register_buffer("filters", mel_filters(sample_rate_hz, n_fft, n_mels), persistent=False)

    @torch.autocast("cpu", enabled=False)
    @torch.autocast("cuda", enabled=False)
    def forward(self, waveform: Float[Tensor, "batch time"]) -> Float[Tensor, "batch frame mel"]:
        """Decibels with a floor at -100 dB; 1 + time // hop_samples frames."""
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
        return 10.0 * torch.log10((power.transpose(1, 2) @ self.filters).clamp(min=1e-10))
