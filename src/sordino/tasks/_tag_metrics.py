"""Average precision and area under the ROC curve of many tags at once, quick enough for a bootstrap.

Conventions: as in scikit-learn (`average_precision_score`, `roc_auc_score`): equal scores form one
threshold. A tag without a positive, or without a negative, is undefined: nan. With `judged`, [track label], each tag is
measured on the tracks that it was judged for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Bool, Float


def average_precision(
    targets: Bool[np.ndarray, "track label"],
    scores: Float[np.ndarray, "track label"],
    judged: Bool[np.ndarray, "track label"] | None = None,
) -> Float[np.ndarray, " label"]:
    """Per tag, the mean precision over the positives, counted at the end of each group of equal scores."""
    return ranked_precision(targets, scores, judged)(np.ones(len(targets)))


def ranked_precision(
    targets: Bool[np.ndarray, "track label"],
    scores: Float[np.ndarray, "track label"],
    judged: Bool[np.ndarray, "track label"] | None = None,
) -> Callable[[Float[np.ndarray, " track"]], Float[np.ndarray, " label"]]:
    """The average precision per tag as a function of how often each track counts; the tracks are ranked once."""
    if judged is not None and not judged.all():
        own = [(rows, ranked_precision(*alone)) for rows, alone in _tags_alone(targets, scores, judged)]
        return lambda counts: np.concatenate([precision(counts[rows]) for rows, precision in own])
    n = len(targets)
    order = np.argsort(-scores, axis=0, kind="stable")
    ranked = np.take_along_axis(scores, order, 0)
    last = np.ones(scores.shape, dtype=bool)  # the last row of its group of equal scores
    last[:-1] = ranked[:-1] != ranked[1:]
    group_end = np.where(last, np.arange(n)[:, None], n)
    group_end = np.minimum.accumulate(group_end[::-1], 0)[::-1]
    columns = []  # of each tag: tracks by rank, its positives, the groups these end in, the last positive of each
    for label in range(targets.shape[1]):
        tracks = order[:, label].astype(np.int32)
        places = np.flatnonzero(targets[tracks, label])
        ends, group = np.unique(group_end[places, label], return_inverse=True)
        starts = np.concatenate([[0], ends[:-1] + 1])[: len(ends)]
        columns.append((tracks[: ends[-1] + 1 if len(ends) else 0], tracks[places], starts, group,
                        np.searchsorted(places, ends, "right") - 1))  # fmt: skip

    def precision(counts: Float[np.ndarray, " track"]) -> Float[np.ndarray, " label"]:
        result, whole = np.full(len(columns), np.nan), counts.astype(np.int32)
        for label, (tracks, positives, starts, group, last_positive) in enumerate(columns):
            hits = whole[positives]
            if 0 < hits.sum() < whole.sum():
                ranked_at_end = np.add.reduceat(whole[tracks], starts).cumsum()
                at_end = hits.cumsum()[last_positive] / np.maximum(ranked_at_end, 1)
                result[label] = (hits * at_end[group]).sum() / hits.sum()
        return result

    return precision


def _tags_alone(
    targets: np.ndarray, scores: np.ndarray, judged: np.ndarray
) -> Iterator[tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]]:
    """For each tag the tracks that it was judged for, and its targets and scores on these, [track 1]."""
    for label, rows in enumerate(judged.T):
        yield rows, (targets[rows, label : label + 1], scores[rows, label : label + 1])


def roc_auc(
    targets: Bool[np.ndarray, "track label"],
    scores: Float[np.ndarray, "track label"],
    judged: Bool[np.ndarray, "track label"] | None = None,
) -> Float[np.ndarray, " label"]:
    """Per tag, the chance that a positive is ranked above a negative, equal scores counting half."""
    if judged is not None and not judged.all():
        return np.concatenate([roc_auc(*alone) for _, alone in _tags_alone(targets, scores, judged)])
    from scipy.stats import rankdata  # half a second that no prediction needs

    positive = targets.sum(0).astype(float)
    negative = len(targets) - positive
    ranks = np.where(targets, rankdata(scores, axis=0), 0.0).sum(0)
    pairs = positive * negative
    return np.where(pairs > 0, (ranks - positive * (positive + 1) / 2) / np.where(pairs > 0, pairs, 1.0), np.nan)


def best_thresholds(
    targets: Bool[np.ndarray, "track label"],
    scores: Float[np.ndarray, "track label"],
    judged: Bool[np.ndarray, "track label"] | None = None,
    fallback: float = 0.5,
) -> Float[np.ndarray, " label"]:
    """Per tag, the threshold with the highest F1 (scores at it are chosen); `fallback` where undefined."""
    if judged is not None and not judged.all():
        return np.concatenate([best_thresholds(*alone) for _, alone in _tags_alone(targets, scores, judged)])
    if not len(targets):
        return np.full(targets.shape[1], fallback)
    order = np.argsort(-scores, axis=0, kind="stable")
    hits = np.take_along_axis(targets, order, 0).cumsum(0)
    ranked = np.take_along_axis(scores, order, 0)
    f1 = 2 * hits / (np.arange(1, len(targets) + 1)[:, None] + targets.sum(0))
    f1[:-1][ranked[:-1] == ranked[1:]] = -1.0  # a threshold cannot part equal scores
    best = f1.argmax(0)
    chosen = np.take_along_axis(ranked, best[None], 0)[0]
    following = np.take_along_axis(ranked, np.minimum(best + 1, len(ranked) - 1)[None], 0)[0]
    middle = np.where(best + 1 < len(ranked), (chosen + following) / 2, chosen)
    return np.where((targets.sum(0) > 0) & (targets.sum(0) < len(targets)), middle, fallback)
