"""What a model says of a split: predictions, scores, thresholds; tracks are shared among processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch.distributed

from sordino.answering import NotANumber, Segments, decoded, joined
from sordino.compute import Compute
from sordino.contracts import Prediction
from sordino.disturbances import Disturbance
from sordino.model import Model
from sordino.training.examples import Examples
from sordino.training.report import report
from sordino.training.sources import Source

ROWS_AT_ONCE = 8


def answers(
    model: Model, examples: Examples, source: Source, compute: Compute
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Joined probabilities by task of this process's tracks, each with the track's number."""
    rows = np.flatnonzero(examples.rows.tracks % _world()[1] == _world()[0])

    def batches() -> Iterator[Segments]:
        for first in range(0, len(rows), ROWS_AT_ONCE):
            visits = [(int(row), 0) for row in rows[first : first + ROWS_AT_ONCE]]
            source.ahead([(int(row), 0) for row in rows[first : first + 2 * ROWS_AT_ONCE]])
            places = [(int(examples.rows.tracks[row]), examples.rows.piece(row)) for row, _ in visits]
            yield Segments(places, lambda some, visits=visits: source([visits[row] for row in some]))

    return joined(model, batches(), examples.grid, compute)


def predictions(model: Model, examples: Examples, source: Source, compute: Compute) -> dict[str, dict[int, Prediction]]:
    """Answers by task and number of the track, of all tracks that have a label for the task; alike in all processes."""
    found: dict[int, dict[str, Prediction]] = {}
    for number, probabilities in answers(model, examples, source, compute):
        labels = examples.recordings.labels[number]
        try:
            own = decoded([("", model)], probabilities)
        except NotANumber as error:
            raise NotANumber(f"{examples.recordings.tracks[number].id}: {error}") from error
        found[number] = {name: p for name, p in own.items() if labels[name] is not None}
    everything = _gathered(found)
    return {name: {n: everything[n][name] for n in examples.recordings.labelled(name)} for name in model.tasks}


def tune(model: Model, examples: Examples, source: Source, compute: Compute) -> None:
    """Let tasks that decide something after training (thresholds) see the validation tracks."""
    tasks = {name: task for name, task in model.tasks.items() if task.tunes}
    if not tasks or not len(examples):
        return
    everything = _gathered(dict(answers(model, examples, source, compute)))
    for name, task in tasks.items():
        labelled = examples.recordings.labelled(name)
        task.tune([everything[n][name] for n in labelled], [examples.recordings.labels[n][name] for n in labelled])


def scores(model: Model, examples: Examples, source: Source, compute: Compute) -> dict[str, float]:
    """Every task's own metric; nan where no track has a label for it."""
    found = {}
    for name, own in predictions(model, examples, source, compute).items():
        task = model.tasks[name]
        references = [examples.recordings.labels[number][name] for number in own]
        found[name] = task.decide(references, list(own.values())) if own else float("nan")
    return found


def evaluate(model: Model, examples: Examples, source: Source, compute: Compute) -> dict[str, Any]:
    """Scores, intervals and per-track scores of every task, as plain data."""
    plain = {}
    recordings = examples.recordings
    for name, own in predictions(model, examples, source, compute).items():
        references = [recordings.labels[number][name] for number in own]
        ids = [recordings.tracks[number].id for number in own]
        plain[name] = report(model.tasks[name], ids, references, list(own.values()))
        for number, row in zip(own, plain[name]["per_track"], strict=True):
            row["length_s"] = round(recordings.duration_s(number), 3)
    return plain


def evaluate_under(
    names: Sequence[str], model: Model, examples: Examples, make: Callable[[Examples, str], Source], compute: Compute
) -> dict[str, Any]:
    """Scores of every task with the recordings changed, by name of the change; what belongs to single tracks left out.

    Args:
        names: of `DISTURBANCES`, each alone.
        model: answers.
        examples: the recordings as they are.
        make: makes the source of changed examples; is told what they are called.
        compute: device and precision.
    """
    kept, found = ("metric", "metrics", "interval", "resamples", "n_tracks"), {}
    for name in names:
        changed = Examples(examples.recordings, model.backbone, examples.grid, [[Disturbance(name)]])
        scored = evaluate(model, changed, make(changed, f"test, {name}"), compute)
        found[name] = {task: {key: row[key] for key in kept} for task, row in scored.items()}
    return found


def _world() -> tuple[int, int]:
    """This process's number and how many there are."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def _gathered(own: dict[int, Any]) -> dict[int, Any]:
    """The parts of all processes together."""
    if _world()[1] == 1:
        return own
    parts: list[Any] = [None] * _world()[1]
    torch.distributed.all_gather_object(parts, own)
    return {number: value for part in parts for number, value in part.items()}
