"""Voices without words: a glottal wave through the resonances of vowels, with vibrato, glides and breath.

A soprano's ah is no singing, but it has what singing does to spectra: formants that stay while the pitch moves, pitches
that slide and shake. Parts of one voice glide from note to note, choirs sing chords.

Paper: Peterson and Barney, Control Methods Used in a Study of the Vowels, 1952 (formants, men and women averaged).
"""

from __future__ import annotations

import numpy as np
from scipy import signal

from .waves import RATE_HZ, hertz, look_up, wavetable

# First three formants in Hz and their levels.
FORMANTS = {
    "a": ((790, 1.0), (1180, 0.6), (2650, 0.25)), "e": ((570, 1.0), (2000, 0.4), (2600, 0.3)),
    "i": ((300, 1.0), (2450, 0.3), (3100, 0.25)), "o": ((480, 1.0), (900, 0.5), (2550, 0.12)),
    "u": ((330, 1.0), (880, 0.25), (2450, 0.06)),
}  # fmt: skip


def sing(notes, n_samples, rng, *, size, vowels, vibrato_cents, vibrato_hz, glide_s, breath, voices):
    """Return a part [time].

    Args:
        notes: (onset in s, duration in s, fractional MIDI pitch, velocity), in order.
        n_samples: length of the answer.
        rng: a numpy generator.
        size: moves the formants up (above 1: a smaller head) or down.
        vowels: letters of `FORMANTS`; each note takes one.
        vibrato_cents: depth.
        vibrato_hz: rate.
        glide_s: time constant of the slide into a note.
        breath: noise among the voice.
        voices: how many sing together, each a little different.
    """
    out = np.zeros(n_samples)
    mean_hz = hertz(np.mean([pitch for _, _, pitch, _ in notes])) if notes else 220.0
    table = wavetable("glottis", max(3, min(60, int(0.4 * RATE_HZ / mean_hz / 1.5))))
    sources = {vowel: np.zeros(n_samples) for vowel in vowels}
    for _ in range(voices):
        cents, shake_hz = rng.normal(0, 6 if voices > 1 else 0), vibrato_hz * rng.uniform(0.93, 1.07)
        before = None
        for onset_s, duration_s, pitch, velocity in notes:
            start, n = round(max(onset_s, 0) * RATE_HZ), round((duration_s + 0.12) * RATE_HZ)
            n = min(n, n_samples - start)
            if n <= 0:
                continue
            t = np.arange(n) / RATE_HZ
            deep = vibrato_cents * np.clip((t - 0.15) / 0.3, 0, 1)  # straight at first, then shaking
            bend = deep * np.sin(2 * np.pi * shake_hz * t + rng.uniform(0, 6)) + cents
            if before is not None and abs(before - pitch) < 13:
                bend = bend + 100 * (before - pitch) * np.exp(-t / glide_s)
            else:
                bend = bend - rng.uniform(0, 80) * np.exp(-t / glide_s)
            phase = np.cumsum(hertz(pitch) * 2 ** (bend / 1200)) / RATE_HZ + rng.uniform()
            level = np.minimum(t / 0.035, 1) * np.exp(-np.maximum(t - duration_s, 0) / 0.03)
            sung = look_up(table, phase) + breath * 0.35 * rng.standard_normal(n)
            sources[vowels[rng.integers(len(vowels))]][start : start + n] += sung * level * (velocity / 100) ** 1.5
            before = pitch if voices == 1 else None
    for vowel, source in sources.items():
        for centre_hz, level in FORMANTS[vowel]:
            peak = signal.iirpeak(min(centre_hz * size, 0.45 * RATE_HZ), 6.0, fs=RATE_HZ)
            out += level * np.asarray(signal.lfilter(*peak, source))
        out += 0.04 * source
    return 1.6 * out.astype(np.float32) / np.sqrt(voices)
