"""Tables of labels: text, JSON, spreadsheets, parquet, and the libraries of DJ programs. One row is one dict, with its
place.

Conventions: the first row of text or of a sheet names the columns; the separator (comma, semicolon or tab) is found
from it, or from a line `sep=;` above it. Text is UTF-8 or UTF-16. What says that there is nothing (`cells.EMPTY`) is
None. A row that cannot be read is `Unreadable`, and the others are read.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from sordino.contracts import Unreadable
from sordino.contracts.cells import is_empty
from sordino.datasets._libraries import library_rows

Row = dict[str, Any] | Unreadable
TEXT, LINES = (".csv", ".tsv", ".txt"), (".jsonl", ".ndjson")
MANIFEST = "sordino.jsonl"  # how names end of what `sordino prepare` writes; never looked for as somebody's table
SUFFIXES = (*TEXT, *LINES, ".json", ".xlsx", ".parquet", ".xml", ".nml")


def rows(path: Path) -> Iterator[tuple[str, Row]]:
    """Every row of a table, with its place (`labels.csv line 17`).

    Raises:
        ValueError: it is not a table of these kinds.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        hint = "; save the sheet as .xlsx or CSV" if suffix in (".xls", ".ods", ".numbers") else ""
        raise ValueError(f"{path}: not a table of a known kind ({' '.join(SUFFIXES)}){hint}")
    read = {
        ".json": _json_rows,
        ".xlsx": _sheet_rows,
        ".parquet": _parquet_rows,
        ".xml": library_rows,
        ".nml": library_rows,
    }
    for where, row in read.get(suffix, _line_rows if suffix in LINES else _text_rows)(path):
        if isinstance(row, dict):
            row = {str(name or "").strip(): None if is_empty(cell) else cell for name, cell in row.items()}
            if all(cell is None for cell in row.values()):
                continue
        yield where, row


def _open_text(path: Path) -> str:
    raw = path.read_bytes()
    try:
        return raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text (byte {error.start}); save the table as UTF-8") from error


def _text_rows(path: Path) -> Iterator[tuple[str, Row]]:
    content, n_above = _open_text(path), 0
    if content[:4].lower() == "sep=":
        first, _, content = content.partition("\n")
        separator, n_above = first[4:].strip("\r") or ",", 1
    else:
        separator = max(",;\t", key=content.partition("\n")[0].count)
    reader = csv.DictReader(io.StringIO(content, newline=""), delimiter=separator)
    try:
        names = reader.fieldnames
    except csv.Error as error:
        raise ValueError(f"{path} line 1: {error}; it must name the columns") from error
    if not names:
        raise ValueError(f"{path}: empty; its first line must name the columns")
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except (
            csv.Error
        ) as error:  # a cell of more than 131,072 characters: mostly a quotation mark that nothing closes
            where = f"{path.name} line {reader.line_num + n_above + 1}"
            yield where, Unreadable(f"{where}: {error}; is a quotation mark left open?")
            continue
        where = f"{path.name} line {reader.line_num + n_above}"
        if None in row:
            n_columns = len(names)
            yield (
                where,
                Unreadable(f"{where}: more cells than the {n_columns} columns; quote cells that hold {separator!r}"),
            )
        else:
            yield where, {name: (cell or "").strip() for name, cell in row.items()}


def _line_rows(path: Path) -> Iterator[tuple[str, Row]]:
    for number, line in enumerate(_open_text(path).split("\n"), start=1):
        if line.strip():
            where = f"{path.name} line {number}"
            try:
                yield where, _object(where, json.loads(line))
            except (ValueError, RecursionError) as error:
                yield where, Unreadable(f"{where}: not JSON ({_json_fault(error)})")


def _json_rows(path: Path) -> Iterator[tuple[str, Row]]:
    try:
        content = json.loads(_open_text(path))
    except (ValueError, RecursionError) as error:
        line = f" line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise ValueError(f"{path}{line}: not JSON ({_json_fault(error)})") from error
    if not isinstance(content, list):
        raise ValueError(f'{path}: not a JSON array of objects, such as [{{"path": "...", "key": "..."}}, ...]')
    for number, row in enumerate(content, start=1):
        where = f"{path.name} object {number}"
        yield where, _object(where, row)


def _json_fault(error: Exception) -> str:
    return f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)[:80]


def _object(where: str, row: Any) -> Row:
    example = '{"path": "...", "key": "..."}'
    return row if isinstance(row, dict) else Unreadable(f"{where}: not a JSON object; a row is {example}")


def _optional(path: Path, module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ValueError(f"{path}: {path.suffix[1:]} needs `pip install 'sordino[data]'`") from error


def _sheet_rows(path: Path) -> Iterator[tuple[str, Row]]:
    """The first sheet of a workbook."""
    openpyxl = _optional(path, "openpyxl")
    try:
        sheet = openpyxl.load_workbook(path, read_only=True, data_only=True).worksheets[0]
        head, *others = sheet.iter_rows(values_only=True)
    except Exception as error:  # openpyxl raises what zip and XML readers raise
        raise ValueError(f"{path}: not a workbook with columns named in its first row ({error})") from error
    for number, row in enumerate(others, start=2):
        cells = (cell.strip() if isinstance(cell, str) else cell for cell in row)
        yield f"{path.name} row {number}", dict(zip(head, cells, strict=False))


def _parquet_rows(path: Path) -> Iterator[tuple[str, Row]]:
    parquet = _optional(path, "pyarrow.parquet")
    try:
        table = parquet.read_table(path).to_pylist()
    except Exception as error:  # pyarrow's own, and what its readers raise
        raise ValueError(f"{path}: not a parquet table ({str(error)[:100]})") from error
    for number, row in enumerate(table, start=1):
        yield f"{path.name} row {number}", row
