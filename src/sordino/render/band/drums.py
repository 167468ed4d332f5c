"""The drummer: patterns of a style from bar to bar, with fills, crashes and variation."""

from __future__ import annotations

from typing import NamedTuple

from .figures import repeat
from .grooves import DRUMS, GROOVES

KICK, SNARE, CRASH = 36, 38, 49
TOMS = (38, 50, 47, 45)
SKINS = {36, 37, 38, 45, 47, 50}
_VELOCITY = {"x": 82, "o": 106, "g": 44}
_PERCUSSION = (
    "N .... x... .... x...",
    "Q xxxx xxxx xxxx xxxx",
    "N x.xx x.xx x.xx x.xx",
    "G ..x. .x.x ..x. .xx.",
    "C .... x... .... x...",
    "W x... x... x... x...",
)


class Hit(NamedTuple):
    """One stroke: its position in quarter notes, General MIDI drum and velocity."""

    onset_q: float
    drum: int
    velocity: int


def play(chart, sections, crash, rng):
    """Return the hits of a chart.

    Args:
        chart: gives style and metre.
        sections: where the drums are silent; a fill leads into a new section.
        crash: whether the kit has a crash cymbal.
        rng: draws the patterns, fills and loudness.
    """
    options = GROOVES[chart.style.grooves[rng.integers(len(chart.style.grooves))]]
    pattern = dict(options[rng.integers(len(options))])
    if "H" in pattern and "D" not in pattern and rng.random() < 0.12:
        pattern["D"] = pattern.pop("H")
    if chart.beats == 4 and rng.random() < 0.12:
        extra = _PERCUSSION[rng.integers(len(_PERCUSSION))]
        pattern.setdefault(extra[0], extra[2:])
    flat = rng.uniform(2, 14) if chart.style.time != "machine" else rng.uniform(0, 4)  # spread of velocities
    missing = rng.choice([0.0, 0.0, 0.03])
    phrase = int(rng.choice([2, 4, 4, 8]))
    offset = int(rng.integers(phrase))
    ends = {section.last - 1 for section in sections[:-1]} | {
        b for b in range(chart.n_bars) if (b + offset) % phrase == phrase - 1
    }
    fills = {bar: _fill(chart, bar, rng) for bar in ends if rng.random() < 0.55}
    hits = []
    for letter, figure in pattern.items():
        drum = DRUMS[letter]
        for stroke, onset in repeat(figure, chart.n_bars, chart.beats):
            fill = fills.get(int(onset // chart.beats))
            if (fill and onset * chart.beat_q >= fill[0]) or (missing and rng.random() < missing):
                continue
            hits.append(Hit(onset * chart.beat_q, drum, _loud(_VELOCITY[stroke.symbol], flat, rng)))
    for _, strokes in fills.values():
        hits.extend(strokes)
    starts = {section.first for section in sections} | {bar + 1 for bar in fills}
    for bar in starts if crash else ():
        if rng.random() < 0.6:
            hits.append(Hit(bar * chart.bar_q, CRASH, _loud(100, 8, rng)))
    return [hit for hit in hits if hit.onset_q < chart.end_q]


def _loud(base, spread, rng):
    return int(min(127, max(12, base + rng.normal(0, spread))))


def _fill(chart, bar, rng):
    """Return (where it begins, its hits): the last beat or two of a bar on snare and toms, or a stop."""
    n_beats = min(int(rng.integers(1, 3)), chart.beats)
    start_q = (bar + 1) * chart.bar_q - n_beats * chart.beat_q
    kind = rng.choice(["toms", "snare", "sparse", "stop"], p=[0.45, 0.25, 0.2, 0.1])
    compound = chart.beat_q == 1.5
    n_steps = n_beats * (3 if compound else (4 if chart.beat_s > 0.36 else 2))
    hits = []
    for step in range(n_steps if kind != "stop" else 0):
        drum = TOMS[min(step * 4 // n_steps, 3)] if kind != "snare" else SNARE
        if kind == "sparse" and rng.random() < 0.5:
            continue
        loudness = _loud(75 + 30 * step / n_steps, 8, rng)
        hits.append(Hit(start_q + step * n_beats * chart.beat_q / n_steps, drum, loudness))
    return start_q, hits
