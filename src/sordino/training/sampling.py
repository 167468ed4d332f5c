"""Which rows a training step sees: a shuffle of each pass, or draws that favour rare classes.

It depends on the seed and the step alone, so a run that was stopped goes on exactly.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

import numpy as np

from sordino.contracts import Label, Task
from sordino.training.examples import Examples, Visit
from sordino.training.fewer import classes_of


class Order:
    """The rows of every step: a new shuffle for every pass, or draws with replacement.

    Args:
        n_rows: how many there are.
        batch_size: rows in a step.
        seed: of the shuffles.
        weights: chances of the rows for drawing with replacement, instead of a shuffle.
    """

    def __init__(self, n_rows: int, batch_size: int, seed: int, weights: np.ndarray | None = None):
        self.n_rows, self.batch_size, self.seed = n_rows, batch_size, seed
        self.chances = None if weights is None else np.cumsum(weights / weights.sum())
        self._shuffled = lru_cache(maxsize=2)(self._shuffle)  # a step sees at most the end of a pass and the next

    def _shuffle(self, visit: int) -> np.ndarray:
        return np.random.default_rng([self.seed, visit]).permutation(self.n_rows)

    def step(self, number: int) -> list[Visit]:
        """Rows of a step (from 0), each with the number of the pass."""
        first = number * self.batch_size
        if self.chances is not None:
            draws = np.random.default_rng([self.seed, number]).random(self.batch_size)
            rows = np.minimum(np.searchsorted(self.chances, draws, side="right"), self.n_rows - 1)
            return [(int(row), first + place) for place, row in enumerate(rows)]
        found: list[Visit] = []
        while len(found) < self.batch_size:
            visit, within = divmod(first + len(found), self.n_rows)
            rows = self._shuffled(visit)[within : within + self.batch_size - len(found)]
            found += [(int(row), visit) for row in rows]
        return found


def class_balance(examples: Examples) -> np.ndarray:
    """Chances of the rows such that the labels of the first task are drawn equally often.

    Of several labels (tags) the rarest counts; rows without a label are not drawn.
    """
    name = next(iter(examples.tasks))
    segments = (examples.rows.whole(row) for row in range(len(examples)))
    values = [_values(examples.label(segment, name), examples.tasks[name]) for segment in segments]
    counts = Counter(value for row in values for value in row)
    return np.array([max((1 / counts[value] for value in row), default=0.0) for row in values])


def _values(label: Label | None, task: Task) -> list[str]:
    classes = classes_of(label, task)
    return [repr(label)] if classes is None else classes
