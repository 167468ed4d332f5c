"""Readers of annotation files that several corpora share, and that people have: beats, chords, one number.

Conventions: times in seconds. The columns of times are separated by white space, commas or semicolons; what follows
them is the label, kept whole (`E:aug(9,11)`), without quotation marks around it. Empty lines and lines that begin with
`#`, and what Audacity writes of a selection of frequencies (`\\`), are skipped, as is a first line that names the
columns (`TIME,LABEL`). Raw labels are given on as they stand: a task's `parse` judges them. So `.lab`, `.beats`,
Audacity's labels (start, end, text) and Sonic Visualiser's layers (CSV of time and text) are all read.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from sordino.contracts import Unreadable
from sordino.files import is_there, one_line

SEPARATOR = re.compile(r"[\s,;]+")
NUMBER = re.compile(r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?")
HEAD = re.compile(r'"?(time|start|begin|onset)', re.IGNORECASE)
FINE_TIME = re.compile(r"\d+\.\d{3,}")  # a second column like this is Audacity's end, never a place in a bar


def lines(path: Path, n_columns: int) -> Iterator[tuple[int, list[str], str]]:
    """Line numbers, the first columns (fewer where a line has fewer), and the rest of a text file."""
    for number, line in enumerate(text(path).splitlines(), start=1):
        if line.strip() and line.lstrip()[0] not in "#\\" and not (number == 1 and HEAD.match(line)):
            fields = SEPARATOR.split(line.strip(), maxsplit=n_columns)
            rest = _unquoted(fields.pop()) if len(fields) > n_columns else ""
            yield number, [_unquoted(field) for field in fields], rest


def _unquoted(field: str) -> str:
    return field[1:-1].strip() if len(field) > 1 and field[0] == field[-1] == '"' else field


def text(path: Path) -> str:
    """A text file: UTF-8 or UTF-16 with or without a mark, or else Latin-1."""
    raw = path.read_bytes()
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def table(path: Path, **how: Any) -> list[dict[str, str]]:
    """The rows of a corpus's own table by the names of its columns, without the space around cells.

    Args:
        path: the table.
        **how: its dialect, as of `csv.DictReader`.
    """
    rows = csv.DictReader(io.StringIO(text(path), newline=""), **how)
    return [{name.strip(): (cell or "").strip() for name, cell in row.items() if name} for row in rows]


def number(path: Path, line: int, field: str) -> float:
    """A number, or an error that says where it should have been."""
    try:
        return float(field)
    except ValueError:
        raise ValueError(f'{path} line {line}: "{field}" is not a number') from None


def read_if(read: Callable[[Path], Any], folder: Path | None, name: str) -> Any:
    """What a reader makes of a file: None where there is no such file, `Unreadable` where it is no annotation."""
    if folder is None or not is_there(folder / name):
        return None
    try:
        return read(folder / name)
    except (ValueError, ArithmeticError, LookupError, OSError) as error:
        return Unreadable(one_line(error) if isinstance(error, (ValueError, OSError)) else f"{folder / name}: {error}")


def read_beats(path: Path) -> dict[str, Any]:
    """Beats: a line is `time`, `time position` (1: downbeat), `time bar position`, `time bar.position`, or a label of
    Audacity, whose text is the position.

    Returns:
        `{"beats": [s], "downbeats": [s], "meter": int or None}`; no downbeats and no meter where none are given.
    """
    beats, downbeats, largest = [], [], 0
    for line, fields, rest in lines(path, 1):
        beats.append(number(path, line, fields[0]))
        place = _place_in_bar(rest)
        largest = max(largest, place)
        if place == 1:
            downbeats.append(beats[-1])
    return {"beats": beats, "downbeats": downbeats, "meter": largest if largest > 1 else None}


def _place_in_bar(rest: str) -> int:
    """The place that stands behind a beat's time, 0 where there is none (`New Point`, `nan`, a text)."""
    words = SEPARATOR.split(rest)
    if FINE_TIME.fullmatch(words[0]):
        words = words[1:] or [""]
    bar, _, place = words[-1].rpartition(".")
    place = bar if bar and not place.strip("0") else place  # 3.0 is the third beat, 2.1 the first one of bar 2
    return int(place) if place.isdecimal() else 0


def read_chords(path: Path) -> list[list[Any]]:
    """Chords: a line is `start end label` (label in Harte's syntax), or `start label`, each to the next one's start.

    Returns:
        `[[start, end, label], ...]`; of `start label` the last line only ends the one before.
    """
    found = []
    for line, fields, rest in lines(path, 1):
        start_s, words = number(path, line, fields[0]), SEPARATOR.split(rest, maxsplit=1)
        has_end = NUMBER.fullmatch(words[0]) is not None
        label = _unquoted(words[1] if has_end and len(words) > 1 else "" if has_end else rest)
        if not label:
            raise ValueError(f"{path} line {line}: expected `start end chord`, found {f'{fields[0]} {rest}'!r}")
        found.append([start_s, float(words[0]) if has_end else None, label])
    if all(end is None for _, end, _ in found):
        return [[start, end, label] for (start, _, label), (end, _, _) in pairwise(found)]
    if any(end is None for _, end, _ in found):
        raise ValueError(f"{path}: some lines are `start end chord`, others `start chord`")
    return found


def read_value(path: Path) -> str:
    """The one word or number a file holds (a key, a tempo), its inner spaces and tabs made one space."""
    return " ".join(text(path).split())


def read_number(path: Path) -> float:
    """The number at the beginning of a file; what follows it (a second tempo, a confidence) is left."""
    return number(path, 1, SEPARATOR.split(text(path).strip())[0])
