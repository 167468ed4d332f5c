"""Small synthesisers: subtractive, frequency modulation, plucked strings, tone wheels.

Each engine makes one note [time] at `RATE_HZ` from a frequency, a duration and the numbers of a patch; `play` lays
the notes of a part over each other. Notes of one pitch and length sound alike and are computed once.

Papers: Karplus and Strong, Digital Synthesis of Plucked-String and Drum Timbres, 1983; Chowning, The Synthesis
of Complex Audio Spectra by Means of Frequency Modulation, 1973.
Differs: the string's loop filter is applied to the spectrum of each period, which makes it tunable and fast.
"""

from __future__ import annotations

import numpy as np

from . import voices
from .patches import SETTINGS
from .waves import RATE_HZ, TABLE, hertz, look_up, wavetable

_DRAWBARS = (1, 3, 2, 4, 6, 8, 10, 12, 16)  # harmonics of the lowest (16 foot) pipe


def play(patch, notes, n_samples, rng):
    """Return a part [time].

    Args:
        patch: a name in `patches.SETTINGS`.
        notes: (onset in s, duration in s, pitch as fractional MIDI number, velocity 1 to 127), in order.
        n_samples: length of the answer.
        rng: a numpy generator.
    """
    setting = dict(SETTINGS[patch])
    engine = setting.pop("engine")
    if engine == "voice":
        return voices.sing(notes, n_samples, rng, **setting)
    make = {"subtractive": subtractive, "fm": fm, "string": string, "organ": organ}[engine]
    out, known, before = np.zeros(n_samples, dtype=np.float32), {}, None
    glide_s = setting.pop("glide_s", 0.0)
    for onset_s, duration_s, pitch, velocity in notes:
        more = {"from_hz": hertz(before), "glide_s": glide_s} if glide_s and before is not None else {}
        what = (round(pitch, 2), round(duration_s, 2), more.get("from_hz"))
        if what not in known:
            known[what] = make(hertz(pitch), max(round(duration_s, 2), 0.03), rng, **setting, **more).astype(np.float32)
        start = max(0, round(onset_s * RATE_HZ))
        sound = known[what][: max(0, n_samples - start)]
        out[start : start + len(sound)] += sound * np.float32((velocity / 100) ** 1.6)
        before = pitch
    return out


def envelope(n, duration_s, attack_s, decay_s, sustain, release_s):
    """Return attack, exponential decay towards a sustained level, and exponential release."""
    t = np.arange(n, dtype=np.float32) / RATE_HZ
    level = sustain + (1 - sustain) * np.exp(-np.maximum(t - attack_s, 0) / max(decay_s, 1e-3))
    level *= np.minimum(t / max(attack_s, 1e-3), 1.0)
    return level * np.exp(-np.maximum(t - duration_s, 0) / (release_s / 4))


def subtractive(hz, duration_s, rng, *, wave, voices, detune_cents, dark, bright, decay_s, attack_s, sustain, release_s,
                drive=0.0, drop=0.0, from_hz=0.0, glide_s=0.0):  # fmt: skip
    """Detuned oscillators through a filter that closes: from `bright` to `dark` harmonics within `decay_s`."""
    n = round((duration_s + release_s) * RATE_HZ)
    t = np.arange(n, dtype=np.float32) / RATE_HZ
    top = max(1, int(0.45 * RATE_HZ / hz))
    closed, opened = (wavetable(wave, min(count, top)) for count in (dark, bright))
    level = envelope(n, duration_s, attack_s, decay_s, sustain, release_s)
    filtered = np.exp(-t / decay_s) if wave != "sine" else 0.0
    turns = hz * t
    if drop:  # a drum-like fall at the beginning
        turns = turns + hz * drop * 0.04 * (1 - np.exp(-t / 0.04))
    if from_hz:
        turns = turns + (from_hz - hz) * glide_s * (1 - np.exp(-t / glide_s))
    out = np.zeros(n, dtype=np.float32)
    for index in range(voices):
        cents = detune_cents * (2 * index / (voices - 1) - 1) if voices > 1 else 0.0
        phase = turns * np.float32(2 ** (cents / 1200)) + np.float32(rng.uniform())
        low = look_up(closed, phase)
        out += low + filtered * (look_up(opened, phase) - low) if wave != "sine" else low
    out *= level / np.sqrt(voices)
    return np.tanh(drive * out) / np.sqrt(drive) if drive else out


