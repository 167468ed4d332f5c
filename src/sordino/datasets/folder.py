"""Your own data: a folder per class, a table of paths and labels, JAMS files, a DJ program's library, or tagged files.

- `music/rock/a.mp3`, `music/jazz/b.flac`: the folder's name is the label `label`. A level `train`,
  `validation`, `test` above the classes is the split. Where a name is `-class`, `one,other`, `Other`, `Silence`,
  `Background` or `Noise` (as BirdNET's folders are), the label `tags` is beside it: all of several, none of the others.
- `labels.csv` (or tsv, xlsx, json, jsonl, parquet) alone or beside the sound files: a column `path` (relative to the
  table) and one column per label (`key`, `tempo`, `tags`, anything). Optional: id, split, group (or artist,
  album), start_s, duration_s. A cell of `beat` or `chord` may name an annotation file.
- `rekordbox.xml`, `collection.nml` of Traktor: tempo, key, genre, beats.
- `song.jams` beside `song.wav`.
- Sound files alone: tempo, key, genre and artist from their tags (ID3, Vorbis, MP4).

Conventions: symbolic links are followed for reading, also out of the folder; nothing is ever written or
deleted through one. Names are compared in Unicode's composed form. Hidden files are left out. A missing split
is made by `_splits`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from sordino.audio import FORMATS
from sordino.contracts import Dataset, Track
from sordino.datasets import _tables
from sordino.datasets._corpus import write_tone
from sordino.datasets._file_tags import read_tags
from sordino.datasets._finding import walk
from sordino.datasets._jams import read_jams
from sordino.datasets._own_tables import Found, is_table, table_tracks
from sordino.datasets._splits import ALIASES, FRACTIONS, SplitName, filling_seed, group_of, split_tracks
from sordino.files import is_there, one_line
from sordino.rules import Seed

NO_CLASS = ("other", "silence", "background", "noise")


class Folder(Dataset):
    """A user's own tracks.

    Args:
        root: a folder, a table, a library, or a JAMS file.
        seed: of the split, where the data bring none.
    """

    name = "folder"
    title = "your own data"
    labels = ()
    licence = "yours"
    splits = "a column or folder level `split`, else 80/10/10 by group"

    def __init__(self, root: str | Path | None = None, seed: Seed = 0):
        super().__init__(root)
        self.seed = seed
        if self.root.exists():
            names = [name for track in self._read.tracks for name in track.labels]
            self.labels = tuple(dict.fromkeys(names))

    def available(self) -> bool:
        """Whether there is such a folder or table."""
        return self.root.exists()

    def tracks(self) -> list[Track]:
        """All tracks, in the order of the table or of their names.

        Raises:
            FileNotFoundError: no such folder or table, no sound in it, or none of a table's paths exists.
            ValueError: nothing of a table can be read; says why.
        """
        if not self.root.exists():
            raise FileNotFoundError(f"{self.root}: no such folder or table; give the path of your own data")
        found = self._read
        self.refused, self.notes = tuple(found.refused), tuple(found.notes)
        given = {track.split for track in found.tracks if track.info.get("split_given")}
        self.split_here = not given
        if not given:
            self.splits = f"made here: 80/10/10 by group, seed {self.seed}"
            tracks = split_tracks(found.tracks, self.seed)
            if empty := [split for split in FRACTIONS if split not in {track.split for track in tracks}]:
                self.notes += (f"no track in {' and '.join(empty)}{self._filled()}",)
            return tracks
        self.splits = "as given"
        tracks = self._completed(found.tracks, given)
        if "validation" not in {*given, *(track.split for track in tracks)} and not self._is_manifest:
            train = [track for track in tracks if track.split == "train"]
            tracks = self._resplit(tracks, train, {"train": 0.9, "validation": 0.1})
            self.splits += f"; a tenth of train is validation, seed {self.seed}"
        return tracks

    @property
    def _is_manifest(self) -> bool:
        return self.root.name.endswith(_tables.MANIFEST)

    def _completed(self, tracks: Sequence[Track], given: set[str]) -> list[Track]:
        """Tracks without a split follow their group, or else go to train and to those splits that nobody was given."""
        assigned = [track for track in tracks if track.info.get("split_given")]
        of_group: dict[str, SplitName] = {group_of(track): track.split for track in assigned}
        tracks = [track.with_split(of_group.get(group_of(track), track.split)) for track in tracks]
        rest = [track for track in tracks if group_of(track) not in of_group]
        if not rest:
            return tracks
        wanted: list[SplitName] = [split for split in FRACTIONS if split == "train" or split not in given]
        fractions: dict[SplitName, float] = {split: FRACTIONS[split] for split in wanted}
        self.splits += f"; {len(rest)} without one are {' and '.join(fractions)}, seed {self.seed}"
        return self._resplit(tracks, rest, fractions)

    def _resplit(
        self, tracks: Sequence[Track], some: Sequence[Track], fractions: dict[SplitName, float]
    ) -> list[Track]:
        """The tracks, some of them split anew."""
        moved: dict[str, SplitName] = {track.id: track.split for track in split_tracks(some, self.seed, fractions)}
        return [track.with_split(moved.get(track.id, track.split)) for track in tracks]

    def _filled(self) -> str:
        """How a split is found that leaves none empty."""
        seed = filling_seed(self._read.tracks)
        return "; add tracks or a column `split`" if seed is None else f"; {self.root}:seed={seed} has some in each"

    @classmethod
    def miniature(cls, root: Path) -> None:
        """A folder per class, one of them with an accent."""
        for name in ("rock/a.wav", "rock/b.mp3", "jäzz/ünïcode.flac", "jäzz/c.ogg"):
            write_tone(root / name)

    @cached_property
    def _read(self) -> Found:
        """The tracks with the splits they came with."""
        if self.root.is_file():
            found = _jams_tracks([self.root]) if self.root.suffix == ".jams" else table_tracks(self.root)
        else:
            tables = [
                path
                for path in sorted(self.root.iterdir())
                if path.suffix.lower() in _tables.SUFFIXES
                and not path.name.endswith(_tables.MANIFEST)
                and is_table(path)
            ]
            if len(tables) > 1:
                names = ", ".join(path.name for path in tables)
                raise ValueError(f"{self.root}: several tables ({names}); give the path of one of them")
            refused: list[str] = []
            files = list(walk(self.root, refused))
            jams = [path for path in files if path.suffix == ".jams"]
            if tables:
                found = table_tracks(tables[0])
            else:
                found = _jams_tracks(jams, self.root) if jams else _class_tracks(files, self.root)
            found.refused += refused
        return _unique(found)


def _name(path: Path, root: Path) -> str:
    """A path relative to the root, the same on every machine."""
    shown = path.relative_to(root) if path.is_relative_to(root) else path
    return unicodedata.normalize("NFC", shown.as_posix())


def _class_tracks(files: list[Path], root: Path) -> Found:
    found = Found()
    for path in files:
        parts = path.relative_to(root).parts
        if path.suffix.lower() not in FORMATS:
            continue
        split = ALIASES.get(parts[0].lower()) if len(parts) > 2 else None
        name = unicodedata.normalize("NFC", parts[1 if split else 0]) if len(parts) > 1 else None
        info = {"source": f"folder {Path(*parts[:-1])}", "split_given": split is not None}
        labels = {"label": name} if name else {}
        found.tracks.append(Track(_name(path, root), path, labels, split or "train", info=info))
    if not found.tracks:
        raise FileNotFoundError(f"{root}: no sound files ({' '.join(FORMATS)}), no table, no JAMS files")
    names = {track.labels.get("label") for track in found.tracks}
    if names == {None}:
        return read_tags(found.tracks)
    if any(name and _tags(name) != [name] for name in names):
        found.tracks = [
            replace(track, labels={**track.labels, "tags": _tags(track.labels["label"])}) if track.labels else track
            for track in found.tracks
        ]
        found.notes.append("label `tags`: `one,other` are several, `-one`, Other, Silence, Background and Noise none")
    return found


def _tags(name: str) -> list[str]:
    """The classes of a folder named as BirdNET's are."""
    names = [part.strip() for part in name.split(",") if part.strip()]
    return [part for part in names if not part.startswith("-") and part.casefold() not in NO_CLASS]


