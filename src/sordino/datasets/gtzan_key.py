"""GTZAN key: the keys of GTZAN's recordings.

Paper: Kraft, Lerch and Zölzer, The Tonalness Spectrum, 2013; annotations
https://github.com/alexanderlerch/gtzan_key
Conventions: a file holds one number: 0 to 11 are A major to G# major, 12 to 23 A minor to G# minor, -1 is
unknown or modulating and counts as not labelled, which leaves 769 of 930 (364 train, 165 validation, 240 test).
Classical music is unlabelled throughout.
"""

from __future__ import annotations

from pathlib import Path

from sordino.contracts import Archive, Track
from sordino.datasets._annotations import read_if, read_number
from sordino.datasets._corpus import write_text
from sordino.datasets._gtzan import AUDIO, AUDIO_ARCHIVE, GTZAN

COMMIT = "9ef1591f81ee2f7821c7ce41e774ea7ac7f94cbe"
TONICS = ("A", "A#", "B", "C", "C#", "D", "D#", "E", "F", "F#", "G", "G#")


class GTZANKey(GTZAN):
    """Keys of GTZAN."""

    name = "gtzan_key"
    title = "GTZAN key"
    labels = ("key", "genre")
    citation = "S. Kraft, A. Lerch, U. Zölzer: The tonalness spectrum. DAFx 2013"
    url = "https://github.com/alexanderlerch/gtzan_key"
    size = (930, 7.7)
    places = {"audio": AUDIO, "keys": ("gtzan_key/genres",)}
    archives = (
        AUDIO_ARCHIVE,
        Archive(f"https://github.com/alexanderlerch/gtzan_key/archive/{COMMIT}.zip"),
    )

    def tracks(self) -> list[Track]:
        """The recordings of the filtered list, with a key where there is one."""
        (keys,) = self.annotations("keys")
        found = []
        for name, (path, split) in self.recordings().items():
            genre = name.split(".")[0]
            place = f"{genre}/{name}.lerch.txt"
            labels = {"key": read_if(_key, keys, place), "genre": genre}
            found.append(Track(name, path, labels, split, info={"source": place}))
        return self.present(found)

    @classmethod
    def miniature(cls, root: Path, version: str | None = None) -> None:
        """Audio and keys, one of them unknown."""
        cls.write_sounds(root, version)
        folder = root / ("gtzan_key" if version is None else f"gtzan_key-{COMMIT}/gtzan_key")
        for name, value in (
            ("blues.00029", "22"),
            ("blues.00000", "-1"),
            ("blues.00012", "3"),
            ("jazz.00011", "14"),
            ("rock.00010", "7"),
        ):
            write_text(folder / "genres" / name.split(".")[0] / f"{name}.lerch.txt", f"{value}\n")


def _key(path: Path) -> str | None:
    value = int(read_number(path))
    if value > 23:
        raise ValueError(f"{path} line 1: {value} is not a key; expected -1 to 23")
    return key_of_number(value)


def key_of_number(number: int) -> str | None:
    """The key that a number stands for."""
    return None if number < 0 else f"{TONICS[number % 12]} {'minor' if number > 11 else 'major'}"
