"""Baselines without any learning, scored on the same test tracks as the runs."""

from __future__ import annotations

from typing import Any

import numpy as np

from sordino import audio
from sordino.contracts import Dataset, Prediction, Task
from sordino.training.recordings import parse_label
from sordino.training.report import report

RATE_HZ = 24_000


def plain_baseline(task: Task, dataset: Dataset) -> dict[str, Any] | None:
    """The task's plain estimator on the test split, in the form of a run's scores; None where it has none.

    Args:
        task: fitted to the dataset.
        dataset: where the test tracks are.
    """
    if task.plain_baseline is None:
        return None
    ids, references, predictions = [], [], []
    for track in dataset.tracks():
        label = parse_label(task, track) if track.split == "test" else None
        if label is None:
            continue
        wave = audio.read(track.path, RATE_HZ, track.start_s, track.duration_s)
        ids.append(track.id)
        references.append(label)
        predictions.append(_prediction(task, task.plain_baseline(wave, RATE_HZ)))
    return report(task, ids, references, predictions)


def _prediction(task: Task, answer: Any) -> Prediction:
    return answer if isinstance(answer, Prediction) else Prediction(answer)


def majority(task: Task, dataset: Dataset) -> dict[str, Any] | None:
    """Always the most frequent (or median) training label; None for frame tasks, where it says nothing."""
    if task.level == "frame":
        return None
    labels = {split: [(track.id, parse_label(task, track)) for track in dataset.tracks() if track.split == split]
              for split in ("train", "test")}  # fmt: skip
    known = [label for _, label in labels["train"] if label is not None]
    tested = [(name, label) for name, label in labels["test"] if label is not None]
    if all(isinstance(label, int | float) for label in known):
        answer: Any = float(np.median(known))
    else:
        keys = [repr(label) for label in known]
        answer = known[keys.index(max(set(keys), key=lambda key: (keys.count(key), key)))]
    return report(
        task, [name for name, _ in tested], [label for _, label in tested], [Prediction(answer)] * len(tested)
    )
