"""GTZAN genre: ten genres, 30 s recordings, fault-filtered.

Paper: Tzanetakis and Cook, Musical Genre Classification of Audio Signals, 2002
https://doi.org/10.1109/TSA.2002.800560
Conventions: one label per recording, the folder's name.
"""

from __future__ import annotations

from pathlib import Path

from sordino.contracts import Track
from sordino.datasets._gtzan import AUDIO, AUDIO_ARCHIVE, GTZAN


class GTZANGenre(GTZAN):
    """Ten genres."""

    name = "gtzan_genre"
    title = "GTZAN genre"
    labels = ("genre",)
    citation = "G. Tzanetakis, P. Cook: Musical genre classification of audio signals. IEEE TSAP 10(5), 2002"
    size = (930, 7.7)
    places = {"audio": AUDIO}
    archives = (AUDIO_ARCHIVE,)

    def tracks(self) -> list[Track]:
        """The recordings of the filtered list."""
        return self.present(
            Track(name, path, {"genre": name.split(".")[0]}, split, info={"source": str(path)})
            for name, (path, split) in self.recordings().items()
        )

    @classmethod
    def miniature(cls, root: Path, version: str | None = None) -> None:
        """The audio alone."""
        cls.write_sounds(root, version)
