"""Whether rows differ by more than chance: paired over the same test tracks, several comparisons corrected together.

Conventions:
- A difference is that of the means over seeds; its interval and `p` come from the resamples of tracks that both rows
  share (paired bootstrap, percentile; two-sided p from the smaller tail).
- Beside it stands a test on the tracks' own scores, where the metric is a mean over tracks: McNemar's exact test where
  every score is 0 or 1 in both rows (one seed each), else Wilcoxon's signed ranks on the tracks' means over seeds.
- `p_holm` is the bootstrap's p after Holm's correction for all comparisons made at once.

Paper: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 16; Dietterich, Approximate statistical
    tests for comparing supervised classification learning algorithms, 1998; Holm, A simple sequentially rejective
    multiple test procedure, 1979.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from sordino.study.rows import Row

LEVEL = 0.05
COMPARED = ("row", "difference", "95 % interval", "p", "p, Holm", "test on tracks, p", "tracks better / worse")


@dataclass(frozen=True)
class Comparison:
    """One row against another.

    Attributes:
        name: the row.
        other: the row it is compared with.
        difference: row minus other.
        interval: the ends of its 95 % interval.
        p: that there is no difference, by the paired bootstrap.
        p_holm: the same, corrected for all comparisons made with it.
        test: the test on tracks, `McNemar` or `Wilcoxon`; empty where the metric is not of tracks.
        p_tracks: what it says; nan without it.
        better: tracks on which the row is better.
        worse: tracks on which it is worse.
    """

    name: str
    other: str
    difference: float
    interval: tuple[float, float]
    p: float
    p_holm: float
    test: str
    p_tracks: float
    better: int
    worse: int

    @property
    def differs(self) -> bool:
        """Whether chance explains it in less than one of twenty studies."""
        return self.p_holm < LEVEL


def compare(rows: Sequence[Row], other: Row) -> list[Comparison]:
    """Rows of one task against one of them, in their order.

    Args:
        rows: trained on whatever, tested on the same tracks; `other` itself and rows without resamples are left out.
        other: what they are compared with.

    Raises:
        ValueError: a row was tested on other tracks.
    """
    found = [row for row in rows if row is not other and row.resamples is not None]
    if other.resamples is None or not found:
        return []
    strange = next((row for row in found if row.tracks != other.tracks or row.metric != other.metric), None)
    if strange is not None:
        raise ValueError(f"{strange.name} and {other.name} were not tested on the same tracks by the same metric, so "
                         "they cannot be compared track by track")  # fmt: skip
    each = [_differences(row, other) for row in found]
    ps = [bootstrap_p(draws) for draws in each]
    comparisons = []
    for row, draws, p, p_holm in zip(found, each, ps, holm(ps), strict=True):
        low, high = np.percentile(draws, [2.5, 97.5]) if len(draws) else (np.nan, np.nan)
        test, p_tracks, better, worse = _on_tracks(row, other)
        comparisons.append(Comparison(row.name, other.name, row.score - other.score, (float(low), float(high)), p,
                                      p_holm, test, p_tracks, better, worse))  # fmt: skip
    return comparisons


def comparisons(rows: Sequence[Row], against: str) -> Iterator[list[Comparison]]:
    """Of each set of rows that were tested on the same tracks, against the row of that name."""
    for tracks in dict.fromkeys(row.tracks for row in rows):
        own = [row for row in rows if row.tracks == tracks]
        for other in own:
            if other.name == against or other.name.startswith(f"{against} on "):
                like = [row for row in own if row.config.get("backbone") in (None, other.config.get("backbone"))]
                if found := compare(like, other):
                    yield found


def comparison_cells(found: Sequence[Comparison]) -> list[tuple[str, ...]]:
    """A table's body under `COMPARED`."""
    return [
        (
            each.name,
            f"{each.difference:+.3f}",
            f"{each.interval[0]:+.3f} – {each.interval[1]:+.3f}",
            f"{each.p:.3f}",
            f"{each.p_holm:.3f}" + (" *" if each.differs else ""),
            f"{each.test} {each.p_tracks:.3f}" if each.test else "–",
            f"{each.better} / {each.worse}" if each.test else "–",
        )
        for each in found
    ]


def bootstrap_p(differences: Float[np.ndarray, " draw"]) -> float:
    """Twice the share of resamples on the rarer side of zero, never below what their number can tell."""
    n = len(differences)
    tail = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    return min(1.0, 2 * (tail + 1) / (n + 1))


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's step-down correction: adjusted p values in the given order."""
    order = sorted(range(len(ps)), key=ps.__getitem__)
    adjusted, highest = [0.0] * len(ps), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = highest
    return adjusted


def mcnemar(first: Float[np.ndarray, " track"], second: Float[np.ndarray, " track"]) -> float:
    """Exact two-sided p of McNemar's test on two columns of zeros and ones."""
    better, worse = int((first > second).sum()), int((first < second).sum())
    return stats.binomtest(better, better + worse).pvalue if better + worse else 1.0  # type: ignore[attr-defined]


def _differences(row: Row, other: Row) -> Float[np.ndarray, " draw"]:
    """Of the means over seeds, resample by resample, where both are defined."""
    assert row.resamples is not None and other.resamples is not None
    both = row.resamples - other.resamples
    return both[np.isfinite(both)]


def _on_tracks(row: Row, other: Row) -> tuple[str, float, int, int]:
    """The test on tracks, and how many are better and worse."""
    shared = [name for name in row.by_track if name in other.by_track]
    first, second = (np.array([each.by_track[name] for name in shared]) for each in (row, other))
    known = np.isfinite(first) & np.isfinite(second) if shared else np.zeros(0, bool)
    first, second = first[known], second[known]
    if not len(first):
        return "", float("nan"), 0, 0
    better, worse = int((first > second).sum()), int((first < second).sum())
    if np.isin(np.concatenate([first, second]), (0.0, 1.0)).all():
        return "McNemar", mcnemar(first, second), better, worse
    p = stats.wilcoxon(first, second)[1] if better + worse else 1.0
    return "Wilcoxon", float(p), better, worse  # type: ignore[arg-type]
