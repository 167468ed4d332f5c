"""How sure a score is: percentile bootstrap over tracks, or Wilson's interval where every track is right or wrong.

Paper: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3; Wilson, Probable Inference, 1927.

Conventions:
- A resample is how often each track was drawn; the task says what its metric is then (`Task.metric_of_draws`).
- A resample in which the metric is undefined is left out and counted.
- The draws are those of one NumPy generator, a resample after the other: the same seed gives the same numbers,
  however many are computed at once. Memory grows with the tracks, not with tracks times resamples.
- Two runs on the same test tracks have the same draws, so their resamples are pairs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from sordino.contracts import Label, Prediction, Task

N_RESAMPLES = 1000
BLOCK_SIZE = 2**22  # draws held at once, unless one resample has more


class Interval(NamedTuple):
    """The 95 % interval of a score.

    Attributes:
        low: the 2.5th percentile of the defined resamples; nan if there is none.
        high: the 97.5th.
        n_undefined: resamples that were left out.
    """

    low: float
    high: float
    n_undefined: int


def resampled(
    task: Task,
    references: Sequence[Label],
    predictions: Sequence[Prediction],
    per_track: Sequence[Mapping[str, float]],
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Float[np.ndarray, " draw"]:
    """A task's metric when tracks are drawn anew; nan where it is undefined.

    Args:
        task: what was scored.
        references: parsed labels.
        predictions: answers, in the same order.
        per_track: the tracks' own scores (`Evaluation.per_track`), in the same order.
        n_resamples: how many draws.
        seed: of the draws.
    """
    if not references:
        return np.full(n_resamples, np.nan)
    metric = task.metric_of_draws(references, predictions, per_track)
    return np.concatenate([metric(counts) for counts in _draws(len(references), n_resamples, seed)])


def interval(scores: Float[np.ndarray, " draw"]) -> Interval:
    """The 95 % interval of resampled scores."""
    defined = scores[np.isfinite(scores)]
    low, high = np.percentile(defined, [2.5, 97.5]) if len(defined) else (np.nan, np.nan)
    return Interval(float(low), float(high), len(scores) - len(defined))


def share_interval(n_right: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share: of 0 right in 8 it is 0 to .32, where a bootstrap would say 0 to 0."""
    z = 1.959964
    middle = (n_right + z**2 / 2) / (n + z**2)
    half = z * math.sqrt(n_right * (n - n_right) / n + z**2 / 4) / (n + z**2)
    return max(0.0, middle - half), min(1.0, middle + half)


def _draws(n_tracks: int, n_resamples: int, seed: int) -> Iterator[Float[np.ndarray, "draw track"]]:
    """How often each track is in each resample, some resamples at a time."""
    generator = np.random.default_rng(seed)
    n_at_once = max(1, BLOCK_SIZE // n_tracks)
    for first in range(0, n_resamples, n_at_once):
        drawn = generator.integers(0, n_tracks, (min(n_at_once, n_resamples - first), n_tracks))
        drawn += n_tracks * np.arange(len(drawn))[:, None]
        yield np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape).astype(float)
