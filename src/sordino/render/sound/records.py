"""Kinds of recordings: how they are made and what becomes of them on their way to a listener.

Everything is drawn within the limits of the kind, wide enough that a spectrum alone does not give away what was played.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import signal

from sordino.disturbances import through_codec

from .effects import compress, equalise, filtered, limit, room
from .waves import RATE_HZ


@dataclass(frozen=True)
class Record:
    """A kind of recording.

    Attributes:
        room_s: reverberation time, shortest and longest.
        wet_db: level of the room, lowest and highest.
        compression: how likely the mix is compressed.
        loud_db: by how much the limiter drives the master over full scale, lowest and highest; 0 for not at all.
        saturation: how likely the tape or the desk saturates.
        noise_db: level of noise under the music, lowest and highest.
        narrow: how likely the band is limited.
        vinyl: how likely it crackles.
    """

    room_s: tuple[float, float]
    wet_db: tuple[float, float]
    compression: float
    loud_db: tuple[float, float]
    saturation: float
    noise_db: tuple[float, float]
    narrow: float
    vinyl: float


RECORDS = {
    "modern": Record((0.2, 1.4), (-26, -10), 0.8, (3, 12), 0.3, (-80, -45), 0.08, 0.0),
    "club": Record((0.2, 1.8), (-26, -10), 0.8, (3, 12), 0.3, (-80, -50), 0.08, 0.05),
    "band": Record((0.2, 1.6), (-22, -6), 0.6, (0, 8), 0.35, (-70, -35), 0.15, 0.08),
    "vintage": Record((0.3, 1.8), (-18, -3), 0.5, (0, 5), 0.6, (-50, -22), 0.5, 0.3),
    "live": Record((0.4, 2.2), (-18, 0), 0.4, (0, 4), 0.2, (-60, -25), 0.15, 0.03),
    "hall": Record((0.8, 3.0), (-14, 2), 0.1, (0, 0), 0.1, (-65, -28), 0.2, 0.08),
    "lo-fi": Record((0.2, 1.0), (-20, -6), 0.6, (0, 6), 0.8, (-40, -16), 0.8, 0.7),
}
CODED = 0.3
"""How likely a clip is coded as MP3 or Vorbis and decoded again."""


def produce(x, kind, rng):
    """Return a mix [time] in its room, equalised, compressed and driven, as far as it was in the studio.

    Args:
        x: the mix.
        kind: a name in `RECORDS`.
        rng: a numpy generator.
    """
    record = RECORDS[kind]
    x = x / (np.abs(x).max() + 1e-9)
    if rng.random() < 0.85:
        x = room(x, rng, rng.uniform(*record.room_s), rng.uniform(*record.wet_db))
    x = equalise(x, rng, 7)
    if rng.random() < record.compression:
        x = compress(x, rng.uniform(-24, -8), rng.uniform(1.5, 5), rng.uniform(0.002, 0.03), rng.uniform(0.05, 0.3))
    if rng.random() < record.saturation:
        drive = rng.uniform(1.2, 4.0) / (np.abs(x).max() + 1e-9)
        x = np.tanh(drive * x)
    loud_db = rng.uniform(*record.loud_db)
    return limit(x, loud_db) if loud_db > 0 else x


def wear(x, kind, rng):
    """Return a clip [time] within +-1 as it reaches a listener: noise, crackle, narrow bands, codecs, its level.

    Args:
        x: the clip.
        kind: a name in `RECORDS`.
        rng: a numpy generator.
    """
    record = RECORDS[kind]
    # One clip in five may be as bad as recordings get, whatever its kind.
    noise_db = rng.uniform(-40, -3) if rng.random() < 0.08 else rng.uniform(*record.noise_db)
    x = x + noise(len(x), rng) * (np.sqrt(np.mean(x**2)) + 1e-9) * 10 ** (noise_db / 20)
    if rng.random() < record.vinyl:
        x = x + crackle(len(x), rng) * (np.abs(x).max() + 1e-9)
    if rng.random() < record.narrow:
        x = filtered(x, "lowpass", rng.uniform(2500, 9000))
        if rng.random() < 0.5:
            x = filtered(x, "highpass", rng.uniform(60, 350))
    x = x / (np.abs(x).max() + 1e-9)
    if rng.random() < CODED:
        x = code(0.95 * x, rng)
    peak_db = rng.uniform(-3, -0.1) if rng.random() < 0.75 else rng.uniform(-24, -3)
    return (x * 10 ** (peak_db / 20) / (np.abs(x).max() + 1e-9)).astype(np.float32)


def noise(n, rng):
    """Return coloured noise of unit RMS: white, pink, brown or something between, sometimes with mains hum."""
    spectrum = np.fft.rfft(rng.standard_normal(n, dtype=np.float32))
    frequency_hz = np.maximum(np.fft.rfftfreq(n, 1 / RATE_HZ), 20.0)
    shaped = np.fft.irfft(spectrum * frequency_hz ** -rng.uniform(0, 1), n)
    shaped /= np.sqrt(np.mean(shaped**2)) + 1e-9
    if rng.random() < 0.1:
        mains_hz = rng.choice([50.0, 60.0]) * rng.integers(1, 3)
        shaped += np.sin(2 * np.pi * mains_hz / RATE_HZ * np.arange(n))
    return shaped


def crackle(n, rng):
    """Return the clicks and the rumble of a worn record, of peak level below 0.3."""
    out = np.zeros(n)
    n_clicks = rng.poisson(n / RATE_HZ * rng.uniform(2, 40))
    out[rng.integers(0, n, n_clicks)] = rng.exponential(0.03, n_clicks) * rng.choice([-1, 1], n_clicks)
    out = signal.lfilter([1.0], [1.0, -rng.uniform(0.1, 0.7)], out)
    rumble = filtered(rng.standard_normal(n), "lowpass", 60)
    return np.clip(out, -0.3, 0.3) + rumble * rng.uniform(0, 0.02)


def code(x, rng):
    """Return x after a round trip through a lossy codec."""
    kind, subtype = (("MP3", "MPEG_LAYER_III"), ("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"))[rng.integers(3)]
    level = float(rng.uniform(0.3, 0.95))
    return through_codec(x.astype(np.float32), RATE_HZ, kind, subtype, compression_level=level).astype(float)