def fm(hz, duration_s, rng, *, ratio, index, decay_s, attack_s, sustain, release_s, index_decay_s, second):
    """One sine modulates another; `second` adds a plain one an octave higher."""
    n = round((duration_s + release_s) * RATE_HZ)
    t = np.arange(n, dtype=np.float32) / RATE_HZ
    depth = np.float32(min(index, 0.35 * RATE_HZ / hz / max(ratio, 1.0))) * (0.25 + 0.75 * np.exp(-t / index_decay_s))
    angle = np.float32(2 * np.pi * hz) * t
    out = np.sin(angle + depth * np.sin(np.float32(ratio) * angle))
    if second:
        out += second * np.sin(2 * angle)
    return 0.4 * out * envelope(n, duration_s, attack_s, decay_s, sustain, release_s)


def string(hz, duration_s, rng, *, decay_s, brightness, pick, stiffness, noise, courses, release_s):
    """A plucked string: the spectrum of each period is that of the one before, damped more the higher.

    Args:
        hz: its frequency.
        duration_s: until it is damped.
        rng: a numpy generator.
        decay_s: time constant of the lowest partials at 110 Hz.
        brightness: 0 to 1, of the pluck and of how long high partials last.
        pick: where it is plucked, as a part of its length.
        stiffness: stretches high partials.
        noise: of the pluck.
        courses: 2 for a pair of strings, one of them an octave higher.
        release_s: how fast it is damped.
    """
    n = round((duration_s + release_s) * RATE_HZ)
    size = 2 ** int(np.ceil(np.log2(1.5 * RATE_HZ / hz)))
    k = np.arange(1, min(size // 2, int(0.45 * RATE_HZ / hz)) + 1)
    tilt = k ** -(2.2 - 1.6 * brightness)
    pluck = np.sin(np.pi * k * pick) * tilt * np.exp(2j * np.pi * rng.uniform(-noise, noise, len(k)))
    periods = np.arange(int(n * hz / RATE_HZ) + 2)
    lasts_s = decay_s * (110 / hz) ** 0.5 / (1 + (0.35 - 0.3 * brightness) * (k - 1))
    turn = 2 * np.pi * k * (np.sqrt(1 + stiffness * k**2) - 1)
    step = -1 / (hz * lasts_s) + 1j * turn
    spectrum = np.zeros((len(periods), size // 2 + 1), dtype=np.complex64)
    spectrum[:, 1 : len(k) + 1] = -0.5j * size * pluck * np.exp(periods[:, None] * step)
    flat = np.fft.irfft(spectrum, size, axis=1).ravel()
    out = np.interp(np.arange(n) * (hz * size / RATE_HZ), np.arange(len(flat)), flat)
    out *= 0.3 / np.sqrt(np.mean(np.abs(pluck) ** 2) * len(k) / 2)
    if courses == 2 and hz < 1200:
        out += 0.5 * string(2.003 * hz, duration_s, rng, decay_s=decay_s, brightness=brightness, pick=pick,
                            stiffness=stiffness, noise=noise, courses=1, release_s=release_s)[:n]  # fmt: skip
    t = np.arange(n) / RATE_HZ
    return out * np.minimum(t / 0.002, 1) * np.exp(-np.maximum(t - duration_s, 0) / (release_s / 4))


def organ(hz, duration_s, rng, *, drawbars, tremolo_hz, click):
    """Tone wheels through a turning loudspeaker."""
    release_s = 0.03
    n = round((duration_s + release_s) * RATE_HZ)
    spectrum = np.zeros(TABLE // 2 + 1, dtype=complex)
    for harmonic, bar in zip(_DRAWBARS, drawbars, strict=True):
        if harmonic * hz / 2 < 0.45 * RATE_HZ:
            spectrum[harmonic] = -0.5j * TABLE * bar / 8
    table = np.fft.irfft(spectrum, TABLE).astype(np.float32)
    t = np.arange(n, dtype=np.float32) / RATE_HZ
    turning = np.sin(2 * np.pi * tremolo_hz * t + rng.uniform(0, 6))
    out = look_up(table, hz / 2 * t + np.float32(0.0006 * hz / tremolo_hz) * turning)
    out = out * (1 + 0.2 * turning) * envelope(n, duration_s, 0.004, 1.0, 1.0, release_s)
    out[: round(0.006 * RATE_HZ)] += click * 0.1 * rng.standard_normal(min(n, round(0.006 * RATE_HZ)))
    return 0.3 * out
