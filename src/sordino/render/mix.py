"""From a dry stereo rendering to the recording of a clip: rooms, equalisers, noise, levels.

Each effect is drawn with a probability and a strength, wide enough that spectra alone do not give keys or
instruments away. Nothing here moves an onset: filters are causal with short delays, and reverberation begins
with the direct sound.
"""

from __future__ import annotations

import numpy as np
from scipy import signal

from .synth import SAMPLE_RATE_HZ as RENDER_RATE_HZ

CLIP_RATE_HZ = 24_000


def mix(stereo, rng, lead_s, duration_s):
    """Return a mono clip [time] at `CLIP_RATE_HZ` within +-1.

    Args:
        stereo: dry audio [2 time] at the rendering rate.
        rng: a numpy generator.
        lead_s: how much of the beginning is cut off, after the room has been added.
        duration_s: length of the clip.
    """
    x = signal.resample_poly(stereo.mean(axis=0), 1, RENDER_RATE_HZ // CLIP_RATE_HZ)
    x = x / (np.abs(x).max() + 1e-9)
    if rng.random() < 0.8:
        x = room(x, rng)
    x = equalise(x, rng)
    if rng.random() < 0.2:
        drive = rng.uniform(1.5, 4.0)
        x = np.tanh(drive * x) / drive
    start = round(lead_s * CLIP_RATE_HZ)
    x = x[start : start + round(duration_s * CLIP_RATE_HZ)]
    if rng.random() < 0.8:
        x = x + noise(len(x), rng) * _rms(x) * 10 ** (-rng.uniform(3, 33) / 20)
    peak_db = rng.uniform(-24, -1)
    return (x * 10 ** (peak_db / 20) / (np.abs(x).max() + 1e-9)).astype(np.float32)


def room(x, rng):
    """Add a synthetic room: noise that decays exponentially, darker towards its end."""
    decay_s, wet_db = rng.uniform(0.15, 1.6), rng.uniform(-16, 0)
    n = round(1.2 * decay_s * CLIP_RATE_HZ)
    time_s = np.arange(n) / CLIP_RATE_HZ
    tail = rng.standard_normal(n) * np.exp(-6.9 * time_s / decay_s)
    darker = signal.butter(1, rng.uniform(1500, 7000), fs=CLIP_RATE_HZ, output="sos")
    tail = np.asarray(signal.sosfilt(darker, tail))
    tail[: round(rng.uniform(0.002, 0.02) * CLIP_RATE_HZ)] = 0
    wet = signal.fftconvolve(x, tail / np.sqrt((tail**2).sum()))[: len(x)]
    return x + wet * 10 ** (wet_db / 20)


def equalise(x, rng):
    """Raise or lower up to three bands, and sometimes narrow the whole band like a telephone or an old record."""
    for _ in range(rng.integers(0, 4)):
        x = peak_filter(x, rng.uniform(80, 8000), rng.uniform(-9, 9), rng.uniform(0.5, 2.0))
    if rng.random() < 0.35:
        x = signal.sosfilt(signal.butter(2, rng.uniform(1800, 9000), fs=CLIP_RATE_HZ, output="sos"), x)
    if rng.random() < 0.35:
        x = signal.sosfilt(signal.butter(2, rng.uniform(60, 400), "highpass", fs=CLIP_RATE_HZ, output="sos"), x)
    return x


def peak_filter(x, centre_hz, gain_db, q):
    """Apply a peaking equaliser (Bristow-Johnson's cookbook)."""
    amplitude = 10 ** (gain_db / 40)
    w = 2 * np.pi * centre_hz / CLIP_RATE_HZ
    alpha = np.sin(w) / (2 * q)
    b = np.array([1 + alpha * amplitude, -2 * np.cos(w), 1 - alpha * amplitude])
    a = np.array([1 + alpha / amplitude, -2 * np.cos(w), 1 - alpha / amplitude])
    return signal.lfilter(b / a[0], a / a[0], x)


def noise(n, rng):
    """Return coloured noise of unit RMS: white, pink, brown or something between."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    frequency_hz = np.maximum(np.fft.rfftfreq(n, 1 / CLIP_RATE_HZ), 20.0)
    shaped = np.fft.irfft(spectrum * frequency_hz ** -rng.uniform(0, 1), n)
    return shaped / _rms(shaped)


def _rms(x):
    return np.sqrt(np.mean(x**2)) + 1e-9
