"""Several corpora as one: all their tracks (`beatles+guitarset`), or one to learn from and another to test on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sordino.contracts import Dataset, Track
from sordino.datasets._splits import group_of


class Together(Dataset):
    """The tracks of several corpora, one after the other; ids carry the corpus they come from.

    Args:
        parts: the corpora, each with its own root.
    """

    name = "together"
    title = "several corpora"
    labels = ()
    licence = ""

    def __init__(self, parts: Sequence[Dataset]):
        super().__init__(Path())
        self.parts = list(parts)
        self.name = "+".join(part.name for part in parts)
        self.licence = "; ".join(f"{part.name}: {part.licence}" for part in parts)

    def tracks(self) -> list[Track]:
        """All tracks, part by part."""
        return [track for tracks in self._read() for track in tracks]

    def _read(self) -> list[list[Track]]:
        """The tracks of each part; what the parts note of theirs is noted here too."""
        found = [_named(part) for part in self.parts]
        self.absent = tuple(f"{part.name}/{name}" for part in self.parts for name in part.absent)
        self.notes = tuple(note for part in self.parts for note in part.notes)
        self.refused = tuple(line for part in self.parts for line in part.refused)
        return found

    def available(self) -> bool:
        """Whether all parts are on this machine."""
        return all(part.available() for part in self.parts)


class Elsewhere(Together):
    """Learned on one corpus, tested on another.

    Args:
        learned: whose train and validation splits count.
        tested: whose test split counts.
    """

    def __init__(self, learned: Dataset, tested: Dataset):
        super().__init__([learned, tested])
        self.name = f"{learned.name}, tested on {tested.name}"

    def tracks(self) -> list[Track]:
        """What is learned from, then what is tested on.

        Raises:
            ValueError: the second has no test split.
        """
        learned, tested = self._read()
        test = [track for track in tested if track.split == "test"]
        if not test:
            raise ValueError(f"test = {self.parts[1].name}: no track of it is in a test split; name another corpus")
        return [*(track for track in learned if track.split != "test"), *test]


def _named(part: Dataset) -> list[Track]:
    """A part's tracks, ids and groups behind its name."""
    return [
        replace(track, id=f"{part.name}/{track.id}", group=f"{part.name}/{group_of(track)}") for track in part.tracks()
    ]
