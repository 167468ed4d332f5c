"""What a dataset is learned from, split anew by group: to compare methods without looking at its test split."""

from __future__ import annotations

from sordino.contracts import Dataset, Track
from sordino.datasets._splits import MOST_SEEDS, QUARTER, filling_seed, split_tracks


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
