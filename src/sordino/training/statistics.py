"""How sure a score is: percentile bootstrap over tracks.

Paper: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sordino.contracts import Label, Prediction, Task


def bootstrap_interval(
    task: Task,
    references: Sequence[Label],
    predictions: Sequence[Prediction],
    metric: str | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """The 95 % interval of a metric when tracks are drawn anew.

    Args:
        task: scores them.
        references: parsed labels.
        predictions: answers, in the same order.
        metric: which metric; None for the task's own.
        n_resamples: how many draws (a fifth of them where every draw is scored anew).
        seed: of the draws.

    Returns:
        The 2.5th and the 97.5th percentile; (nan, nan) without tracks.
    """
    metric = metric or task.metric
    n_tracks = len(references)
    if n_tracks == 0:
        return float("nan"), float("nan")
    generator = np.random.default_rng(seed)
    if type(task).evaluate is Task.evaluate:  # the metric is a summary of the tracks' own scores
        rows = task.evaluate(references, predictions).per_track
        draws = generator.integers(0, n_tracks, (n_resamples, n_tracks))
        if type(task).summarise is Task.summarise:  # their mean
            values = np.array([row[metric] for row in rows], dtype=float)[draws]
            finite = np.isfinite(values)
            scores = np.where(finite, values, 0).sum(1) / np.maximum(finite.sum(1), 1)
        else:
            scores = np.array([task.summarise([rows[i] for i in draw])[metric] for draw in draws])
    else:
        scores = np.array([
            task.evaluate([references[i] for i in draw], [predictions[i] for i in draw]).metrics[metric]
            for draw in generator.integers(0, n_tracks, (n_resamples // 5, n_tracks))
        ])  # fmt: skip
    low, high = np.nanpercentile(scores, [2.5, 97.5])
    return float(low), float(high)
