"""Where the answers of many recordings are kept: a file of lines, or a folder of parquet parts. A stopped run goes on.

- `NAME.jsonl`: an object for each recording and line. `NAME.csv`: a row for each beat, chord, tag, key or tempo.
- any other name: a folder of `part-*.parquet`, a row for each recording: `path`, `duration_s`, `error`, and for each
  task its value (text, number, list of tags; else JSON: beats, chords, several numbers) and `TASK_confidence`. Perhaps
  in a bucket.

Conventions: a part is there whole or not at all. Of a file of lines, what a kill has cut off is removed: the last line,
of a CSV all rows of the last recording. A file that others wrote is left alone.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sordino.bulk import elsewhere
from sordino.contracts import Task
from sordino.files import finite, write_stream, write_text
from sordino.results import ANSWER_COLUMNS, FileAnswer, answer_rows, to_csv

PART = 256  # recordings in a part
LIST, NUMBER, TEXT = "list", "number", "text"


def open_kept(place: str, tasks: Mapping[str, Task], go_on: bool) -> Lines | Parts:
    """Open a place for answers.

    Args:
        place: see the module's head.
        tasks: by name, as in the answers.
        go_on: behind what is there.

    Raises:
        ValueError: something is there, and `go_on` is not set, or it is not of our making.
        ImportError: parquet is wanted and pyarrow is not installed.
    """
    kept = Lines(Path(place), tasks) if place.endswith((".jsonl", ".csv")) else Parts(place, tasks)
    if not go_on and kept.paths():
        raise ValueError(f"{place} holds answers already; --skip-existing goes on with it, or give another place")
    kept.begin()
    return kept


class Lines:
    """A file of lines that grows."""

    def __init__(self, path: Path, tasks: Mapping[str, Task]):
        self._path, self._tasks, self._csv = path, tasks, path.suffix == ".csv"

    def begin(self) -> None:
        """Remove what a kill has cut off."""
        write_text(self._path, self._whole() or (to_csv([ANSWER_COLUMNS]) if self._csv else ""))

    def paths(self) -> set[str]:
        """The recordings that are answered already; those with an error are asked again.

        Raises:
            ValueError: the file is not of our making.
        """
        if self._csv:
            return {row["path"] for row in csv.DictReader(io.StringIO(self._whole()))}
        rows = map(json.loads, filter(None, self._whole().splitlines()))
        return {row["path"] for row in rows if "error" not in row}

    def _whole(self) -> str:
        """The lines that are whole; nothing where there is no file."""
        text = self._path.read_text(encoding="utf-8", errors="replace") if self._path.is_file() else ""
        if text and not (text.startswith(to_csv([ANSWER_COLUMNS])) if self._csv else _is_ours(text)):
            raise ValueError(f"{self._path} is there and holds no answers of sordino; nothing was written over it: "
                             "give another place")  # fmt: skip
        whole = text[: text.rfind("\n") + 1]
        cut = text[len(whole) :]
        if self._csv and cut:
            head, *rows = csv.reader(io.StringIO(whole))
            last = [row[0] for row in rows[-1:] if _overlap(to_csv([row[:1]]).rstrip("\n") + ",", cut)]
            whole = to_csv([head, *(row for row in rows if row[0] not in last)])
        return whole

    def add(self, answer: FileAnswer) -> None:
        """Write its lines at once."""
        line = to_csv(answer_rows(answer, self._tasks)) if self._csv else json.dumps(answer.plain()) + "\n"
        with self._path.open("a", encoding="utf-8", errors="backslashreplace") as file:  # as `files.write_text`
            file.write(line)

    def close(self) -> None:
        """Nothing waits."""


def _overlap(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _is_ours(text: str) -> bool:
    """Whether the first line is the answer to a recording, perhaps cut off."""
    first, end, _ = text.partition("\n")
    try:
        told = dict(json.loads(first))
    except (ValueError, TypeError):
        return not end and first.startswith('{"path": ')
    if {"path", "error"} <= told.keys():
        return True
    answers = [value for name, value in told.items() if name not in ("path", "duration_s")]
    return {"path", "duration_s"} <= told.keys() and all(isinstance(one, dict) and "value" in one for one in answers)


class Parts:
    """A folder of parquet parts.

    Args:
        place: the folder; with `://` for fsspec.
        tasks: by name, as in the answers.
    """

    def __init__(self, place: str, tasks: Mapping[str, Task]):
        self._place, self._tasks = place.rstrip("/"), tasks
        self._parquet = _parquet()
        self._waiting: list[FileAnswer] = []

    def begin(self) -> None:
        """Nothing is cut off."""

    def paths(self) -> set[str]:
        """The recordings that are answered already; those with an error are asked again."""
        found: set[str] = set()
        for part in self._parts():
            with self._open(part, "rb") as file:
                columns = self._parquet.read_table(file, columns=["path", "error"]).to_pydict()
            found |= {path for path, error in zip(columns["path"], columns["error"], strict=True) if error is None}
        return found

    def add(self, answer: FileAnswer) -> None:
        """Keep one more; a part is written when it is full."""
        self._waiting.append(answer)
        if len(self._waiting) == PART:
            self.close()

    def close(self) -> None:
        """Write what waits as a part."""
        if self._waiting:
            self.write(self._waiting)
            self._waiting = []

    def write(self, answers: Sequence[FileAnswer]) -> None:
        """Write a part, named by its recordings: the same ones again replace it."""
        name = hashlib.sha256("\n".join(answer.path for answer in answers).encode()).hexdigest()[:16]
        table = table_of(answers, self._tasks)
        path = f"{self._place}/part-{name}.parquet"
        if elsewhere.is_elsewhere(path):
            with self._open(path, "wb") as file:
                self._parquet.write_table(table, file)
        else:
            write_stream(path, lambda file: self._parquet.write_table(table, file))

    def _parts(self) -> list[str]:
        pattern = "part-*.parquet"
        if elsewhere.is_elsewhere(self._place):
            return elsewhere.found(self._place, pattern)
        return sorted(map(str, Path(self._place).glob(pattern)))

    def _open(self, path: str, mode: str) -> Any:
        return elsewhere.opened(path, mode) if elsewhere.is_elsewhere(path) else Path(path).open(mode)


def _parquet() -> Any:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError("parquet wants pyarrow: pip install 'sordino[data]', or write NAME.jsonl") from error
    return parquet


def table_of(answers: Sequence[FileAnswer], tasks: Mapping[str, Task]) -> Any:
    """Answers as a table of Arrow, the same columns whatever the answers are."""
    import pyarrow as arrow

    types = {LIST: arrow.list_(arrow.string()), NUMBER: arrow.float64(), TEXT: arrow.string()}
    columns: dict[str, Any] = {
        "path": arrow.array([answer.path for answer in answers], arrow.string()),
        "duration_s": arrow.array([answer.duration_s for answer in answers], arrow.float64()),
        "error": arrow.array([answer.error for answer in answers], arrow.string()),
    }
    for name, task in tasks.items():
        kind = _kind(task)
        found = [answer.answers.get(name) for answer in answers]
        values = [None if p is None else _cell(p.value, kind) for p in found]
        columns[name] = arrow.array(values, types[kind])
        columns[f"{name}_confidence"] = arrow.array([p and p.confidence for p in found], arrow.float64())
    return arrow.table(columns)


def _kind(task: Task) -> str:
    """How a task's values stand in a column."""
    if task.name == "tagging":
        return LIST
    is_number = task.name == "tempo" or (task.name == "regression" and task.n_outputs == 1)
    return NUMBER if is_number else TEXT


def _cell(value: Any, kind: str) -> Any:
    if kind == TEXT and not isinstance(value, str):
        return json.dumps(finite(value), allow_nan=False)
    return value["bpm"] if isinstance(value, Mapping) and kind == NUMBER else value
