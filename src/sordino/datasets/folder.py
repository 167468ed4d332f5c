"""Your own data: a folder per class, a table of paths and labels, or JAMS files.

- `music/rock/a.mp3`, `music/jazz/b.flac`: the folder's name is the label `label`. A level `train`,
  `validation`, `test` above the classes is the split.
- `labels.csv` (or tsv, jsonl, parquet) alone or beside the sound files: a column `path` (relative to the
  table) and one column per label (`key`, `tempo`, `tags`, anything). Optional: id, split, group (or artist,
  album), start_s, duration_s. Tags and instruments are separated by `;` or `|`. A cell of `beat` or `chord`
  may name an annotation file.
- `song.jams` beside `song.wav`.

Conventions: symbolic links are followed for reading, also out of the folder; nothing is ever written or
deleted through one. Names are compared in Unicode's composed form. Hidden files are left out. A missing split
is made by `_splits`.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from sordino import registry
from sordino.audio import FORMATS
from sordino.contracts import Dataset, Track
from sordino.datasets import _tables
from sordino.datasets._annotations import read_beats, read_chords
from sordino.datasets._corpus import write_tone
from sordino.datasets._jams import read_jams
from sordino.datasets._splits import ALIASES, SplitName, split_tracks, stratify_by
from sordino.rules import Seed

MANIFEST = "sordino.jsonl"  # what `sordino prepare` writes; never read as somebody's table
COLUMNS = {
    "path": ("path", "file", "filename", "filepath", "file_path", "audio"),
    "id": ("id", "track_id"),
    "split": ("split", "subset", "partition"),
    "group": ("group", "artist", "artist_id", "album", "album_id"),
    "start_s": ("start_s", "start"),
    "duration_s": ("duration_s", "duration"),
}
LISTS = ("tags", "instruments")
ANNOTATIONS = {"beat": read_beats, "chord": read_chords}


class Folder(Dataset):
    """A user's own tracks.

    Args:
        root: a folder, a table, or a JAMS file.
        seed: of the split, where the data bring none.
    """

    name = "folder"
    title = "your own data"
    labels = ()
    licence = "yours"
    splits = "a column or folder level `split`, else 80/10/10 by group, stratified by label"

    def __init__(self, root: str | Path | None = None, seed: Seed = 0):
        super().__init__(root)
        self.seed = seed
        if self.root.exists():
            names = [name for track in self._read for name in track.labels]
            self.labels = tuple(dict.fromkeys(names))

    def available(self) -> bool:
        """Whether there is such a folder or table."""
        return self.root.exists()

    def tracks(self) -> list[Track]:
        """All tracks, in the order of the table or of their names.

        Raises:
            FileNotFoundError: no such folder or table, no sound in it, or none of a table's paths exists.
            ValueError: a table is broken; says where.
        """
        if not self.root.exists():
            raise FileNotFoundError(f"{self.root}: no such folder or table; give the path of your own data")
        tracks = self._read
        given = {track.split for track in tracks if track.info.get("split_given")}
        if not given:
            label = stratify_by(tracks, self.labels)
            by = f", stratified by {label}" if label else ""
            self.splits = f"made here: 80/10/10 by group{by}, seed {self.seed}"
            return split_tracks(tracks, label, self.seed)
        self.splits = "as given"
        if "validation" not in given and not self.root.name.endswith(MANIFEST):
            train = [track for track in tracks if track.split == "train"]
            moved = split_tracks(train, stratify_by(train, self.labels), self.seed, {"train": 0.9, "validation": 0.1})
            split_of: dict[str, SplitName] = {track.id: track.split for track in moved}
            self.splits = f"as given; a tenth of train is validation, seed {self.seed}"
            return [track.with_split(split_of.get(track.id, track.split)) for track in tracks]
        return tracks

    @classmethod
    def miniature(cls, root: Path) -> None:
        """A folder per class, one of them with an accent."""
        for name in ("rock/a.wav", "rock/b.mp3", "jäzz/ünïcode.flac", "jäzz/c.ogg"):
            write_tone(root / name)

    @cached_property
    def _read(self) -> list[Track]:
        """The tracks with the splits they came with."""
        if self.root.is_file():
            found = _jams_tracks([self.root]) if self.root.suffix == ".jams" else _table_tracks(self.root)
        else:
            tables = [
                path
                for path in sorted(self.root.iterdir())
                if path.suffix.lower() in _tables.SUFFIXES and not path.name.endswith(MANIFEST) and _is_table(path)
            ]
            if len(tables) > 1:
                names = ", ".join(path.name for path in tables)
                raise ValueError(f"{self.root}: several tables ({names}); give the path of one of them")
            files = list(_walk(self.root))
            jams = [path for path in files if path.suffix == ".jams"]
            if tables:
                found = _table_tracks(tables[0])
            else:
                found = _jams_tracks(jams, self.root) if jams else _class_tracks(files, self.root)
        return _unique(found, self.root)


def _walk(root: Path) -> Iterator[Path]:
    """All visible files below, sorted; linked folders are entered once."""
    seen = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder) / name for name in sorted(files) if not name.startswith("."))


def _name(path: Path, root: Path) -> str:
    """A path relative to the root, the same on every machine."""
    shown = path.relative_to(root) if path.is_relative_to(root) else path
    return unicodedata.normalize("NFC", shown.as_posix())


def _class_tracks(files: list[Path], root: Path) -> list[Track]:
    found = []
    for path in files:
        parts = path.relative_to(root).parts
        if path.suffix.lower() not in FORMATS:
            continue
        split = ALIASES.get(parts[0].lower()) if len(parts) > 2 else None
        name = unicodedata.normalize("NFC", parts[1 if split else 0]) if len(parts) > 1 else None
        info = {"source": f"folder {Path(*parts[:-1])}", "split_given": split is not None}
        found.append(Track(_name(path, root), path, {"label": name} if name else {}, split or "train", info=info))
    if not found:
        raise FileNotFoundError(f"{root}: no sound files ({' '.join(FORMATS)}), no table, no JAMS files")
    return found


def _jams_tracks(files: list[Path], root: Path | None = None) -> list[Track]:
    found = []
    for path in files:
        labels, metadata = read_jams(path)
        places = [path.parent, path.parent / "audio", path.parent.parent / "audio"]
        sounds = [place / (path.stem + suffix) for place in places for suffix in FORMATS]
        sound = next((sound for sound in sounds if sound.is_file()), path.with_suffix(".wav"))
        info = {**metadata, "source": path.name}
        found.append(
            Track(
                _name(path, root or path.parent),
                sound,
                labels,
                "train",
                metadata.get("artist", ""),
                info=info,
            )
        )
    return found


def _is_table(path: Path) -> bool:
    """Whether a file in the folder is meant as the table: its first row has a path."""
    try:
        _, row = next(_tables.rows(path))
    except (StopIteration, ValueError):
        return path.suffix.lower() != ".txt"  # a broken table is worth an error, a broken text is a readme
    return _columns(row).get("path") is not None


def _columns(row: Mapping[str, Any]) -> dict[str, str | None]:
    """For each thing a track needs, the column it stands in."""
    lower = {name.lower(): name for name in row}
    return {field: next((lower[name] for name in names if name in lower), None) for field, names in COLUMNS.items()}


def _table_tracks(table: Path) -> list[Track]:
    found = []
    for where, row in _tables.rows(table):
        column = _columns(row)
        if column["path"] is None:
            raise ValueError(f"{where}: no column `path`; the columns are {', '.join(row)}")
        cell = {field: row.get(name) if name else None for field, name in column.items()}
        if not cell["path"]:
            raise ValueError(f"{where}: the path is empty")
        path = table.parent / Path(str(cell["path"])).expanduser()
        used = {name for name in column.values() if name}
        labels = {
            _label_name(name): _label(_label_name(name), value, table.parent)
            for name, value in row.items()
            if name and name not in used and not name.startswith("_")
        }
        found.append(
            Track(
                id=unicodedata.normalize("NFC", str(cell["id"] or cell["path"])),
                path=path,
                labels=labels,
                split=_split(where, cell["split"]),
                group=str(cell["group"] or ""),
                start_s=_number(where, column["start_s"], cell["start_s"]) or 0.0,
                duration_s=_number(where, column["duration_s"], cell["duration_s"]),
                info={"source": where, "split_given": cell["split"] is not None},
            )
        )
    if not found:
        raise ValueError(f"{table}: no rows")
    if not any(track.path.exists() for track in found[:100]):
        raise FileNotFoundError(
            f"{table}: none of the first {len(found[:100])} paths exists (the first is {found[0].path}); "
            "paths are relative to the table's folder"
        )
    return found


def _label_name(column: str) -> str:
    """A column's name as a label's name: known labels in any case, others as they stand."""
    lower = {"bpm": "tempo", "beats": "beat", "chords": "chord", "tag": "tags"}.get(column.lower(), column.lower())
    return lower if lower in known_labels() else column


@cache
def known_labels() -> frozenset[str]:
    """The labels that tasks read by default and that corpora carry, and the name of a folder's class."""
    tasks = {registry.find("task", name).label for name in registry.names("task")}
    corpora = [registry.find("dataset", name).labels for name in registry.names("dataset")]
    return frozenset(tasks.union(["label"], *corpora))


def _label(name: str, value: Any, folder: Path) -> Any:
    """A cell as a raw label: lists are split, annotation files are read, all else stays."""
    if not isinstance(value, str):
        return value
    if name in LISTS:
        return [part.strip() for part in value.replace("|", ";").split(";") if part.strip()]
    if name in ANNOTATIONS and (folder / value).is_file():
        return ANNOTATIONS[name](folder / value)
    return value


def _split(where: str, value: Any) -> Any:
    if value is None:
        return "train"
    if str(value).lower() not in ALIASES:
        raise ValueError(f'{where}: split "{value}" is unknown; use train, validation or test')
    return ALIASES[str(value).lower()]


def _number(where: str, column: str | None, value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        raise ValueError(f'{where}: {column} "{value}" is not a number of seconds') from None


def _unique(tracks: list[Track], root: Path) -> list[Track]:
    """The tracks, if no id stands twice."""
    first: dict[str, Track] = {}
    for track in tracks:
        if track.id in first:
            where, before = track.info["source"], first[track.id].info["source"]
            raise ValueError(f'{root}: id "{track.id}" stands twice ({before}, {where}); add a column `id`')
        first[track.id] = track
    return tracks
