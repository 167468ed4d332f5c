"""Readers of annotation files that several corpora share: beats, chords, keys, one number.

Conventions: times in seconds. Fields are separated by any white space or commas; empty lines and lines that
begin with `#` are skipped. Raw labels are given on as they stand: a task's `parse` judges them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and fields of a text file."""
    for number, line in enumerate(text(path).splitlines(), start=1):
        fields = re.split(r"[\s,]+", line.strip())
        if fields != [""] and not fields[0].startswith("#"):
            yield number, fields


def text(path: Path) -> str:
    """A text file: UTF-8 with or without a mark, or else Latin-1."""
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def number(path: Path, line: int, field: str) -> float:
    """A number, or an error that says where it should have been."""
    try:
        return float(field)
    except ValueError:
        raise ValueError(f'{path} line {line}: "{field}" is not a number') from None


def read_beats(path: Path) -> dict[str, Any]:
    """Beats: a line is `time`, `time position` (1: downbeat), `time bar position` or `time bar.position`.

    Returns:
        `{"beats": [s], "downbeats": [s], "meter": int or None}`; no downbeats and no meter where none are
        given.
    """
    beats, downbeats, largest = [], [], 0
    for line, fields in lines(path):
        time_s = number(path, line, fields[0])
        beats.append(time_s)
        position = fields[-1].rpartition(".")[2] if len(fields) > 1 else ""
        if position.isdigit() and int(position) > 0:
            largest = max(largest, int(position))
            if int(position) == 1:
                downbeats.append(time_s)
    return {"beats": beats, "downbeats": downbeats, "meter": largest if largest > 1 else None}


def read_chords(path: Path) -> list[list[Any]]:
    """Chords: a line is `start end label` (label in Harte's syntax); gives `[[start, end, label], ...]`."""
    chords = []
    for line, fields in lines(path):
        if len(fields) < 3:
            raise ValueError(f"{path} line {line}: expected `start end chord`, found {' '.join(fields)!r}")
        chords.append([number(path, line, fields[0]), number(path, line, fields[1]), " ".join(fields[2:])])
    return chords


def read_value(path: Path) -> str:
    """The one word or number a file holds (a key, a tempo), its inner spaces and tabs made one space."""
    return " ".join(text(path).split())
