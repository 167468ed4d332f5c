"""Agreement of two chord sequences, through mir_eval.

Paper: Pauwels and Peeters, Evaluating automatically estimated chord sequences, 2013.
Conventions: rows are `[start_s, end_s, chord]` in order of time; what no row of the
reference covers is not compared.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from sordino.tasks import _mir_eval as mir_eval
from sordino.tasks._chord_names import NO_CHORD, UNKNOWN


def compare(reference: list[list[Any]], estimated: list[list[Any]], names: Sequence[str]) -> dict[str, float]:
    """Scores weighted by duration; the estimate is cut or filled with N to the reference's length.

    Args:
        reference: rows of the annotation.
        estimated: rows of the answer.
        names: comparisons of `mir_eval.chord`, such as `majmin`, and `seg`, the agreement of boundaries.

    Returns:
        Each score, the annotated `duration_s`; nan if undefined.
    """
    if not reference:
        return dict.fromkeys([*names, "duration_s"], float("nan"))
    times, labels = _split(reference)
    est_times, est_labels = _split(_cut(estimated, times[0, 0], times[-1, 1]))
    both, ref, est = mir_eval.util.merge_labeled_intervals(times, labels, est_times, est_labels)
    durations = mir_eval.util.intervals_to_durations(both)

    def score(name: str) -> float:
        if name == "seg":
            return _segmentation(times, labels, est_times, est_labels)
        return _accuracy(getattr(mir_eval.chord, name)(ref, est), durations)

    return {**{name: score(name) for name in names}, "duration_s": float((times[:, 1] - times[:, 0]).sum())}


def _split(rows: list[list[Any]]) -> tuple[np.ndarray, list[str]]:
    """Intervals and labels without gaps: what no row covers is X."""
    filled: list[list[Any]] = []
    for row in rows:
        if filled and row[0] > filled[-1][1]:
            filled.append([filled[-1][1], row[0], UNKNOWN])
        filled.append(row)
    return np.array([row[:2] for row in filled], dtype=float), [row[2] for row in filled]


def _cut(rows: list[list[Any]], start_s: float, end_s: float) -> list[list[Any]]:
    """The rows from `start_s` to `end_s`, with N before the first and behind the last."""
    inside = [[max(a, start_s), min(b, end_s), chord] for a, b, chord in rows if min(b, end_s) > max(a, start_s)]
    first, last = (inside[0][0], inside[-1][1]) if inside else (end_s, end_s)
    before = [[start_s, first, NO_CHORD]] if first > start_s else []
    behind = [[last, end_s, NO_CHORD]] if last < end_s else []
    return [*before, *inside, *behind]


def _accuracy(comparison: np.ndarray, durations: np.ndarray) -> float:
    """The share of time that agrees, of what can be compared; nan if nothing can."""
    known = comparison >= 0
    return float(np.average(comparison[known], weights=durations[known])) if known.any() else float("nan")


def _segmentation(times: np.ndarray, labels: list[str], est_times: np.ndarray, est_labels: list[str]) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a single segment is no reason to warn
        merge = mir_eval.chord.merge_chord_intervals
        return float(mir_eval.chord.seg(merge(times, labels), merge(est_times, est_labels)))
