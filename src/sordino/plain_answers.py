"""What a task's plain estimator says of a recording of any length: asked window by window, and joined.

A recording up to `WINDOW_S` is one window, so that it is answered exactly as the estimator was scored.

Conventions: frame answers stand one behind the other; of clip answers the one that covers most time is given, and of
numbers the middle one, both with the details of the (longest) window that said so.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from jaxtyping import Float32

from sordino.contracts import Prediction, Task

RATE_HZ = 24_000
WINDOW_S = 300.0


class PlainAnswer:
    """Gathers one recording for one task, in memory bounded by the window.

    Args:
        task: one that has a plain estimator.
        window_s: how much it is given at once.
    """

    def __init__(self, task: Task, window_s: float = WINDOW_S):
        assert task.plain_baseline is not None
        self._task, self._estimator = task, task.plain_baseline
        self._n_window = round(window_s * RATE_HZ)
        self._waiting: list[Float32[np.ndarray, " time"]] = []
        self._n_waiting = 0
        self._begin_s = 0.0
        self._said: list[tuple[float, float, Prediction]] = []  # begin, length, answer

    def add(self, block: Float32[np.ndarray, " time"]) -> None:
        """Take what follows, mono at RATE_HZ."""
        while self._n_waiting + len(block) >= self._n_window:
            n_more = self._n_window - self._n_waiting
            self._waiting.append(block[:n_more])
            block = block[n_more:]
            self._hear()
        self._waiting.append(block)
        self._n_waiting += len(block)

    def end(self) -> Prediction:
        """The answer for all that was added."""
        if self._n_waiting or not self._said:
            self._hear()
        by = {"by": self._estimator.title}
        if len(self._said) == 1:
            only = self._said[0][2]
            return Prediction(only.value, only.confidence, {**only.details, **by})
        joined = _frames(self._task, self._said) if self._task.level == "frame" else _clip(self._said)
        return Prediction(joined.value, joined.confidence, {**joined.details, **by})

    def _hear(self) -> None:
        wave = np.concatenate(self._waiting) if self._waiting else np.zeros(0, np.float32)
        length_s = len(wave) / RATE_HZ
        self._said.append((self._begin_s, length_s, self._estimator(wave, RATE_HZ)))
        self._begin_s += length_s
        self._waiting, self._n_waiting = [], 0


def _clip(said: list[tuple[float, float, Prediction]]) -> Prediction:
    """One of the answers."""
    if all(isinstance(answer.value, float | int) for _, _, answer in said):
        ordered = sorted(said, key=lambda one: one[2].value)
        reached = np.cumsum([length_s for _, length_s, _ in ordered])
        return ordered[int(np.searchsorted(reached, reached[-1] / 2))][2]
    covered: defaultdict[str, float] = defaultdict(float)
    for _, length_s, answer in said:
        covered[repr(answer.value)] += length_s
    most = max(covered, key=covered.__getitem__)
    return max((one for one in said if repr(one[2].value) == most), key=lambda one: one[1])[2]


def _frames(task: Task, said: list[tuple[float, float, Prediction]]) -> Prediction:
    """All answers, one behind the other."""
    moved = [task.shift(answer.value, begin_s) for begin_s, _, answer in said]
    if isinstance(moved[0], list):
        return Prediction([row for value in moved for row in value])
    names = moved[0].keys()
    value = {name: [t for one in moved for t in one[name] or ()] or None for name in names}
    return Prediction({name: times if times or name == "downbeats" else [] for name, times in value.items()})
