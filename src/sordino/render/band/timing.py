"""Where notes fall in time: tempo curves, swing, and players who are only human.

Conventions: positions in quarter notes from the beginning of what is rendered. Beats are where the curve puts
them; swing moves what lies between beats and never the beats themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# What a way of playing does to the time of beats: deviation of each beat's length, how long a drift of the tempo
# lasts in beats and how far it goes (standard deviation), how likely a ritardando or a pause is.
STEADINESS = {
    "machine": (0.0, 1, 0.0, 0.0),
    "tight": (0.004, 16, 0.006, 0.02),
    "loose": (0.010, 12, 0.016, 0.04),
    "rubato": (0.018, 6, 0.055, 0.25),
}
# Deviation of one stroke, and the spread of how early or late a player is on the whole, in seconds.
LOOSENESS_S = {"machine": (0.0008, 0.0), "tight": (0.005, 0.004), "loose": (0.009, 0.008), "rubato": (0.014, 0.008)}


@dataclass(frozen=True)
class Swing:
    """Uneven halves of a unit: the first lasts `ratio` times as long as the second.

    Attributes:
        unit_q: what is divided unevenly: a beat for swung eighths, half a beat for swung sixteenths.
        ratio: long to short; 1 is straight, 2 the triplet.
        offset_q: where a unit begins.
    """

    unit_q: float
    ratio: float
    offset_q: float = 0.0

    def warp(self, position_q):
        """Return where a position written straight is played."""
        unit, inside = np.divmod((np.asarray(position_q, dtype=float) - self.offset_q) / self.unit_q, 1.0)
        share = self.ratio / (1 + self.ratio)
        inside = np.where(inside < 0.5, 2 * share * inside, share + 2 * (1 - share) * (inside - 0.5))
        return (unit + inside) * self.unit_q + self.offset_q


@dataclass(frozen=True)
class Clock:
    """Turns positions into seconds: straight lines between beats.

    Attributes:
        beats_q: positions of all beats, and one before and after them.
        beats_s: when they are heard.
        swing: of what lies between; None for straight.
    """

    beats_q: tuple[float, ...]
    beats_s: tuple[float, ...]
    swing: Swing | None = None

    def seconds(self, position_q):
        """Return when positions are heard (an array for an array)."""
        position_q = np.asarray(position_q, dtype=float) if self.swing is None else self.swing.warp(position_q)
        return np.interp(position_q, self.beats_q, self.beats_s)


def make_clock(grid_q, tempo_bpm, steadiness, bar_beats, swing, rng) -> Clock:
    """Return a clock for beats at a mean tempo.

    Args:
        grid_q: positions of the beats, evenly spaced, in order.
        tempo_bpm: in beats.
        steadiness: a name in `STEADINESS`.
        bar_beats: index of the first downbeat in the grid, and beats per bar: ritardandi end before a downbeat.
        swing: a `Swing` or None.
        rng: a numpy generator.
    """
    jitter, drift_beats, drift, p_slow = STEADINESS[steadiness]
    n = len(grid_q)
    curve = np.zeros(n)
    if drift:
        knots = rng.normal(0, drift, n // drift_beats + 3)
        curve = np.interp(np.arange(n) / drift_beats + rng.uniform(), np.arange(len(knots)), knots)
        curve = curve - np.median(curve) + rng.normal(0, jitter, n)
    if rng.random() < p_slow:
        first, beats = bar_beats
        ends = np.arange(first + 2 * beats, n + 1, beats)
        if len(ends):
            end, length = int(rng.choice(ends)), int(rng.integers(beats, 2 * beats + 1))
            slow = slice(max(0, end - length), end)
            curve[slow] += np.linspace(0, rng.uniform(0.1, 0.45), length)[-len(curve[slow]) :]
            if rng.random() < 0.35:  # a pause on the last beat
                curve[end - 1] += rng.uniform(0.3, 1.2)
    lengths_s = 60 / tempo_bpm * np.exp(curve)
    beats_s = np.concatenate([[0.0], np.cumsum(lengths_s)])
    step_q = grid_q[1] - grid_q[0]
    beats_q = np.concatenate([grid_q, [grid_q[-1] + step_q]])
    # The curve goes on at the tempo of its ends, so that what lies outside has a time too.
    beats_q = np.concatenate([[beats_q[0] - 64 * step_q], beats_q, [beats_q[-1] + 64 * step_q]])
    beats_s = np.concatenate([[-64 * lengths_s[0]], beats_s, [beats_s[-1] + 64 * lengths_s[-1]]])
    return Clock(tuple(beats_q), tuple(beats_s), swing)


def humanise(onsets_s, steadiness, rng, late_s=0.0):
    """Return onsets as one player plays them.

    Args:
        onsets_s: when they are due.
        steadiness: a name in `LOOSENESS_S`.
        rng: a numpy generator.
        late_s: how far behind the beat the player likes to be.
    """
    spread_s, habit_s = LOOSENESS_S[steadiness]
    onsets_s = np.asarray(onsets_s, dtype=float)
    habit_s = np.clip(rng.normal(late_s, habit_s), -0.02, 0.025) if habit_s else 0.0
    return onsets_s + habit_s + np.clip(rng.normal(0, spread_s, len(onsets_s)), -0.03, 0.03)


def swing_ratio(tempo_bpm, low, high, rng) -> float:
    """Draw a ratio: the faster, the straighter (Friberg and Sundstrom, Swing ratios and ensemble timing, 2002)."""
    straighter = np.clip((tempo_bpm - 120) / 160, 0, 0.8)
    return float(1 + (rng.uniform(low, high) - 1) * (1 - straighter))
