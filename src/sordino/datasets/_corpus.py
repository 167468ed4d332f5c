"""What the named corpora share: where their files lie, what to say when they do not, which archives can be
fetched.

A corpus says in `places` under which names its parts are found (the first that exists counts), so that both the
publisher's layout and the usual repackings work. `miniature` writes a few files in the true layout, with one example
of every odd form that the real files hold: the contract tests read every corpus through it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from sordino import audio, files
from sordino.contracts import Dataset, Track


class Corpus(Dataset):
    """A named corpus with files below a root.

    Attributes:
        places: for each part, the paths where it may lie, below the root or below one folder in it (an unpacked
            archive's); `*` matches within a name, and case does not count. The sound is `audio`; of the others one
            is enough.
        hidden: names of folders that belong to another version, `*` as above.
    """

    places: Mapping[str, tuple[str, ...]]
    hidden: tuple[str, ...] = ()

    def place(self, part: str) -> Path:
        """Where a part lies.

        Raises:
            FileNotFoundError: nowhere below the root; says how to get it.
        """
        if (found := self._find(part)) is None:
            raise self._missing(f"no {part}")
        return found

    def annotations(self, *names: str) -> list[Path | None]:
        """Where the annotations lie, None for those that are not here, which is noted.

        Raises:
            FileNotFoundError: none of them is.
        """
        found = [self._find(name) for name in names]
        if not any(found):
            raise self._missing(f"no {' and no '.join(names)}")
        self.notes = tuple(
            f"no {name} in {self.root} (`sordino show {type(self).name}` says where they are looked for)"
            for name, place in zip(names, found, strict=True)
            if place is None
        )
        return found

    def _find(self, part: str) -> Path | None:
        for above in ("", "*/"):
            for pattern in self.places[part]:
                if (found := next(self._below(self.root, f"{above}{pattern}".split("/")), None)) is not None:
                    return found
        return None

    def _below(self, folder: Path, steps: list[str]) -> Iterator[Path]:
        """Whatever matches the steps of a path below a folder, in the order of names."""
        if not steps:
            yield folder
        elif steps[0] == "..":
            yield from self._below(folder.parent, steps[1:])
        elif folder.is_dir():
            wanted = steps[0].casefold()
            for path in sorted(folder.iterdir()):
                hidden = path.name.startswith(".") or any(fnmatchcase(path.name, pattern) for pattern in self.hidden)
                if not hidden and fnmatchcase(path.name.casefold(), wanted):
                    yield from self._below(path, steps[1:])

    def available(self) -> bool:
        """Whether the sound and some annotation are here."""
        others = [part for part in self.places if part != "audio"]
        return self._find("audio") is not None and (not others or any(self._find(part) for part in others))

    def present(self, tracks: Iterable[Track]) -> list[Track]:
        """The tracks whose sound is here, by id; the others are noted in `absent`."""
        known = sorted(tracks, key=lambda track: track.id)
        here = [track for track in known if files.is_there(track.path)]
        if not known:
            raise self._missing("no annotated track")
        if not here:
            raise self._missing(f"no sound file of its {len(known)} tracks")
        self.absent = tuple(track.id for track in known if not files.is_there(track.path))
        return here

    def _missing(self, what: str) -> FileNotFoundError:
        download = "`--download` gets what is published, " if self.archives else ""
        told = f"{download}`--root` says where it lies, `sordino show {type(self).name}` what lies there."
        return FileNotFoundError(f"{self.name}: {what} in {self.root}. {self.get} {told}")


def sounds(folder: Path) -> dict[str, Path]:
    """All sound files below a folder by name without suffix; a lossless file goes before another."""
    order = {suffix: rank for rank, suffix in enumerate((".wav", ".flac", ".aiff", ".aif", ".au"))}
    found: dict[str, Path] = {}
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names, key=lambda name: order.get(Path(name).suffix.lower(), len(order))):
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
    files.write_text(path, content)
