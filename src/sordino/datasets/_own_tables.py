"""A user's table as tracks: columns matched, files found, cells read; what cannot be read is refused row by row."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sordino.contracts import Track, Unreadable
from sordino.contracts.cells import seconds
from sordino.datasets import _tables
from sordino.datasets._annotations import read_beats, read_chords, read_if
from sordino.datasets._columns import Columns, columns_of
from sordino.datasets._finding import Sounds
from sordino.datasets._splits import ALIASES
from sordino.files import is_there

N_LOOKED_AT = 100
ANNOTATIONS = {"beat": read_beats, "chord": read_chords}


@dataclass
class Found:
    """What a user's data hold.

    Attributes:
        tracks: with the splits they came with; `info["split_given"]` says whether they did.
        refused: one line for each row that could not be read.
        notes: what a reader should know, one line each.
    """

    tracks: list[Track] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def is_table(path: Path) -> bool:
    """Whether a file in a folder is meant as the table: its first row has a path."""
    try:
        _, row = next(_tables.rows(path))
    except (StopIteration, ValueError):
        worth_an_error = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".xlsx", ".nml")
        return path.suffix.lower() in worth_an_error
    return isinstance(row, Unreadable) or "path" in columns_of(row).fields


def table_tracks(table: Path) -> Found:
    """The tracks of a table.

    Raises:
        ValueError: no row can be read; says why not the first.
        FileNotFoundError: no path exists.
    """
    found, sounds = Found(), Sounds(table.parent)
    names, columns = None, columns_of({})
    for where, row in _tables.rows(table):
        try:
            if isinstance(row, Unreadable):
                raise ValueError(row.reason)
            if row.keys() != names:
                names, columns = row.keys(), columns_of(row)
            found.tracks.append(_track(where, row, columns, sounds))
        except ValueError as error:
            found.refused.append(str(error))
    if not found.tracks:
        raise ValueError(found.refused[0] if found.refused else f"{table}: no rows")
    if not any(is_there(track.path) for track in found.tracks[:N_LOOKED_AT]):
        first = found.tracks[:N_LOOKED_AT]
        raise FileNotFoundError(
            f"{table}: none of the first {len(first)} paths exists (the first is {first[0].path}); "
            "paths are relative to the table's folder"
        )
    found.notes.append(f"{table.name}: {columns}")
    if sounds.moved:
        text, path = next(iter(sounds.moved.items()))
        found.notes.append(f"{len(sounds.moved)} files found by their names, such as {path} for {text}")
    return found


def _track(where: str, row: Mapping[str, Any], columns: Columns, sounds: Sounds) -> Track:
    """A row as a track.

    Raises:
        ValueError: a path, a split or a time is missing or none; says where.
    """
    cell = {name: row.get(column) for name, column in columns.fields.items()}
    if "path" not in columns.fields:
        raise ValueError(f"{where}: no column `path`; the columns are {', '.join(row)}")
    if not cell["path"]:
        raise ValueError(f"{where}: the path is empty")
    split, start_s = cell.get("split"), _seconds(where, columns, row, "start_s") or 0.0
    name = _text(cell.get("id")) or (f"{cell['path']}@{start_s:g}" if start_s else str(cell["path"]))
    return Track(
        id=unicodedata.normalize("NFC", name),
        path=sounds.find(str(cell["path"])),
        labels={name: _label(name, row.get(column), sounds.folder) for name, column in columns.labels.items()},
        split=_split(where, split),
        group=_text(cell.get("group")),
        start_s=start_s,
        duration_s=_seconds(where, columns, row, "duration_s"),
        info={"source": row.get("_source") or where, "split_given": split is not None},
    )


def _text(value: Any) -> str:
    """A cell as a name; the number 0 is one."""
    return "" if value is None else str(value)


def _label(name: str, value: Any, folder: Path) -> Any:
    """A cell as a raw label: annotation files are read, all else stays as it is."""
    is_file = isinstance(value, str) and name in ANNOTATIONS and is_there(folder / value) and (folder / value).is_file()
    return read_if(ANNOTATIONS[name], folder, value) if is_file else value


def _split(where: str, value: Any) -> Any:
    if value is None:
        return "train"
    if str(value).strip().lower() not in ALIASES:
        raise ValueError(f'{where}: split "{str(value)[:40]}" is unknown; use train, validation or test')
    return ALIASES[str(value).strip().lower()]


def _seconds(where: str, columns: Columns, row: Mapping[str, Any], field_name: str) -> float | None:
    column = columns.fields.get(field_name)
    value = row.get(column) if column else None
    try:
        return None if value is None else seconds(value)
    except (ValueError, ArithmeticError):
        raise ValueError(
            f'{where}: {column} "{str(value)[:40]}" is not a number of seconds, nor a time like 3:45'
        ) from None
