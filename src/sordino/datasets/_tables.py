"""Tables of labels: comma or tab separated text, JSON Lines, parquet. One row is one dict, with its place.

Conventions: the first row of text names the columns; the separator (comma, semicolon or tab) is found from
it. Text is UTF-8. An empty cell is None. Between semicolons, `99,5` is the number 99.5.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_DECIMAL_COMMA = re.compile(r"^(-?\d+),(\d+)$")
SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".parquet")


def rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every row of a table, with its place (`labels.csv line 17`).

    Raises:
        ValueError: it is not a table of these kinds, or a row is broken.
    """
    suffix = path.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        return _json_rows(path)
    if suffix == ".parquet":
        return _parquet_rows(path)
    if suffix in (".csv", ".tsv", ".txt"):
        return _text_rows(path)
    hint = "; save the sheet as CSV" if suffix in (".xls", ".xlsx", ".ods", ".numbers") else ""
    raise ValueError(f"{path}: not a table of a known kind ({' '.join(SUFFIXES)}){hint}")


def _open_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text (byte {error.start}); save the table as UTF-8") from error


def _text_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    content = _open_text(path)
    separator = max(",;\t", key=content.partition("\n")[0].count)
    reader = csv.DictReader(io.StringIO(content, newline=""), delimiter=separator)
    if not reader.fieldnames:
        raise ValueError(f"{path}: empty; its first line must name the columns")
    for row in reader:
        where = f"{path.name} line {reader.line_num}"
        if None in row:
            n_columns = len(reader.fieldnames)
            raise ValueError(f"{where}: more cells than the {n_columns} columns; quote cells that hold {separator!r}")
        cells = {(name or "").strip(): (cell or "").strip() or None for name, cell in row.items()}
        if separator == ";":
            cells = {name: cell and _DECIMAL_COMMA.sub(r"\1.\2", cell) for name, cell in cells.items()}
        if any(cell is not None for cell in cells.values()):
            yield where, cells


def _json_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(_open_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path.name} line {number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{where}: not JSON ({error.msg} at column {error.colno})") from error
        if not isinstance(row, dict):
            raise ValueError(f'{where}: not a JSON object; a line is {{"path": "...", "key": "..."}}')
        yield where, row


def _parquet_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise ValueError(f"{path}: parquet needs `pip install 'sordino[data]'`") from error
    for number, row in enumerate(parquet.read_table(path).to_pylist(), start=1):
        yield f"{path.name} row {number}", row
