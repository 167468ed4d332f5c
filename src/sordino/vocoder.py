"""Pitch shifting and time stretching: a phase vocoder with identity phase locking and new phases at onsets.

No library beyond numpy; a pitch shift is a stretch followed by soxr. On tones it is exact (below 0.01 cents,
residual 60 dB down), onsets of clicks stay within 6 ms; `benchmarks/augment.py` measures it.

Paper: Laroche and Dolson, Improved Phase Vocoder Time-Scale Modification of Audio, IEEE TSAP 1999
https://doi.org/10.1109/89.759041
Röbel, A New Approach to Transient Processing in the Phase Vocoder, DAFx 2003 (here simpler: all bins at once)
"""

from __future__ import annotations

import numpy as np
import soxr
from jaxtyping import Float32

Waveform = Float32[np.ndarray, " time"]
VERSION = 1  # raised when the same stretch of the same sound gives other samples
N_FFT, HOP = 2048, 512
ONSET_RATIO = 2.0  # a frame whose energy grew by so much is an onset


def pitch_shift(x: Waveform, semitones: float) -> Waveform:
    """The waveform with every tone moved by so many semitones, as long as before."""
    factor = 2 ** (semitones / 12)
    if factor == 1:
        return x
    longer = time_stretch(x, 1 / factor)
    shifted = soxr.resample(longer, 48_000 * factor, 48_000)
    return np.pad(shifted, (0, max(0, len(x) - len(shifted))))[: len(x)]


def time_stretch(x: Waveform, rate: float) -> Float32[np.ndarray, " stretched"]:
    """The waveform played `rate` times as fast at the same pitch, `round(len(x) / rate)` samples long."""
    if rate == 1:
        return x
    n_out = round(len(x) / rate)
    window = np.sqrt(np.hanning(N_FFT + 1)[:-1]).astype(np.float32)
    padded = np.pad(x, (N_FFT, N_FFT + round(HOP * rate) + HOP))
    positions = np.round(np.arange(0, n_out + N_FFT, HOP) * rate).astype(int) + N_FFT // 2
    now = _spectra(padded, positions, window)
    before = _spectra(padded, positions - HOP, window)
    phases = _locked_phases(now, before)
    frames = np.fft.irfft(np.abs(now) * np.exp(1j * phases), N_FFT, axis=1).astype(np.float32) * window
    out = np.zeros(len(frames) * HOP + N_FFT, np.float32)
    for number, frame in enumerate(frames):
        out[number * HOP : number * HOP + N_FFT] += frame
    out *= HOP / float((window**2).sum())
    return out[N_FFT // 2 : N_FFT // 2 + n_out]


def _spectra(x: np.ndarray, starts: np.ndarray, window: np.ndarray) -> np.ndarray:
    frames = np.lib.stride_tricks.sliding_window_view(x, N_FFT)[np.clip(starts, 0, len(x) - N_FFT)]
    return np.fft.rfft(frames * window, axis=1)


def _locked_phases(now: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Phases of the output frames.

    `before` is one output hop before `now` in the input, so the phase a peak gains from output frame to
    output frame is what it gains between the two; the bins around a peak keep their phases relative to it.
    """
    advance, own = np.angle(now * before.conj()), np.angle(now)
    magnitude = np.abs(now)
    energy = (magnitude**2).sum(1)
    onset = energy > ONSET_RATIO * (np.abs(before) ** 2).sum(1) + 1e-9
    phases = np.empty_like(own)
    phases[0] = own[0]
    for t in range(1, len(now)):
        if onset[t]:
            phases[t] = own[t]
            continue
        m = magnitude[t]
        here = m[2:-2]
        peaks = 2 + np.flatnonzero((here > m[1:-3]) & (here >= m[3:-1]) & (here > m[:-4]) & (here >= m[4:]))
        if len(peaks) == 0:
            phases[t] = phases[t - 1] + advance[t]
            continue
        nearest = peaks[np.searchsorted((peaks[1:] + peaks[:-1]) / 2, np.arange(len(m)))]
        turned = phases[t - 1, peaks] + advance[t, peaks] - own[t, peaks]
        phases[t] = own[t] + turned[np.searchsorted(peaks, nearest)]
    return phases
