"""Fewer labels than there are: so many training tracks, or so many of each class, drawn by the seed.

Conventions: the draw depends on the seed and on the tracks' ids, not on their order, and a larger draw holds the
smaller one: the points of a curve over labels are nested. Of tags, a track is taken while one of its tags has too few.

Paper: few-shot tagging as in Guo et al., Exploring Few-Shot Transfer for Music Tagging, 2024
https://arxiv.org/abs/2409.07730
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

from sordino.contracts import Label, Task, Track
from sordino.training.recordings import parse_label


def fewer(
    tracks: Sequence[Track], tasks: Sequence[Task], shots: int | None, n_tracks: int | None, seed: int
) -> list[Track]:
    """The training tracks that are used, in their order.

    Args:
        tracks: of the train split.
        tasks: those that are learned.
        shots: of each class of the first task (whose labels must be classes or tags); None for all.
        n_tracks: at most, after that; None for all.
        seed: of the draw.

    Raises:
        ValueError: `shots` is set, and the labels of the first task are no classes.
    """
    order = sorted(tracks, key=lambda track: hashlib.sha256(f"{seed} {track.id}".encode()).digest())
    order = [track for track in order if any(parse_label(task, track) is not None for task in tasks)]
    taken = order if shots is None else _of_each_class(order, tasks[0], shots)
    names = {track.id for track in taken[:n_tracks]}
    return [track for track in tracks if track.id in names]


def _of_each_class(order: Sequence[Track], task: Task, shots: int) -> list[Track]:
    counts: Counter[str] = Counter()
    taken = []
    for track in order:
        values = classes_of(label := parse_label(task, track), task)
        if values is None:
            raise ValueError(
                f"training.shots counts classes, and {task.label} {label!r} names none; use training.tracks"
            )
        if any(counts[value] < shots for value in values):
            taken.append(track)
            counts.update(values)
    return taken


def classes_of(label: Label | None, task: Task) -> list[str] | None:
    """The classes that a label names; None where it is of a kind that names none, as a tempo or a list of beats."""
    if label is None or isinstance(label, str):
        return [] if label is None else [label]
    if isinstance(label, list) and all(isinstance(value, str) for value in label):
        return task.words(label) or [""]
    return None
