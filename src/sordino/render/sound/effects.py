"""Effects of instruments and of the mix: amplifiers, echoes, choruses, rooms, equalisers, compressors, a limiter.

Conventions: mono [time] at `RATE_HZ`. Nothing here moves an onset: filters are causal with short delays, rooms
begin with the direct sound, echoes follow it.
"""

from __future__ import annotations

import numpy as np
from scipy import signal

from .waves import RATE_HZ


def filtered(x, kind, edge_hz, order=2):
    """Return x through a Butterworth filter; two edges for a band."""
    edge_hz = np.minimum(edge_hz, 0.46 * RATE_HZ)
    return np.asarray(signal.sosfilt(signal.butter(order, edge_hz, kind, fs=RATE_HZ, output="sos"), x))


def peak_filter(x, centre_hz, gain_db, q):
    """Apply a peaking equaliser (Bristow-Johnson's cookbook)."""
    amplitude = 10 ** (gain_db / 40)
    w = 2 * np.pi * centre_hz / RATE_HZ
    alpha = np.sin(w) / (2 * q)
    b = np.array([1 + alpha * amplitude, -2 * np.cos(w), 1 - alpha * amplitude])
    a = np.array([1 + alpha / amplitude, -2 * np.cos(w), 1 - alpha / amplitude])
    return np.asarray(signal.lfilter(b / a[0], a / a[0], x))


def amplifier(x, drive, rng):
    """A guitar amplifier: treble boost, clipping valves at twice the rate, a cabinet."""
    x = x / (np.sqrt(np.mean(x**2)) * 4 + 1e-6)
    x = filtered(x, "highpass", rng.uniform(70, 160), 1)
    x = peak_filter(x, rng.uniform(600, 1400), rng.uniform(0, 8), 0.7)
    fast = signal.resample_poly(x, 2, 1)
    bias = rng.uniform(0, 0.2)
    fast = np.tanh(drive * fast + bias) - np.tanh(bias)
    x = signal.resample_poly(fast, 1, 2)[: len(x)]
    x = filtered(x, "lowpass", rng.uniform(3500, 6000), 4)
    x = peak_filter(x, rng.uniform(90, 150), rng.uniform(0, 5), 1.0)
    return 0.3 * peak_filter(x, rng.uniform(1800, 3200), rng.uniform(0, 6), 1.2)


def chorus(x, rng):
    """Add copies whose delays sway."""
    t = np.arange(len(x), dtype=np.float32)
    out = x.copy()
    for _ in range(rng.integers(1, 3)):
        depth, speed_hz = rng.uniform(0.0008, 0.003) * RATE_HZ, rng.uniform(0.15, 1.2)
        sway = np.float32(0.008 * RATE_HZ) + depth * np.sin(2 * np.pi * speed_hz / RATE_HZ * t + rng.uniform(0, 6))
        out += 0.6 * np.interp(t - sway, t, x)
    return out / 1.3


def tremolo(x, rng):
    """Let the level sway."""
    t = np.arange(len(x)) / RATE_HZ
    return x * (1 - rng.uniform(0.2, 0.6) * (0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(3, 7) * t + rng.uniform(0, 6))))


def echo(x, delay_s, level, rng):
    """Add three ever darker repetitions."""
    out, step = x.copy(), max(1, round(delay_s * RATE_HZ))
    repeated = x
    for _ in range(3):
        repeated = filtered(repeated, "lowpass", rng.uniform(2000, 5000), 1) * level
        repeated = np.concatenate([np.zeros(step), repeated[:-step]]) if step < len(x) else np.zeros(len(x))
        out = out + repeated
    return out


def room(x, rng, decay_s, wet_db):
    """Add a synthetic room: noise that decays exponentially, darker towards its end."""
    n = round(1.2 * decay_s * RATE_HZ)
    time_s = np.arange(n, dtype=np.float32) / RATE_HZ
    tail = rng.standard_normal(n, dtype=np.float32) * np.exp(-6.9 * time_s / decay_s)
    tail = filtered(tail, "lowpass", rng.uniform(1500, 8000), 1)
    tail[: round(rng.uniform(0.002, 0.03) * RATE_HZ)] = 0
    wet = signal.oaconvolve(x, (tail / np.sqrt((tail**2).sum())).astype(np.float32))[: len(x)]
    return x + wet * 10 ** (wet_db / 20)


def equalise(x, rng, most_db):
    """Raise or lower up to three bands."""
    for _ in range(rng.integers(0, 4)):
        x = peak_filter(
            x, np.exp(rng.uniform(np.log(60), np.log(9000))), rng.uniform(-most_db, most_db), rng.uniform(0.4, 1.8)
        )
    return x


def _levels(x, attack_s, release_s):
    """Return how loud x is, following up within `attack_s` and down within `release_s`, every 4 ms."""
    step = round(0.004 * RATE_HZ)
    blocks = np.abs(x[: len(x) // step * step]).reshape(-1, step).max(axis=1).tolist()
    up, down = np.exp(-0.004 / attack_s), np.exp(-0.004 / release_s)
    level, followed = 0.0, []
    for block in blocks:
        share = up if block > level else down
        level = share * level + (1 - share) * block
        followed.append(level)
    return np.array(followed), step


def compress(x, threshold_db, ratio, attack_s, release_s):
    """Turn down what is louder than a threshold (dB below the loudest), by a ratio."""
    level, step = _levels(x, attack_s, release_s)
    if not len(level) or level.max() < 1e-6:
        return x
    over_db = np.maximum(20 * np.log10(level / level.max() + 1e-6) - threshold_db, 0)
    gain = 10 ** (-over_db * (1 - 1 / ratio) / 20)
    return x * np.interp(np.arange(len(x)), np.arange(len(gain)) * step, gain)


def duck(x, hits_s, depth, release_s):
    """Turn down at every kick and let come back, as dance music is pumped."""
    gain = np.ones(len(x))
    length = round(3 * release_s * RATE_HZ)
    shape = 1 - depth * np.exp(-np.arange(length) / (release_s * RATE_HZ))
    for hit_s in hits_s:
        start = round(hit_s * RATE_HZ)
        if 0 <= start < len(x):
            part = gain[start : start + length]
            np.minimum(part, shape[: len(part)], out=part)
    return x * gain


def limit(x, gain_db):
    """Raise by a gain (dB above the loudest) and hold the peaks down: a loud master."""
    x = x / (np.abs(x).max() + 1e-9) * 10 ** (gain_db / 20)
    level, step = _levels(x, 0.001, 0.06)
    gain = 1 / np.maximum(level, 1.0)
    x = x * np.interp(np.arange(len(x)), np.arange(len(gain)) * step, gain)
    return np.where(np.abs(x) > 0.9, np.sign(x) * (0.9 + 0.1 * np.tanh((np.abs(x) - 0.9) / 0.1)), x)
