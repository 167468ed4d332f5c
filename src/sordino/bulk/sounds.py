"""Which recordings are meant: files, folders, globs, playlists, tables, buckets, and what comes through a pipe.

Conventions: a folder means all sound files below it; a playlist (m3u, m3u8) and a table (csv, jsonl, parquet, ... with
a column `path`) name files relative to themselves; `-` is a list of paths on stdin, one on each line, or a sound
itself. A place with `://` is read through fsspec. Each file is meant once. Two files never have the same name.
"""

from __future__ import annotations

import glob
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from io import BufferedIOBase
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from sordino.audio import FORMATS
from sordino.bulk import elsewhere
from sordino.datasets import table_rows, walk
from sordino.files import distinct_names

PLAYLISTS = (".m3u", ".m3u8")
TABLES = (".csv", ".tsv", ".json", ".jsonl", ".parquet", ".xlsx")
PATHS = ("path", "file", "filename", "filepath", "location", "audio")
MAGIC = (b"RIFF", b"RF64", b"fLaC", b"OggS", b"ID3", b"FORM", b".snd", b"caff")


class Named(NamedTuple):
    """A recording.

    Attributes:
        path: where it is; with `://` for fsspec.
        name: what files about it are called, without a suffix; the same for no other recording.
    """

    path: str
    name: str


def expand(given: Iterable[str], stdin: BufferedIOBase | None = None) -> list[Named]:
    """The recordings that words on the command line mean, in their order; a missing file is one of them.

    Args:
        given: see the module's head.
        stdin: what `-` reads; None for the process's own.

    Raises:
        FileNotFoundError: nothing is meant by one of them (an empty folder, a glob without a match).
        ValueError: a table has no column of paths.
    """
    found: dict[str, str] = {}
    for text in given:
        for path, name in _expanded(text, stdin):
            found.setdefault(path, name.replace("..", "_").lstrip("/"))
    return [Named(*named) for named in distinct_names(found).items()]


def _expanded(text: str, stdin: BufferedIOBase | None) -> Iterator[tuple[str, str]]:
    """Paths with the names that they would like."""
    if text == "-":
        yield from _piped(stdin)
    elif elsewhere.is_elsewhere(text):
        yield from _remote(text)
    elif (folder := Path(text)).is_dir():
        sounds = [path for path in walk(folder) if path.suffix.lower() in FORMATS]
        yield from _some(text, ((str(path), str(path.relative_to(folder).with_suffix(""))) for path in sounds))
    elif any(sign in text for sign in "*?[") and not folder.exists():
        matches = sorted(path for path in glob.glob(text, recursive=True) if Path(path).is_file())  # noqa: PTH207
        yield from _some(text, ((path, Path(path).stem) for path in matches))
    elif folder.suffix.lower() in PLAYLISTS:
        rows = folder.read_text(encoding="utf-8-sig", errors="replace").splitlines()
        named = [row.strip() for row in rows if row.strip() and not row.startswith("#")]
        yield from _some(text, ((_beside(row, folder), Path(row).stem) for row in named))
    elif folder.suffix.lower() in TABLES:
        yield from _some(text, ((_beside(row, folder), Path(row).stem) for row in _column(folder)))
    else:
        yield text, folder.stem


def _some(text: str, found: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    listed = list(found)
    if not listed:
        raise FileNotFoundError(f"{text}: no sound file ({' '.join(FORMATS)})")
    return listed


def _beside(row: str, table: Path) -> str:
    """A path as a list has it, relative to the list."""
    return (
        row if elsewhere.is_elsewhere(row) else str(table.parent / Path(row.replace("\\", "/") if "\\" in row else row))
    )


def _column(table: Path) -> Iterator[str]:
    """The paths that a table names."""
    for where, row in table_rows(table):
        if isinstance(row, dict):
            path = next((cell for name, cell in row.items() if name.casefold() in PATHS), None)
            if path is None:
                raise ValueError(f"{table}, {where}: no column with a path ({', '.join(PATHS)})")
            yield str(path)


def _piped(given: BufferedIOBase | None) -> Iterator[tuple[str, str]]:
    """The sound that comes through a pipe, in a file that lasts as long as the process; or the paths on its lines."""
    stdin = sys.stdin.buffer if given is None else given
    first = stdin.read(4)
    if first.startswith(MAGIC) or (first[:1] == b"\xff" and first[1:2] >= b"\xe0"):
        file = tempfile.NamedTemporaryFile(prefix="sordino-", suffix=".audio")  # noqa: SIM115
        file.write(first)
        shutil.copyfileobj(stdin, file)
        file.flush()
        _piped_files.append(file)
        yield file.name, "stdin"
        return
    rows = (first + stdin.read()).decode("utf-8", errors="surrogateescape").splitlines()
    yield from _some("-", ((row.strip(), Path(row.strip()).stem) for row in rows if row.strip()))


_piped_files: list[Any] = []


def _remote(text: str) -> Iterator[tuple[str, str]]:
    """A file, a folder, or a glob that fsspec knows."""
    sounds = [path for path in elsewhere.found(text) if PurePosixPath(path).suffix.lower() in FORMATS]
    yield from _some(
        text, ((path, str(PurePosixPath(elsewhere.within(path, text)).with_suffix(""))) for path in sounds)
    )