def _jams_tracks(files: list[Path], root: Path | None = None) -> Found:
    found = Found()
    for path in files:
        try:
            labels, metadata = read_jams(path)
        except (ValueError, OSError) as error:
            found.refused.append(one_line(error))
            continue
        places = [path.parent, path.parent / "audio", path.parent.parent / "audio"]
        sounds = [place / (path.stem + suffix) for place in places for suffix in FORMATS]
        sound = next((sound for sound in sounds if is_there(sound)), path.with_suffix(".wav"))
        name, info = _name(path, root or path.parent), {**metadata, "source": path.name}
        found.tracks.append(Track(name, sound, labels, "train", _text(metadata.get("artist")), info=info))
    if not found.tracks:
        raise ValueError(found.refused[0])
    return found


def _text(value: Any) -> str:
    """A name; nothing for what is none."""
    return value if isinstance(value, str) else ""


def _unique(found: Found) -> Found:
    """The tracks, the first of each id."""
    first: dict[str, Track] = {}
    for track in found.tracks:
        if track.id in first:
            where, before = track.info["source"], first[track.id].info["source"]
            found.refused.append(f'{where}: id "{track.id}" stands in {before} already; add a column `id`')
        else:
            first[track.id] = track
    found.tracks = list(first.values())
    return found
