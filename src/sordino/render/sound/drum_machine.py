"""Drum machines: every drum is synthesised once for a clip and then placed where it is struck.

A machine is a handful of numbers for each group of drums. Those of the two palettes differ in all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .effects import filtered
from .waves import RATE_HZ


@dataclass(frozen=True)
class Machine:
    """Numbers of a machine.

    Attributes:
        kick: start and end frequency in Hz, time constants of the fall and of the sound in s, click level.
        snare: frequency, time constant of its tone, of its noise, high-pass of the noise in Hz, share of noise.
        hat: lowest frequency in Hz, time constants closed and open, share of metallic squares against noise.
        cymbal_s: time constant of ride and crash.
        tom_hz: of the lowest tom.
        clap_s: time constant of the clap's tail.
        bits: of the converter; 0 for as good as it gets.
    """

    kick: tuple[float, float, float, float, float]
    snare: tuple[float, float, float, float, float]
    hat: tuple[float, float, float, float]
    cymbal_s: float
    tom_hz: float
    clap_s: float
    bits: int = 0


MACHINES = {
    "train 808": Machine((130, 48, 0.03, 0.45, 0.2), (180, 0.08, 0.12, 1500, 0.6), (6500, 0.03, 0.25, 0.9), 0.9, 85,
    0.09),
    "train 909": Machine((240, 52, 0.022, 0.2, 0.8), (200, 0.06, 0.15, 1200, 0.75), (7000, 0.035, 0.3, 0.3), 1.2, 95,
    0.12),
    "train vinyl": Machine((160, 62, 0.02, 0.14, 0.5), (220, 0.05, 0.09, 800, 0.7), (5000, 0.04, 0.2, 0.1), 0.7, 110,
    0.08, 8),
    "train toy": Machine((300, 70, 0.015, 0.1, 0.3), (330, 0.04, 0.07, 2500, 0.5), (8000, 0.02, 0.12, 0.6), 0.4, 150,
    0.05),
    "test 606": Machine((190, 58, 0.016, 0.17, 0.35), (260, 0.05, 0.1, 2000, 0.65), (7800, 0.025, 0.18, 1.0), 0.5, 130,
    0.07),
    "test linn": Machine((150, 68, 0.018, 0.12, 1.0), (240, 0.07, 0.13, 1000, 0.8), (5600, 0.045, 0.35, 0.0), 1.0, 100,
    0.14, 8),
    "test acoustic": Machine((115, 65, 0.012, 0.11, 0.6), (190, 0.09, 0.16, 700, 0.65), (4500, 0.05, 0.4, 0.2), 1.4,
    90, 0.1),
    "test glitch": Machine((420, 44, 0.035, 0.3, 1.2), (400, 0.025, 0.05, 3500, 0.9), (9000, 0.012, 0.09, 0.5), 0.3,
    180, 0.04, 6),
}  # fmt: skip
_TOMS = {45: 1.0, 47: 1.35, 50: 1.8, 62: 2.6, 64: 1.9}
_LEVEL = {
    36: 1.0,
    38: 0.8,
    37: 0.5,
    39: 0.6,
    42: 0.3,
    44: 0.2,
    46: 0.35,
    51: 0.3,
    53: 0.3,
    49: 0.5,
    56: 0.3,
    75: 0.3,
    70: 0.15,
    54: 0.2,
}


def play(machine, hits, n_samples, rng):
    """Return the drums of a clip [time].

    Args:
        machine: a name in `MACHINES`.
        hits: (onset in s, General MIDI drum, velocity).
        n_samples: length of the answer.
        rng: a numpy generator.
    """
    out, sounds = np.zeros(n_samples, dtype=np.float32), {}
    for onset_s, drum, velocity in hits:
        if drum not in sounds:
            sound = strike(MACHINES[machine], drum, rng) * _LEVEL.get(drum, 0.5)
            bits = MACHINES[machine].bits
            sounds[drum] = np.round(sound * 2**bits) / 2**bits if bits else sound
        start = round(onset_s * RATE_HZ)
        sound = sounds[drum][max(0, -start) : max(0, n_samples - start)]
        out[max(0, start) : max(0, start) + len(sound)] += sound.astype(np.float32) * np.float32(
            (velocity / 110) ** 1.5
        )
    return out


def strike(machine, drum, rng):
    """Return one stroke [time] of a General MIDI drum."""
    if drum == 36:
        start_hz, end_hz, fall_s, decay_s, click = machine.kick
        t = _time(5 * decay_s)
        angle = 2 * np.pi * (end_hz * t + (start_hz - end_hz) * fall_s * (1 - np.exp(-t / fall_s)))
        return np.sin(angle) * np.exp(-t / decay_s) + click * 0.5 * _noise(t, rng) * np.exp(-t / 0.003)
    if drum == 38:
        hz, tone_s, noise_s, high_hz, share = machine.snare
        t = _time(5 * max(tone_s, noise_s))
        tone = (np.sin(2 * np.pi * hz * t) + 0.5 * np.sin(2 * np.pi * 1.78 * hz * t)) * np.exp(-t / tone_s)
        return (1 - share) * tone + share * _above(_noise(t, rng), high_hz) * np.exp(-t / noise_s)
    if drum == 39:
        t = _time(5 * machine.clap_s)
        bursts = sum(np.exp(-np.maximum(t - d, 0) / 0.006) * (t >= d) for d in (0.0, 0.011, 0.021))
        return _band(_noise(t, rng), 900, 3500) * (bursts + 0.6 * np.exp(-t / machine.clap_s) * (t >= 0.028))
    if drum in _TOMS:
        hz, t = machine.tom_hz * _TOMS[drum], _time(0.8)
        angle = 2 * np.pi * hz * (t + 0.012 * (1 - np.exp(-t / 0.03)))
        return np.sin(angle) * np.exp(-t / 0.16) + 0.15 * _noise(t, rng) * np.exp(-t / 0.01)
    if drum in (37, 75):
        t = _time(0.12)
        return (np.sin(2 * np.pi * (1700 if drum == 37 else 2500) * t) + 0.3 * _noise(t, rng)) * np.exp(-t / 0.015)
    if drum == 56:
        t = _time(0.5)
        squares = np.sign(np.sin(2 * np.pi * 562 * t)) + np.sign(np.sin(2 * np.pi * 845 * t))
        return _band(squares, 500, 4000) * np.exp(-t / 0.07)
    low_hz, closed_s, open_s, metal = machine.hat
    decay_s = {42: closed_s, 44: closed_s, 46: open_s, 70: 0.02, 54: 0.06}.get(drum, machine.cymbal_s)
    t = _time(min(4 * decay_s, 2.5))
    squares = sum(np.sign(np.sin(2 * np.pi * hz * t)) for hz in (2053, 3047, 3693, 5225, 5400, 8000)) / 4
    body = metal * squares + (1 - metal) * _noise(t, rng)
    if drum in (51, 53):  # a ping above the wash
        ping = np.sin(2 * np.pi * (3100 if drum == 51 else 1900) * t) * np.exp(-t / 0.12)
        return 0.5 * _above(body, low_hz) * np.exp(-t / decay_s) + (0.5 if drum == 51 else 1.0) * ping
    return _above(body, low_hz * (0.5 if drum == 49 else 1.0)) * np.exp(-t / decay_s)


def _time(seconds):
    return np.arange(round(seconds * RATE_HZ)) / RATE_HZ


def _noise(t, rng):
    return rng.standard_normal(len(t)) * 0.5


def _above(x, hz):
    return filtered(x, "highpass", hz)


def _band(x, low_hz, high_hz):
    return filtered(x, "bandpass", (low_hz, high_hz))
