"""GTZAN key: the keys of GTZAN's recordings.

Paper: Kraft, Lerch and Zölzer, The Tonalness Spectrum, 2013; annotations
https://github.com/alexanderlerch/gtzan_key
Conventions: a file holds one number: 0 to 11 are A major to G# major, 12 to 23 A minor to G# minor, -1 is
unknown or modulating and counts as not labelled. Classical music is unlabelled throughout.
"""

from __future__ import annotations

from pathlib import Path

from sordino.contracts import Archive, Track
from sordino.datasets._annotations import number, read_value
from sordino.datasets._corpus import write_text
from sordino.datasets._gtzan import AUDIO, AUDIO_ARCHIVE, GTZAN

TONICS = ("A", "A#", "B", "C", "C#", "D", "D#", "E", "F", "F#", "G", "G#")


class GTZANKey(GTZAN):
    """Keys of GTZAN."""

    name = "gtzan_key"
    title = "GTZAN key"
    labels = ("key", "genre")
    citation = "S. Kraft, A. Lerch, U. Zölzer: The tonalness spectrum. DAFx 2013"
    url = "https://github.com/alexanderlerch/gtzan_key"
    size = (930, 7.7)
    places = {"audio": AUDIO, "keys": ("gtzan_key/genres", "gtzan_key*/gtzan_key/genres")}
    archives = (
        AUDIO_ARCHIVE,
        Archive("https://github.com/alexanderlerch/gtzan_key/archive/refs/heads/master.zip", ""),
    )

    def tracks(self) -> list[Track]:
        """The recordings of the filtered list, with a key where there is one."""
        keys = self.place("keys")
        found = []
        for name, (path, split) in self.recordings().items():
            genre = name.split(".")[0]
            place = keys / genre / f"{name}.lerch.txt"
            labels = {"key": _key(place) if place.exists() else None, "genre": genre}
            found.append(Track(name, path, labels, split, info={"source": str(place)}))
        return self.present(found)

    @classmethod
    def miniature(cls, root: Path) -> None:
        """Audio and keys, one of them unknown."""
        cls.write_sounds(root)
        for name, value in (
            ("blues.00029", "22"),
            ("blues.00000", "-1"),
            ("blues.00012", "3"),
            ("rock.00010", "7"),
        ):
            write_text(root / "gtzan_key" / "genres" / name.split(".")[0] / f"{name}.lerch.txt", f"{value}\n")


def _key(path: Path) -> str | None:
    value = int(number(path, 1, read_value(path)))
    if value > 23:
        raise ValueError(f"{path} line 1: {value} is not a key; expected -1 to 23")
    return None if value < 0 else f"{TONICS[value % 12]} {'minor' if value > 11 else 'major'}"
