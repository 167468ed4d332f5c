"""What the named corpora share: where their files lie, what to say when they do not, which archives can be
fetched.

A corpus says in `places` under which names its parts are found below the root (the first that exists counts),
so that both the publisher's layout and the usual repackings work. `miniature` writes a few files in the true
layout: the contract tests read every corpus through it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from sordino import audio
from sordino.contracts import Dataset, Track


class Corpus(Dataset):
    """A named corpus with files below a root.

    Attributes:
        places: for each part, the paths below the root where it may lie; `*` matches within a name.
    """

    places: ClassVar[Mapping[str, tuple[str, ...]]]

    def place(self, part: str) -> Path:
        """Where a part lies.

        Raises:
            FileNotFoundError: nowhere below the root; says what is expected and how to get it.
        """
        for pattern in self.places[part]:
            found = sorted(self.root.glob(pattern)) if "*" in pattern else [self.root / pattern]
            if found and found[0].exists():
                return found[0]
        raise self._missing(f"no {part}")

    def available(self) -> bool:
        """Whether all parts are here."""
        try:
            return self.root.is_dir() and all(self.place(part) for part in self.places)
        except FileNotFoundError:
            return False

    def present(self, tracks: Iterable[Track]) -> list[Track]:
        """The tracks whose sound is here, by id; the others are noted in `absent`."""
        known = sorted(tracks, key=lambda track: track.id)
        here = [track for track in known if track.path.is_file()]
        if not here:
            raise self._missing(f"no sound file of its {len(known)} tracks")
        self.absent = tuple(track.id for track in known if not track.path.is_file())
        return here

    def _missing(self, what: str) -> FileNotFoundError:
        parts = "; ".join(f"{part}: {' or '.join(names)}" for part, names in self.places.items())
        download = f" `sordino prepare {self.name} --download` fetches what is published." if self.archives else ""
        return FileNotFoundError(
            f"{self.name}: {what} in {self.root}. Expected there are {parts}. {self.get}{download} "
            f"Say where it lies with --root, or set SORDINO_DATA."
        )


def sounds(folder: Path) -> dict[str, Path]:
    """All sound files below a folder by name without suffix; a lossless file goes before another."""
    order = {suffix: rank for rank, suffix in enumerate((".wav", ".flac", ".aiff", ".aif", ".au"))}
    found: dict[str, Path] = {}
    for place, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files, key=lambda name: order.get(Path(name).suffix.lower(), len(order))):
            path = Path(place) / name
            if path.suffix.lower() in audio.FORMATS and not name.startswith("."):
                found.setdefault(path.stem, path)
    return found


def write_tone(path: Path, duration_s: float = 1.0, frequency_hz: float = 220.0) -> None:
    """A short quiet tone, for miniatures."""
    time_s = np.arange(round(duration_s * 22_050)) / 22_050
    audio.write(path, (0.1 * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32), 22_050)


def write_text(path: Path, content: str) -> None:
    """A text file and the folders above it, for miniatures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
