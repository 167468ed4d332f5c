"""Which rows a training step sees: a shuffle of each pass, or draws that favour rare classes.

It depends on the seed and the step alone, so a run that was stopped goes on exactly.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from sordino.contracts import Label
from sordino.training.data import Examples


def order(n_segments: int, batch_size: int, step: int, seed: int, weights: np.ndarray | None = None) -> list[int]:
    """The rows of training step `step` (from 0): a new shuffle for every pass over the segments.

    Args:
        n_segments: how many there are.
        batch_size: rows in a step.
        step: which step.
        seed: of the shuffles.
        weights: chances of the rows for drawing with replacement, instead of a shuffle.
    """
    if weights is not None:
        draws = np.random.default_rng([seed, step]).choice(n_segments, batch_size, p=weights / weights.sum())
        return [int(row) for row in draws]
    first = step * batch_size
    rows: list[int] = []
    while len(rows) < batch_size:
        visit, within = divmod(first + len(rows), n_segments)
        shuffled = np.random.default_rng([seed, visit]).permutation(n_segments)
        rows += [int(row) for row in shuffled[within : within + batch_size - len(rows)]]
    return rows


def class_balance(examples: Examples) -> np.ndarray:
    """Chances of the rows such that the labels of the first task are drawn equally often.

    Of several labels (tags) the rarest counts; rows without a label are not drawn.
    """
    name = next(iter(examples.tasks))
    values = [_values(examples.label(row, name)) for row in range(len(examples))]
    counts = Counter(value for row in values for value in row)
    return np.array([max((1 / counts[value] for value in row), default=0.0) for row in values])


def _values(label: Label | None) -> list[str]:
    if label is None:
        return []
    return label or [""] if isinstance(label, list) and all(isinstance(v, str) for v in label) else [repr(label)]
