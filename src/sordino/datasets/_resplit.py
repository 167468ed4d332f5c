"""Datasets split anew by group: to compare methods without looking at the test split, and for cross-validation."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence

from sordino.contracts import Dataset, Track
from sordino.datasets._splits import (
    MOST_SEEDS,
    QUARTER,
    filling_seed,
    group_of,
    split_tracks,
)


class Resplit(Dataset):
    """The train and validation tracks of a dataset in splits of their own; its test tracks are not there.

    Args:
        whole: the dataset.
        seed: another seed, another split.
    """

    name = "resplit"
    title = "a dataset split anew"
    labels = ()
    licence = ""

    def __init__(self, whole: Dataset, seed: int):
        super().__init__(whole.root)
        self.whole, self.seed, self.name, self.labels = whole, seed, whole.name, whole.labels
        self.splits = f"60/15/25 by group, of what is not tested on, seed {seed}"

    def tracks(self) -> list[Track]:
        """All but the test tracks."""
        learned = [track for track in self.whole.tracks() if track.split != "test"]
        first = self.seed * MOST_SEEDS
        seed = filling_seed(learned, QUARTER, first)  # no split is empty, if there are tracks enough
        return split_tracks(learned, first if seed is None else seed, QUARTER)


class Fold(Dataset):
    """A dataset with one part of it to test on, and the rest to learn from; nothing to validate by.

    Args:
        whole: the dataset; its own splits do not count.
        number: of the part, from 0.
        n: how many parts; groups are not torn.
    """

    name = "fold"
    title = "a part of a dataset held out"
    labels = ()
    licence = ""

    def __init__(self, whole: Dataset, number: int, n: int):
        super().__init__(whole.root)
        self.whole, self.number, self.n, self.name, self.labels = whole, number, n, whole.name, whole.labels
        self.splits = f"part {number + 1} of {n} by group to test on"

    def tracks(self) -> list[Track]:
        """All tracks."""
        tracks = self.whole.tracks()
        part_of = dealt([group_of(track) for track in tracks], self.n)
        return [track.with_split("test" if part_of[group_of(track)] == self.number else "train") for track in tracks]


class Folds(Dataset):
    """A dataset to learn from as a whole, scored by its folds.

    Args:
        whole: the dataset; its own splits do not count.
        n: how many folds, at least 2.
        wanted: names of labels; tracks without any of them do not count. None: all tracks.

    Raises:
        ValueError: there are fewer groups than folds.
    """

    name = "folds"
    title = "a dataset in folds"
    labels = ()
    licence = ""

    def __init__(self, whole: Dataset, n: int, wanted: Sequence[str] | None = None):
        super().__init__(whole.root)
        self.whole, self.wanted, self.name, self.labels = whole, wanted, whole.name, whole.labels
        groups = {group_of(track) for track in self.tracks()}
        if not 2 <= n <= len(groups):
            raise ValueError(
                f"{len(groups)} groups (pieces, artists, or tracks) do not make {n} folds; at least 2, at most one each"
            )
        self.folds = [Fold(self, number, n) for number in range(n)]
        self.splits = f"{n} folds by group"

    def tracks(self) -> list[Track]:
        """All tracks that count, to learn from."""
        wanted = self.wanted
        return [
            track.with_split("train")
            for track in self.whole.tracks()
            if wanted is None or any(track.labels.get(name) is not None for name in wanted)
        ]


def dealt(groups: Sequence[str], n: int) -> dict[str, int]:
    """The part of each group: large groups first, each to the part that has the fewest tracks so far.

    Args:
        groups: of the tracks, one for each.
        n: how many parts.
    """
    sizes = Counter(groups)
    order = sorted(sizes, key=lambda group: (-sizes[group], zlib.crc32(group.encode(errors="surrogateescape")), group))
    filled, parts = [0] * n, {}
    for group in order:
        parts[group] = min(range(n), key=lambda part: (filled[part], part))
        filled[parts[group]] += sizes[group]
    return parts
