"""From activations to beats: sub-frame peaks, a tracker by dynamic programming, and bars.

Paper: Krebs, Boeck and Widmer, An efficient state-space model for joint tempo and meter tracking, 2015
(tempo may change at beats only, at a cost that grows with the relative change); Ellis, Beat Tracking by
Dynamic Programming, 2007.
Differs: ours is a semi-Markov model: its state is (time of a beat, interval since the last). A path's score
is the sum of its beats' logits (the log-likelihood ratio against a model without beats) less the cost of
tempo changes, so pieces without beats cost nothing, and a path begins and ends where the music does.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float

GRID_HZ = 100.0
LOW_BPM, HIGH_BPM = 30.0, 300.0
CHANGE_COST = 60.0  # for a change of the interval by a factor e; a change by 2 % costs 1.2
MAX_LOGIT = 4.0
METERS = {2: -2.0, 3: 0.0, 4: 0.0, 5: -3.0, 6: -2.0, 7: -3.0}  # beats per bar and how likely, as a log
METER_CHANGE = -6.0
FIRST = 255  # pointer of a path's first beat


def to_logit(probability: np.ndarray) -> np.ndarray:
    """Log odds, within +-MAX_LOGIT."""
    p = np.clip(np.asarray(probability, dtype=float), 1e-6, 1 - 1e-6)
    return np.clip(np.log(p) - np.log1p(-p), -MAX_LOGIT, MAX_LOGIT)


def pick_peaks(
    activation: Float[np.ndarray, " frame"], frame_rate_hz: float, threshold: float, apart_s: float = 0.07
) -> Float[np.ndarray, " beat"]:
    """Times of the local maxima above `threshold`, the highest within `apart_s`, finer than a frame."""
    reach = max(1, int(apart_s * frame_rate_hz))
    padded = np.pad(activation, reach, constant_values=-np.inf)
    highest = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(1)
    peaks = np.flatnonzero((activation >= highest) & (activation > threshold))
    if len(peaks) == 0:
        return np.zeros(0)
    times = (peaks + peak_offset(activation, peaks)) / frame_rate_hz
    return times[np.concatenate([[True], np.diff(peaks) > reach])]  # of a plateau the first


def peak_offset(activation: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """Where the top of a triangle through a peak and its neighbours is, within half a frame."""
    inside = (peaks > 0) & (peaks < len(activation) - 1)
    left = activation[np.maximum(peaks - 1, 0)]
    right = activation[np.minimum(peaks + 1, len(activation) - 1)]
    height = activation[peaks] - np.minimum(left, right)
    offset = np.where(height > 0, (right - left) / (2 * np.where(height > 0, height, 1.0)), 0.0)
    return np.where(inside, np.clip(offset, -0.5, 0.5), 0.0)


def track_beats(
    activation: Float[np.ndarray, " frame"],
    frame_rate_hz: float,
    low_bpm: float = LOW_BPM,
    high_bpm: float = HIGH_BPM,
) -> Float[np.ndarray, " beat"]:
    """The best path of beats through an activation (probabilities), in seconds.

    Args:
        activation: the probability of a beat in each frame.
        frame_rate_hz: of the activation.
        low_bpm: the slowest tempo.
        high_bpm: the fastest.
    """
    n_frames = round(len(activation) / frame_rate_hz * GRID_HZ)
    if n_frames < 2:
        return np.zeros(0)
    logit = np.interp(np.arange(n_frames) / GRID_HZ, np.arange(len(activation)) / frame_rate_hz, to_logit(activation))
    interval = np.arange(int(60 * GRID_HZ / high_bpm), int(np.ceil(60 * GRID_HZ / low_bpm)) + 1)
    end, last, pointer = _forward(logit, interval)
    beats = []
    while end >= 0:
        beats.append(end)
        if last == FIRST:
            break
        end -= interval[last]
        last = pointer[end, last]
    refined = _refined(np.array(beats[::-1], dtype=float) / GRID_HZ, np.asarray(activation), frame_rate_hz)
    return np.unique(refined)  # where frames are far apart, several may have moved to one


def _forward(logit: np.ndarray, interval: np.ndarray) -> tuple[int, int, np.ndarray]:
    """Every path at once.

    Returns:
        The end of the best path (-1: none), its last interval's index, and per (time, next interval) the
        index of the interval before.
    """
    n, width, block = len(logit), len(interval), int(interval[0])
    cost = CHANGE_COST * np.log(interval)
    turns = -(-int(interval[-1]) // block) + 1  # blocks that the ring holds
    onward = np.full((turns, block, width), -np.inf)  # ring: best scores of beats there that go on with an interval
    pointer = np.full((n, width), FIRST, dtype=np.uint8)
    best, best_end, best_last = 0.0, -1, FIRST
    before = (np.arange(block)[:, None] - interval) * width + np.arange(width)  # in the ring, from its first block
    came = [(before + turn * block * width) % onward.size for turn in range(turns)]
    for first in range(0, n, block):  # a block is the shortest interval: nothing in it depends on the rest of it
        turn, own = first // block % turns, logit[first : first + block, None]
        score = onward.take(came[turn][: len(own)]) + own  # what lies before time 0 is -inf
        row, last = divmod(int(score.argmax()), width)
        if score[row, last] > best:
            best, best_end, best_last = float(score[row, last]), first + row, last
        value, origin = _changed(score, cost)
        onward[turn, : len(own)] = np.maximum(own, value)
        pointer[first : first + block] = np.where(own >= value, FIRST, origin)
    return best_end, best_last, pointer


def _changed(score: np.ndarray, cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """max over j of score[:, j] - |cost[i] - cost[j]| for each i, and the j: two running maxima."""
    falling = torch.from_numpy(score - cost).flip(1)
    (up, from_below), (down, mirrored) = torch.cummax(torch.from_numpy(score + cost), 1), torch.cummax(falling, 1)
    below, above = up.numpy() - cost, down.flip(1).numpy() + cost
    origin = np.where(below >= above, from_below.numpy(), score.shape[1] - 1 - mirrored.flip(1).numpy())
    return np.maximum(below, above), origin


def _refined(beats: np.ndarray, activation: np.ndarray, frame_rate_hz: float) -> np.ndarray:
    """Each beat moved to the top of the peak it stands on, if that is within a frame."""
    peaks = pick_peaks(activation, frame_rate_hz, threshold=0.0, apart_s=0.0)
    if len(peaks) == 0 or len(beats) == 0:
        return beats
    right = np.clip(np.searchsorted(peaks, beats), 0, len(peaks) - 1)
    left = np.maximum(right - 1, 0)
    nearest = np.where(np.abs(peaks[left] - beats) < np.abs(peaks[right] - beats), peaks[left], peaks[right])
    moved = np.where(np.abs(nearest - beats) <= 1.0 / frame_rate_hz, nearest, beats)
    return np.maximum(moved, 0.0)


def find_bars(downbeat_probability: Float[np.ndarray, " beat"]) -> np.ndarray:
    """Which beats begin a bar: Viterbi over (meter, place in the bar), [beat] of bool."""
    states = [(meter, place) for meter in METERS for place in range(meter)]
    is_down = np.array([place == 0 for _, place in states])
    prior = np.array([METERS[meter] for meter, _ in states])
    ends = [index for index, (meter, place) in enumerate(states) if place == meter - 1]
    logit = to_logit(downbeat_probability)
    score, pointers = prior + np.where(is_down, logit[0], 0.0), []
    for value in logit[1:]:
        before = np.arange(len(states)) - 1
        came = score[before]
        best = ends[int(np.argmax(score[ends]))]
        for end, (meter, _) in zip(ends, (states[e] for e in ends), strict=True):
            down = end - meter + 1
            stay, change = score[end], score[best] + METER_CHANGE + METERS[meter]
            before[down], came[down] = (end, stay) if stay >= change else (best, change)
        score = came + np.where(is_down, value, 0.0)
        pointers.append(before)
    path = [int(np.argmax(score))]
    for before in reversed(pointers):
        path.append(int(before[path[-1]]))
    return is_down[path[::-1]]
