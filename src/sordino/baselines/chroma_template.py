"""Key and chords from chroma: spectral peaks folded into pitch classes, compared with profiles.

Paper: Gomez, Tonal description of music audio signals, 2006 (chroma from spectral peaks, tuning,
harmonics); Temperley, Music and Probability, 2007 (key profiles).
Differs: magnitudes are whitened by their mean over about an octave, so that timbre counts less.

Conventions: pitch class 0 is C; a waveform is mono [time], any rate from 8 kHz on.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch.nn import functional

WINDOW_S, HOP_S = 0.37, 0.1
LOW_HZ, HIGH_HZ = 65.0, 2100.0
N_HARMONICS, DECAY = 4, 0.6
NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
MAJOR_PROFILE = np.array([0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400])
MINOR_PROFILE = np.array([0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.133, 0.330])


def chroma(waveform: Float[np.ndarray, " time"], sample_rate_hz: int) -> Float[np.ndarray, "frame 12"]:
    """The strength of each pitch class every 0.1 s; the strongest of a frame is 1, a silent frame 0."""
    rows, pitch, strength = _peaks(waveform, sample_rate_hz)
    n_frames = max(1, round(len(waveform) / sample_rate_hz / HOP_S))
    folded = np.zeros((n_frames, 12))
    if len(pitch) == 0:
        return folded
    angle = np.angle(np.sum(strength * np.exp(2j * np.pi * pitch)))  # the common deviation from A4 = 440 Hz
    pitch = pitch - angle / (2 * np.pi)
    for harmonic in range(1, N_HARMONICS + 1):
        source = pitch - 12 * np.log2(harmonic)
        nearest = np.round(source)
        weight = strength * DECAY ** (harmonic - 1) * np.cos(np.pi * (source - nearest)) ** 2
        np.add.at(folded, (np.minimum(rows, n_frames - 1), nearest.astype(int) % 12), weight)
    top = folded.max(1, keepdims=True)
    return folded / np.where(top > 0, top, 1.0)


def rank_keys(waveform: Float[np.ndarray, " time"], sample_rate_hz: int) -> dict[str, float]:
    """Each key and how well its profile correlates with the mean squared chroma, the best first; empty for silence."""
    mean = np.square(chroma(waveform, sample_rate_hz)).mean(0)
    if not mean.any():
        return {}
    names = [f"{NAMES[tonic]} {mode}" for mode in ("major", "minor") for tonic in range(12)]
    profiles = [np.roll(p, tonic) for p in (MAJOR_PROFILE, MINOR_PROFILE) for tonic in range(12)]
    fits = np.array([np.corrcoef(mean, profile)[0, 1] for profile in profiles])
    return {names[index]: float(fits[index]) for index in np.argsort(-fits, kind="stable")}


def estimate_key(waveform: Float[np.ndarray, " time"], sample_rate_hz: int) -> str | None:
    """The key whose profile correlates best with the mean squared chroma; None for silence."""
    return next(iter(rank_keys(waveform, sample_rate_hz)), None)


def template_fit(
    features: Float[np.ndarray, "frame 12"], templates: Float[np.ndarray, "label 12"]
) -> Float[np.ndarray, "frame label"]:
    """The cosine of each smoothed chroma frame with each template (0 where the frame is silent)."""
    width = round(0.8 / HOP_S)
    kernel = np.hanning(width + 2)[1:-1] / np.hanning(width + 2).sum()
    smooth = np.stack([np.convolve(column, kernel, "full")[width // 2 :][: len(column)] for column in features.T], 1)
    norm = np.linalg.norm(smooth, axis=1, keepdims=True)
    unit = smooth / np.where(norm > 1e-9, norm, 1.0)
    return unit @ (templates / np.linalg.norm(templates, axis=1, keepdims=True)).T


def _peaks(waveform: np.ndarray, sample_rate_hz: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frame, pitch (MIDI number, fractional) and whitened strength of every spectral peak."""
    x = torch.as_tensor(np.asarray(waveform), dtype=torch.float32)
    n_fft = 2 ** round(np.log2(WINDOW_S * sample_rate_hz))
    x = functional.pad(x, (n_fft // 2, n_fft))
    window = torch.hann_window(n_fft)
    hop = HOP_S * sample_rate_hz
    starts = (torch.arange(max(1, round((len(x) - 1.5 * n_fft) / hop))) * hop).long()
    rows, pitch, strength = [], [], []
    for first in range(0, len(starts), 256):  # bounded memory for long files
        block = torch.stack([x[s : s + n_fft] for s in starts[first : first + 256].tolist()])
        low, high = int(LOW_HZ * n_fft / sample_rate_hz), int(HIGH_HZ * n_fft / sample_rate_hz) + 2
        magnitude = torch.fft.rfft(block * window).abs()[:, low - 1 : high + 1]
        level = torch.log1p(1000 * magnitude / n_fft)
        width = 2 * (n_fft * 80 // int(sample_rate_hz)) + 1  # 160 Hz
        around = functional.avg_pool1d(level, width, 1, width // 2, count_include_pad=False)
        middle, left, right = level[:, 1:-1], level[:, :-2], level[:, 2:]
        frame, index = torch.nonzero(
            (middle > left) & (middle >= right) & (middle > 1.1 * around[:, 1:-1]) & (middle > 0.05),
            as_tuple=True,
        )
        a, b, c = left[frame, index], middle[frame, index], right[frame, index]
        offset = 0.5 * (a - c) / (a - 2 * b + c).clamp_max(-1e-9)
        hz = (index + low + offset).double().numpy() * sample_rate_hz / n_fft
        rows.append(frame.numpy() + first)
        pitch.append(69 + 12 * np.log2(hz / 440.0))
        strength.append((b - around[:, 1:-1][frame, index]).numpy())
    return np.concatenate(rows), np.concatenate(pitch), np.concatenate(strength)
