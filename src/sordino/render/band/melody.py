"""Melodies and riffs made up over chords: short motifs that return, chord tones where it counts, steps between."""

from __future__ import annotations

import numpy as np

from ..scores.pieces import SCALES, Note
from .figures import read_figure

# What a beat of a melody may be, in duple and in compound metre, from calm to busy.
_CELLS = ("x---", "----", "x-x-", "--x-", "x--x", "x-xx", "xxx-", "xxxx", ".x-x", "....", "x-.x")
_CALM = np.array([4, 4, 4, 1.5, 1, 0.5, 0.5, 0.2, 0.3, 2, 0.5])
_BUSY = np.array([1.5, 1, 3, 2, 2, 2, 1.5, 2.5, 1, 1, 1])
_TRIPLE_CELLS = ("x--", "---", "x-x", "xxx", "-x-", "...")
_TRIPLE = np.array([3, 2, 3, 2, 0.5, 1.5])
_SWUNG_CELLS = ("x-", "--", "xx", ".x", "..", "xxx")
_SWUNG = np.array([3, 2, 4, 1.5, 1.5, 0.7])
_PENTATONIC = {"major": (0, 2, 4, 7, 9), "minor": (0, 3, 5, 7, 10), "blue": (0, 3, 5, 6, 7, 10)}


def scale_of(chart, rng):
    """Return the scale degrees a soloist uses: the mode's own, five tones of it, or blue ones."""
    bluesy = chart.style.harmony in ("blues", "vamp", "rock", "metal")
    if bluesy and rng.random() < 0.5:
        return _PENTATONIC["blue" if chart.mode == "minor" or rng.random() < 0.5 else "major"]
    return _PENTATONIC[chart.mode] if rng.random() < 0.4 else SCALES[chart.mode]


def _rhythm(chart, n_beats, busy, rng):
    if chart.beat_q == 1.5:
        cells, weights = _TRIPLE_CELLS, _TRIPLE
    elif chart.style.swing and chart.style.swing[0] == "8":
        cells, weights = _SWUNG_CELLS, _SWUNG
    else:
        cells, weights = _CELLS, _BUSY if busy else _CALM
    return " ".join(cells[i] for i in rng.choice(len(cells), n_beats, p=weights / weights.sum()))


def make_melody(chart, low, high, rng):
    """Return a melody for the whole chart, within a range.

    A phrase of two bars has a rhythm of its own; it comes back, sometimes as it was, sometimes another one between.
    """
    busy = chart.beat_s > 0.55 or (chart.beat_s > 0.4 and rng.random() < 0.4)
    phrases = [_rhythm(chart, 2 * chart.beats, busy, rng) for _ in range(2)]
    order = str(rng.choice(["aaba", "abab", "aaab", "abac"]))
    scale = scale_of(chart, rng)
    tones = [p for p in range(low, high + 1) if (p - chart.tonic) % 12 in scale]
    at = len(tones) // 2 + int(rng.integers(-2, 3))
    notes, moves = [], {}
    for phrase in range(-(-chart.n_bars // 2)):
        letter = order[phrase % 4]
        rhythm = phrases["ab".find(letter)] if letter in "ab" else _rhythm(chart, 2 * chart.beats, busy, rng)
        strokes, _ = read_figure(rhythm)
        if letter not in moves or len(moves[letter]) != len(strokes):
            moves[letter] = rng.choice(
                [-3, -2, -1, 0, 1, 2, 3], len(strokes), p=[0.06, 0.12, 0.26, 0.12, 0.26, 0.12, 0.06]
            )
        for stroke, move in zip(strokes, moves[letter], strict=True):
            onset_q = (phrase * 2 * chart.beats + stroke.onset) * chart.beat_q
            if onset_q >= chart.end_q - 1e-6:
                break
            chord, _ = chart.chord_at(onset_q)
            at = int(np.clip(at + move, 1, len(tones) - 2))
            pitch = tones[at]
            strong = stroke.onset % 1 == 0 or stroke.duration >= 1
            if strong and chord.intervals:
                inside = [p for p in range(low, high + 1) if (p - chord.root) % 12 in {i % 12 for i in chord.intervals}]
                pitch = min(inside, key=lambda p, here=pitch: abs(p - here))
                at = min(range(len(tones)), key=lambda i, here=pitch: abs(tones[i] - here))
            notes.append(Note(onset_q, stroke.duration * chart.beat_q, pitch))
    return notes


def make_riff(chart, low, high, rng):
    """Return a figure of one or two bars that goes on and on, moved along with the roots of the chords."""
    n_beats = chart.beats * int(rng.choice([1, 2]))
    strokes, _ = read_figure(_rhythm(chart, n_beats, True, rng))
    scale = _PENTATONIC["minor" if chart.mode == "minor" or rng.random() < 0.4 else "major"]
    steps = [0, *rng.choice(scale, max(0, len(strokes) - 1), p=np.array([4, 1.5, 1.5, 2, 1.5]) / 10.5)]
    floor = low + (chart.tonic - low) % 12
    follow = rng.random() < 0.7
    notes = []
    for lap in range(-(-chart.n_bars * chart.beats // n_beats)):
        for stroke, step in zip(strokes, steps, strict=False):
            onset_q = (lap * n_beats + stroke.onset) * chart.beat_q
            if onset_q < chart.end_q - 1e-6:
                chord, _ = chart.chord_at(onset_q)
                pitch = floor + ((chord.root - chart.tonic) % 12 if follow else 0) + int(step)
                while pitch > high:
                    pitch -= 12
                notes.append(Note(onset_q, stroke.duration * chart.beat_q, max(pitch, low)))
    return notes
