"""Answers and scores as files: JSON, CSV and JAMS.

Paper: Humphrey et al., JAMS: a JSON annotated music specification for reproducible MIR research, 2014.

Conventions:
- JSON holds everything. What is undefined (nan) is null.
- CSV of answers has a row for each observation (`file, task, start_s, duration_s, value, confidence`), CSV of
  scores one for each track and metric (`id, task, metric, value`); what is undefined is left empty.
- JAMS is one file per recording, written without the `jams` package and valid for it.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sordino.contracts import Evaluation, Prediction, Task

JAMS_VERSION = "0.3.5"
ANSWER_COLUMNS = ("file", "task", "start_s", "duration_s", "value", "confidence")
SCORE_COLUMNS = ("id", "task", "metric", "value")


@dataclass(frozen=True)
class Answer:
    """What was predicted for one recording.

    Attributes:
        file: the sound file, as it was given.
        duration_s: its length.
        predictions: by task, in the order of the model's heads.
    """

    file: str
    duration_s: float
    predictions: Mapping[str, Prediction]

    def plain(self) -> dict[str, Any]:
        """Everything as plain data for JSON."""
        told = {
            name: {"value": p.value, "confidence": p.confidence, "details": p.details}
            for name, p in self.predictions.items()
        }
        return _plain({"file": self.file, "duration_s": self.duration_s, **told})


def answers_json(answers: Iterable[Answer]) -> str:
    """All answers as one JSON list, an answer a line."""
    return "[\n" + ",\n".join(json.dumps(answer.plain(), allow_nan=False) for answer in answers) + "\n]\n"


def answers_csv(answers: Iterable[Answer], tasks: Mapping[str, Task]) -> str:
    """All answers as a table of observations."""
    rows = (
        (answer.file, name, row.start_s, row.duration_s, row.value, row.confidence)
        for answer in answers
        for name, prediction in answer.predictions.items()
        for row in tasks[name].observations(prediction, answer.duration_s)
    )
    return _table(ANSWER_COLUMNS, rows)


def answer_jams(answer: Answer, tasks: Mapping[str, Task], model: str) -> str:
    """One recording's answers as a JAMS file.

    Args:
        answer: of one recording.
        tasks: by name, as the model's heads.
        model: what predicted them, one line; stands as the annotation tool.
    """
    annotations = []
    for name, prediction in answer.predictions.items():
        task = tasks[name]
        data = [
            {"time": row.start_s, "duration": row.duration_s, "value": task.namespace_value(row.value),
             "confidence": row.confidence}
            for row in task.observations(prediction, answer.duration_s)
        ]  # fmt: skip
        annotations.append({
            "annotation_metadata": {"annotation_tools": model, "data_source": "program", "corpus": ""},
            "namespace": task.namespace,
            "data": data,
            "sandbox": {"task": name, "details": prediction.details},
            "time": 0.0,
            "duration": answer.duration_s,
        })  # fmt: skip
    about = {
        "title": Path(answer.file).stem,
        "duration": answer.duration_s,
        "jams_version": JAMS_VERSION,
        "identifiers": {"file": answer.file},
    }
    whole = {"file_metadata": about, "annotations": annotations, "sandbox": {}}
    return json.dumps(_plain(whole), indent=1, allow_nan=False) + "\n"


def scores_plain(evaluations: Mapping[str, Evaluation], ids: Sequence[str]) -> dict[str, Any]:
    """Scores by task as plain data for JSON; each track's scores carry its id."""
    return _plain({
        name: {
            "metrics": e.metrics,
            "notes": e.notes,
            "tables": e.tables,
            "per_track": [{"id": track, **row} for track, row in zip(ids, e.per_track, strict=True)],
        }
        for name, e in evaluations.items()
    })  # fmt: skip


def scores_csv(evaluations: Mapping[str, Evaluation], ids: Sequence[str]) -> str:
    """Every track's scores as a table."""
    rows = (
        (track, name, metric, value)
        for name, evaluation in evaluations.items()
        for track, scores in zip(ids, evaluation.per_track, strict=True)
        for metric, value in scores.items()
    )
    return _table(SCORE_COLUMNS, rows)


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        cells = [_plain(cell) for cell in row]
        writer.writerow(
            ["" if c is None else json.dumps(c) if isinstance(c, (dict, list)) else c for c in cells]
        )
    return out.getvalue()


def _plain(value: Any) -> Any:
    """The same without NumPy types, and None for what is not finite."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
