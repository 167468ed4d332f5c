"""Answers and scores as JSON, CSV and JAMS.

Paper: Humphrey et al., JAMS: a JSON annotated music specification for reproducible MIR research, 2014.

Conventions:
- JSON holds everything. What is undefined (nan) is null.
- CSV of answers has a row for each observation (`path, task, start_s, duration_s, value, confidence`), CSV of
  scores one for each track and metric (`id, task, metric, value`); what is undefined is left empty.
- JAMS is one file per recording, written without the `jams` package and valid for it. Its `sandbox` holds what the
  namespace has no place for.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sordino.contracts import Prediction, Task
from sordino.files import finite, write_text

JAMS_VERSION = "0.3.5"
TOOLS = '"annotation_tools": "sordino'  # in every file that is written here
ANSWER_COLUMNS = ("path", "task", "start_s", "duration_s", "value", "confidence")
SCORE_COLUMNS = ("id", "task", "metric", "value")
NOT_A_METRIC = ("id", "reference", "estimated", "length_s")


@dataclass
class FileAnswer:
    """What all adapters say of one file.

    Attributes:
        path: the file, as it was given.
        answers: by task, the prediction; empty when the file could not be read.
        duration_s: length of the file.
        error: why there is no answer, one line; None when there is one.
        name: what files about it are called; empty: as the file without its suffix.
    """

    path: str
    answers: dict[str, Prediction] = field(default_factory=dict)
    duration_s: float = 0.0
    error: str | None = None
    name: str = ""

    @property
    def stem(self) -> str:
        """What files about it are called, without a suffix; perhaps with folders before it."""
        return self.name or Path(self.path).stem

    def __getitem__(self, task: str) -> Prediction:
        """The answer for a task."""
        return self.answers[task]

    @property
    def value(self) -> Any:
        """The value of the only answer.

        Raises:
            ValueError: there are several; they are found by task.
        """
        if len(self.answers) != 1:
            raise ValueError(f"there is not one answer but {len(self.answers)}: ask for {', '.join(self.answers)}")
        return next(iter(self.answers.values())).value

    def plain(self) -> dict[str, Any]:
        """As JSON-able data, one object per file."""
        if self.error is not None:
            return {"path": self.path, "error": self.error}
        told = {
            task: {"value": p.value, **({} if p.confidence is None else {"confidence": round(p.confidence, 4)}),
                   **p.details}
            for task, p in self.answers.items()
        }  # fmt: skip
        return finite({"path": self.path, "duration_s": round(self.duration_s, 3), **told})


def answer_rows(answer: FileAnswer, tasks: Mapping[str, Task]) -> Iterator[tuple[Any, ...]]:
    """One file's observations, a row each, in the order of `ANSWER_COLUMNS`."""
    for name, prediction in answer.answers.items():
        for row in tasks[name].observations(prediction, answer.duration_s):
            yield answer.path, name, row.start_s, row.duration_s, row.value, row.confidence


def score_rows(scored: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[Any, ...]]:
    """Every track's scores, a row each, in the order of `SCORE_COLUMNS`.

    Args:
        scored: by task, a run's scores with its `per_track` rows.
    """
    for name, scores in scored.items():
        for track in scores["per_track"]:
            for metric, value in track.items():
                if metric not in NOT_A_METRIC:
                    yield track["id"], name, metric, value


def scored_answers(scored: Mapping[str, Mapping[str, Any]]) -> list[FileAnswer]:
    """What a run answered on its tracks, an answer per track."""
    answers: dict[str, FileAnswer] = {}
    for name, scores in scored.items():
        for track in scores["per_track"]:
            answer = answers.setdefault(track["id"], FileAnswer(track["id"], duration_s=track["length_s"]))
            answer.answers[name] = Prediction(track["estimated"])
    return list(answers.values())


def write_jams(answer: FileAnswer, tasks: Mapping[str, Task], folder: str | Path, name: str) -> None:
    """Write `folder/<name>.jams`.

    Args:
        answer: of one recording.
        tasks: by name, as in `answer.answers`.
        folder: where to.
        name: of the file; see `files.distinct_names`.

    Raises:
        ValueError: what is there was not written by sordino: somebody's annotation, which stays.
    """
    path = Path(folder) / f"{name}.jams"
    if path.is_file() and TOOLS.encode() not in path.read_bytes():
        raise ValueError(f"{path} is there and not by sordino; nothing was written over it: give another folder")
    write_text(path, to_jams(answer, tasks))


def shown_score(value: float | None) -> str:
    """A score for people, three digits; `undefined` where it is no number."""
    return "undefined" if value is None or not math.isfinite(value) else f"{value:.3f}"


def to_csv(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as lines of a CSV file; lists and mappings as JSON."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for row in rows:
        cells = [finite(cell) for cell in row]
        writer.writerow(["" if c is None else json.dumps(c) if isinstance(c, (dict, list)) else c for c in cells])
    return out.getvalue()


def to_jams(answer: FileAnswer, tasks: Mapping[str, Task], tools: str = "sordino") -> str:
    """One recording's answers as a JAMS file.

    Args:
        answer: of one recording.
        tasks: by name, as in `answer.answers`.
        tools: what predicted them, one line.
    """
    annotations = [
        annotation(tasks[name], name, prediction, answer.duration_s, tools)
        for name, prediction in answer.answers.items()
    ]
    about = {
        "title": Path(answer.path).stem,
        "duration": answer.duration_s,
        "jams_version": JAMS_VERSION,
        "identifiers": {"path": answer.path},
    }
    whole = {"file_metadata": about, "annotations": annotations, "sandbox": {}}
    return json.dumps(finite(whole), indent=1, allow_nan=False) + "\n"


def annotation(task: Task, name: str, prediction: Prediction, duration_s: float, tools: str) -> dict[str, Any]:
    """One answer as a JAMS annotation."""
    data = [
        {"time": row.start_s, "duration": row.duration_s, "value": task.namespace_value(row.value),
         "confidence": row.confidence}
        for row in task.observations(prediction, duration_s)
    ]  # fmt: skip
    return {
        "annotation_metadata": {"annotation_tools": tools, "data_source": "program"},
        "namespace": task.namespace,
        "data": data,
        "sandbox": {"task": name, "details": prediction.details},
        "time": 0.0,
        "duration": duration_s,
    }
