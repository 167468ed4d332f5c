"""Onsets from spectral flux, and the tempo from their autocorrelation.

Paper: Ellis, Beat Tracking by Dynamic Programming, 2007 (onset strength, autocorrelation with a preference
for 120 BPM).
Differs: a period is scored with its multiples, so that the answer is a period of the music and not of one
coincidence.

Conventions: a waveform is mono [time], any rate from 8 kHz on; the envelope has 100 values per second.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch.nn import functional

ENVELOPE_HZ = 100.0
WINDOW_S = 0.046
N_BANDS, LOW_HZ = 36, 40.0
PREFERRED_BPM, OCTAVES = 120.0, 0.9
MULTIPLES = (1.0, 0.7, 0.5, 0.4)
GRID_BPM = 30.0 * 10.0 ** np.linspace(0, 1, 1200)


def onset_envelope(waveform: Float[np.ndarray, " time"], sample_rate_hz: int) -> Float[np.ndarray, " frame"]:
    """How much louder the bands have become, 100 times a second; frame i is centred at i / 100 s."""
    x = torch.as_tensor(np.asarray(waveform), dtype=torch.float32)
    n_fft = 2 ** round(np.log2(WINDOW_S * sample_rate_hz))
    n_frames = max(2, round(len(x) / sample_rate_hz * ENVELOPE_HZ))
    x = functional.pad(x, (n_fft // 2, 2 * n_fft))
    starts = (torch.arange(n_frames) * sample_rate_hz / ENVELOPE_HZ).long()
    edges = np.geomspace(LOW_HZ, sample_rate_hz / 2, N_BANDS + 1) * n_fft / sample_rate_hz
    bins = torch.arange(n_fft // 2 + 1)
    band = torch.as_tensor(np.clip(np.searchsorted(edges, bins.numpy(), "right") - 1, 0, N_BANDS - 1))
    window, levels = torch.hann_window(n_fft), []
    for first in range(0, n_frames, 2048):  # bounded memory for long files
        index = starts[first : first + 2048, None] + torch.arange(n_fft)
        power = torch.fft.rfft(x[index.clamp_max(len(x) - 1)] * window).abs().square() / n_fft
        levels.append(torch.zeros(len(power), N_BANDS).index_add_(1, band, power))
    level = torch.log1p(100 * torch.cat(levels).sqrt())
    flux = functional.pad((level[2:] - level[:-2]).clamp_min(0).sum(1), (1, 1)).numpy().astype(float)
    local = np.convolve(flux, np.ones(101) / 101, "same") if len(flux) > 101 else flux.mean()
    return np.maximum(flux - local, 0.0)


def tempo_strength(
    envelope: Float[np.ndarray, " frame"], rate_hz: float, bpm: Float[np.ndarray, " tempo"]
) -> Float[np.ndarray, " tempo"]:
    """How well each tempo explains an envelope: its autocorrelation at 1 to 4 periods, around 120 BPM."""
    n = len(envelope)
    spectrum = np.fft.rfft(envelope - envelope.mean(), 2 ** int(np.ceil(np.log2(2 * n))))
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[:n]
    if correlation[0] <= 0:
        return np.zeros(len(bpm))
    correlation = correlation / correlation[0] * n / np.maximum(n - np.arange(n), n / 4)
    lag = 60.0 * rate_hz / bpm
    total = sum(w * np.interp(k * lag, np.arange(n), correlation, right=0.0) for k, w in enumerate(MULTIPLES, 1))
    prior = np.exp(-0.5 * (np.log2(bpm / PREFERRED_BPM) / OCTAVES) ** 2)
    return np.maximum(total, 0.0) * prior


def estimate_tempi(waveform: Float[np.ndarray, " time"], sample_rate_hz: int) -> tuple[float, float, float] | None:
    """The tempo in BPM, its likelier octave (twice or half of it), and their strengths' share of the first.

    None where nothing begins.
    """
    envelope = onset_envelope(waveform, sample_rate_hz)
    strength = tempo_strength(envelope, ENVELOPE_HZ, GRID_BPM)
    if not strength.max() > 0:
        return None
    bpm = float(GRID_BPM[np.argmax(strength)])
    octaves = np.array([octave for octave in (bpm / 2, bpm * 2) if GRID_BPM[0] <= octave <= GRID_BPM[-1]])
    others = np.interp(octaves, GRID_BPM, strength)
    best = int(np.argmax(others))
    return bpm, float(octaves[best]), float(strength.max() / (strength.max() + others[best]))


def estimate_tempo(waveform: Float[np.ndarray, " time"], sample_rate_hz: int) -> float | None:
    """The tempo in BPM, 30 to 300; None where nothing begins."""
    found = estimate_tempi(waveform, sample_rate_hz)
    return found and found[0]
