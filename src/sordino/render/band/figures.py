"""Rhythmic figures written as text, for drums, basses and chords alike.

One character is one step, a space ends a beat, and a beat has as many steps as it has characters: ``x.x. xxx`` is
two sixteenths-with-gaps and then a triplet. ``.`` is silence, ``-`` holds what sounds, any other character is a
stroke whose meaning the player knows. A figure may last any number of beats and is repeated from each bar line (or,
when it is longer than a bar, from each multiple of its length).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Stroke:
    """One character of a figure: where it begins, how long it lasts (both in beats), and what it says."""

    onset: float
    duration: float
    symbol: str


@cache
def read_figure(text: str) -> tuple[tuple[Stroke, ...], int]:
    """Return the strokes of a figure and its length in beats."""
    strokes: list[Stroke] = []
    beats = text.split()
    for beat, steps in enumerate(beats):
        for index, symbol in enumerate(steps):
            onset, step = beat + index / len(steps), 1 / len(steps)
            if symbol == "-" and strokes:
                last = strokes[-1]
                strokes[-1] = Stroke(last.onset, onset + step - last.onset, last.symbol)
            elif symbol not in ".-":
                strokes.append(Stroke(onset, step, symbol))
    return tuple(strokes), len(beats)


def repeat(text: str, n_bars: int, beats_per_bar: int):
    """Yield (stroke, onset in beats from the first bar) of a figure played through a number of bars."""
    strokes, length = read_figure(text)
    span = -(-length // beats_per_bar) * beats_per_bar  # whole bars
    for lap in range(-(-n_bars * beats_per_bar // span)):
        for again in range(-(-span // length)):
            for stroke in strokes:
                inside = again * length + stroke.onset
                onset = lap * span + inside
                if inside < span and onset < n_bars * beats_per_bar:
                    yield stroke, onset
