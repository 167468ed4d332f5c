"""From instruments to a recording: buses with their effects, balance, then `records`."""

from __future__ import annotations

import numpy as np
from scipy import signal

from . import effects
from .records import produce, wear
from .synth import BUSES, SAMPLE_RATE_HZ
from .waves import RATE_HZ as CLIP_RATE_HZ

# How loud a bus is against the others, in dB, lowest and highest.
_BALANCE_DB = {"keys": (-5, 1), "guitar": (-7, 0), "drums": (-3, 5), "lead": (-5, 2)}


def to_buses(rendered, rng):
    """Return the buses of a rendering [bus 2 time] as a dict of mono [time] at `CLIP_RATE_HZ`.

    Most recordings are heard in both channels at once; now and then only one of them is left.

    Args:
        rendered: stereo audio of `synth.Synth`.
        rng: a numpy generator.
    """
    left = 0.5 if rng.random() < 0.8 else float(rng.choice([0.0, 1.0, rng.uniform()]))
    found = {}
    for name, stereo in zip(BUSES, rendered, strict=True):
        mono = left * stereo[0] + (1 - left) * stereo[1]
        heard = np.abs(mono).max() > 0
        n = len(mono) * CLIP_RATE_HZ // SAMPLE_RATE_HZ
        found[name] = signal.resample_poly(mono, 2, 3)[:n] if heard else np.zeros(n, dtype=np.float32)
    return found


def mix(buses, kicks_s, drive, beat_s, record, rng):
    """Return the mix [time] of a rendering, with its lead, before it is cut and worn.

    Args:
        buses: of `to_buses`, with the patches added.
        kicks_s: when the kick is struck.
        drive: how hard the guitar amplifier is driven, 0 for not at all.
        beat_s: length of a beat, for echoes.
        record: a kind of recording.
        rng: a numpy generator.
    """
    if drive and np.abs(buses["guitar"]).max() > 0:
        buses["guitar"] = effects.amplifier(buses["guitar"], drive * rng.uniform(0.6, 1.5), rng)
    elif rng.random() < 0.3:
        buses["guitar"] = effects.chorus(buses["guitar"], rng)
    for name in ("keys", "lead"):
        if rng.random() < 0.25:
            buses[name] = effects.chorus(buses[name], rng)
        elif rng.random() < 0.08:
            buses[name] = effects.tremolo(buses[name], rng)
    if rng.random() < 0.3:
        # Echoes in time with the music, or not.
        delay_s = beat_s * rng.choice([0.5, 0.75, 1.0, 1 / 3]) if rng.random() < 0.7 else rng.uniform(0.08, 0.4)
        buses["lead"] = effects.echo(buses["lead"], delay_s, rng.uniform(0.15, 0.5), rng)
    if record == "club" and rng.random() < 0.6:
        depth, release_s = rng.uniform(0.3, 0.9), rng.uniform(0.06, 0.2)
        buses["keys"] = effects.duck(buses["keys"], kicks_s, depth, release_s)
    if rng.random() < 0.4:
        buses["drums"] = effects.compress(buses["drums"], rng.uniform(-20, -8), rng.uniform(2, 6), 0.005, 0.12)
    if rng.random() < 0.3:
        buses["drums"] = effects.room(buses["drums"], rng, rng.uniform(0.15, 0.8), rng.uniform(-14, -3))
    total = 0.0
    for name, x in buses.items():
        loudness = np.sqrt(np.mean(x**2))
        if loudness > 1e-6:
            # Between what was played and equal loudness: whatever the sounds are, a balance.
            total = total + x * (0.06 / loudness) ** 0.9 * 10 ** (rng.uniform(*_BALANCE_DB[name]) / 20)
    return produce(np.asarray(total), record, rng)


def finish(x, lead_s, duration_s, record, rng):
    """Return a clip [time] at `CLIP_RATE_HZ` within +-1, cut out of a mix."""
    start = round(lead_s * CLIP_RATE_HZ)
    return wear(x[start : start + round(duration_s * CLIP_RATE_HZ)], record, rng)
