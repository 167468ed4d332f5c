"""Band-limited waves in tables, and the rate at which clips are made."""

from __future__ import annotations

from functools import cache

import numpy as np

RATE_HZ = 24_000
TABLE = 2048  # values in a period


def hertz(pitch):
    """Return the frequency of a MIDI pitch, which may be fractional."""
    return 440.0 * 2 ** ((pitch - 69) / 12)


@cache
def wavetable(wave, n_harmonics):
    """Return one period of a wave made of so many harmonics, of about unit power."""
    k = np.arange(1, n_harmonics + 1)
    amplitude = {
        "sine": (k == 1) * 1.0,
        "saw": 1 / k,
        "square": (k % 2) / k,
        "pulse": np.sin(np.pi * k * 0.28) / k,
        "thin": np.sin(np.pi * k * 0.12) / k,
        "triangle": (k % 2) * np.where(k % 4 == 1, 1, -1) / k**2,
        "glottis": k**-1.35,
    }[wave]
    spectrum = np.zeros(TABLE // 2 + 1, dtype=complex)
    spectrum[1 : n_harmonics + 1] = -0.5j * amplitude * TABLE
    table = np.fft.irfft(spectrum, TABLE)
    return (table / np.sqrt(np.mean(table**2)) * 0.35).astype(np.float32)


def look_up(table, phase):
    """Return the values of a table at phases counted in periods."""
    return table[(phase * TABLE).astype(np.int32) & (TABLE - 1)]
