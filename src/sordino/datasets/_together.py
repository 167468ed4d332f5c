"""Several corpora as one: `giantsteps_mtg_key+giantsteps_key` trains on the one and tests on the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sordino.contracts import Dataset, Track


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
        found = [
            replace(track, id=f"{part.name}/{track.id}", group=f"{part.name}/{track.group or track.id}")
            for part in self.parts
            for track in part.tracks()
        ]
        self.absent = tuple(f"{part.name}/{name}" for part in self.parts for name in part.absent)
        self.notes = tuple(note for part in self.parts for note in part.notes)
        self.refused = tuple(line for part in self.parts for line in part.refused)
        return found

    def available(self) -> bool:
        """Whether all parts are on this machine."""
        return all(part.available() for part in self.parts)
