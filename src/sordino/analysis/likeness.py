"""How well one set of numbers tells another: held-out ridge regression and canonical correlation, and CKA of states.

Conventions:
- Both are scored on tracks that were not fitted: five folds by group. A constant column is left out.
- R2 of several columns is their mean; a column that is predicted worse than by its mean counts negative.
- Ridge is chosen in each fold by leave-one-out error on the training part (closed form).

Paper: Raghu et al., SVCCA, 2017, arXiv 1706.05806 (canonical correlation after a reduction to the strong directions);
    Kornblith et al., Similarity of Neural Network Representations Revisited, 2019, arXiv 1905.00414 (linear CKA);
    Golub, Heath and Wahba, Generalized Cross-Validation, 1979.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float

from sordino.datasets import dealt

N_FOLDS = 5
RIDGES = tuple(10.0**power for power in range(-4, 4))
N_DIRECTIONS, N_PAIRS = 32, 8
LEAST = 1e-8


def predicted(
    x: Float[np.ndarray, "track dim"], y: Float[np.ndarray, "track value"], groups: Sequence[str]
) -> Float[np.ndarray, "track value"]:
    """What ridge regression from `x` says of `y` on each track, fitted without that track's fold."""
    told = np.zeros_like(y, dtype=float)
    for train, test in folds(groups):
        centre, scale = x[train].mean(0), x[train].std(0) + LEAST
        a, b = (x[train] - centre) / scale, (x[test] - centre) / scale
        mean = y[train].mean(0)
        told[test] = b @ _ridge(a, y[train] - mean) + mean
    return told


def r_squared(
    y: Float[np.ndarray, "track value"], told: Float[np.ndarray, "track value"], counts: np.ndarray | None = None
) -> float:
    """Mean over the columns that vary of 1 - residual / variance; `counts` says how often each track is there."""
    counts = np.ones(len(y)) if counts is None else counts
    mean = (counts @ y) / counts.sum()
    spread, left = counts @ (y - mean) ** 2, counts @ (y - told) ** 2
    varies = spread > LEAST * counts.sum()
    return float((1 - left[varies] / spread[varies]).mean()) if varies.any() else float("nan")


def canonical_correlation(
    x: Float[np.ndarray, "track dim"], y: Float[np.ndarray, "track value"], groups: Sequence[str]
) -> float:
    """Mean correlation of the strongest canonical pairs on held-out tracks, 0 to 1 (negative ones count 0)."""
    found = []
    for train, test in folds(groups):
        own = [_whitened(each[train], each) for each in (x, y)]
        (a, b), (c, d) = ((each[train], each[test]) for each in own)
        left, _, right = np.linalg.svd(a.T @ c / len(a), full_matrices=False)
        n = min(N_PAIRS, left.shape[1])
        pairs = zip((b @ left[:, :n]).T, (d @ right[:n].T).T, strict=True)
        found.append(np.mean([max(0.0, _correlation(one, other)) for one, other in pairs]))
    return float(np.mean(found))


def cka(x: Float[np.ndarray, "track dim"], y: Float[np.ndarray, "track other"]) -> float:
    """Linear centred kernel alignment of two states of the same tracks, 0 to 1."""
    x, y = x - x.mean(0), y - y.mean(0)
    shared = np.linalg.norm(x.T @ y) ** 2
    return float(shared / max(np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y), LEAST))


def folds(groups: Sequence[str], n: int = N_FOLDS) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Training and held-out tracks of each fold; a group is never torn, the folds are of about one size.

    Raises:
        ValueError: there are fewer groups than folds.
    """
    n_groups = len(set(groups))
    if n_groups < n:
        raise ValueError(f"{n_groups} groups of tracks cannot be shared out among {n} folds; give more tracks")
    part_of = dealt(groups, n)
    fold = np.array([part_of[group] for group in groups])
    for number in range(n):
        yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)


def _ridge(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Weights of the ridge with the least leave-one-out error."""
    left, values, right = np.linalg.svd(a, full_matrices=False)
    projected, best = left.T @ b, (np.inf, RIDGES[0])
    for ridge in RIDGES:
        shrink = values**2 / (values**2 + ridge * len(a))
        hat = np.einsum("ij,j,ij->i", left, shrink, left)
        residual = (b - left @ (shrink[:, None] * projected)) / np.maximum(1 - hat, LEAST)[:, None]
        best = min(best, (float((residual**2).sum()), ridge))
    scale = values / (values**2 + best[1] * len(a))
    return right.T @ (scale[:, None] * projected)


def _whitened(train: np.ndarray, every: np.ndarray) -> np.ndarray:
    """All tracks in the strongest directions of the training tracks, each with deviation 1 there."""
    centre, scale = train.mean(0), train.std(0)
    varies = scale > LEAST
    unit = (train - centre)[:, varies] / scale[varies]
    _, values, axes = np.linalg.svd(unit, full_matrices=False)
    n = min(N_DIRECTIONS, int((values > 1e-3 * values[0]).sum()), max(1, len(train) // 4))
    return ((every - centre)[:, varies] / scale[varies]) @ axes[:n].T / (values[:n] / np.sqrt(len(train)))


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one - one.mean(), other - other.mean()
    return float(one @ other / max(float(np.linalg.norm(one) * np.linalg.norm(other)), LEAST))
