"""Cross-validation by group, for data of which a single split would decide by a handful of tracks.

Every track is answered once, by a model that learned without its group; the score is that of all answers together. The
adapter that is kept learns from all tracks. Nothing is chosen by the few tracks that a validation split would have: all
runs take the steps that their data want, to the end of the schedule (docs/your_own_data.md tells what choosing cost).

Paper: Stone, Cross-validatory Choice and Assessment of Statistical Predictions, 1974.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from sordino.answering import decoded
from sordino.compute import Compute
from sordino.contracts import Prediction, Task, Track
from sordino.datasets import group_of
from sordino.training.evaluation import answers as said
from sordino.training.plan import Plan, Run
from sordino.training.report import report
from sordino.training.splits import Advance, cut_splits, make_source

FEW = 200  # labelled tracks, below which a tenth of them decides nothing
FOLDS = 5


class Answer(NamedTuple):
    """What a fold's model says of a track.

    Attributes:
        id: of the track.
        label: its own.
        probabilities: [label] or [frame label].
        prediction: decoded.
    """

    id: str
    label: Any
    probabilities: np.ndarray
    prediction: Prediction


def usual_folds(tracks: Sequence[Track], tasks: Sequence[Task]) -> int:
    """Into how many folds tracks are put if nobody says: five of few, or one for each of fewer groups; 1: none."""
    labelled = [track for track in tracks if any(track.labels.get(task.label) is not None for task in tasks)]
    n_groups = len({group_of(track) for track in labelled})
    return max(1, min(FOLDS, n_groups)) if len(labelled) < FEW else 1


def scored_by_folds(
    plan: Plan, carry_out: Callable[[Plan], Run], advance: Advance, tell: Callable[[str], None]
) -> Plan:
    """The plan of a run on all tracks with the scores of its folds, which are carried out.

    Args:
        plan: opened, with folds.
        carry_out: trains a fold, unless it is finished.
        advance: progress.
        tell: called with the score of what was answered so far, after each fold.
    """
    answers: dict[str, list[list[Answer]]] = {task.name: [] for task in plan.tasks}
    told = []
    for number, fold in enumerate(plan.folds, 1):
        run = carry_out(fold)
        for own in answers.values():
            own.append([])
        for name, answer in _answered(fold, run, advance):
            answers[name][-1].append(answer)
        so_far = "; ".join(_so_far(task, answers[task.name]) for task in plan.tasks)
        tell(f"fold {number} of {len(plan.folds)}: {so_far}")
        told.append({"run": fold.folder.name, "steps": run.result["steps"], "tracks": run.result["protocol"]["tracks"]})
    rate_hz = plan.backbone.frame_rate_hz
    scored = {task.name: _scored(task, answers[task.name], rate_hz) for task in plan.tasks}
    return replace(plan, scored={"tasks": scored, "folds": told})


def _answered(plan: Plan, run: Run, advance: Advance) -> Iterator[tuple[str, Answer]]:
    """What a fold's model says of the tracks that are held out of it, by task."""
    compute = Compute.choose(plan.config.training.accelerator, plan.config.training.precision)
    model = run.model().to(compute.device)
    settings = replace(plan.config.training, segment_s=run.result["protocol"]["segment_s"])
    examples = cut_splits(plan.tracks, plan.known, model, settings, splits=["test"])["test"]
    source = make_source(model, examples, compute, plan.fingerprint, settings, advance, "test")
    tracks, labels = examples.recordings.tracks, examples.recordings.labels
    for number, probabilities in said(model, examples, source, compute):
        for name, prediction in decoded([("", model)], probabilities).items():
            if labels[number][name] is not None:
                yield name, Answer(tracks[number].id, labels[number][name], probabilities[name], prediction)


def _so_far(task: Task, folds: Sequence[Sequence[Answer]]) -> str:
    answers = [answer for own in folds for answer in own]
    scored = _report(task, answers)
    low, high = scored["interval"]
    score = scored["metrics"][task.metric]
    return f"{task.name}: {task.metric} {score:.3f} of {len(answers)} tracks so far (95 % {low:.3f} to {high:.3f})"


def _scored(task: Task, folds: Sequence[Sequence[Answer]], rate_hz: float) -> dict[str, Any]:
    """The scores of all answers. What a task decides after training, it decides by them; for the answers of each fold,
    by those of the others."""
    answers = [answer for own in folds for answer in own]
    if task.tunes:
        answers = []
        for number, own in enumerate(folds):
            tuned = deepcopy(task)
            _tune(tuned, [answer for other in (*folds[:number], *folds[number + 1 :]) for answer in other])
            answers += [each._replace(prediction=tuned.decode(each.probabilities, rate_hz)) for each in own]
        _tune(task, answers)
    found = _report(task, answers)
    note = f"scored in {len(folds)} folds by group, each track by a model that learned without it; the adapter "
    note += "learned from all"
    return {**found, "notes": [*found["notes"], note]}


def _tune(task: Task, answers: Sequence[Answer]) -> None:
    task.tune([answer.probabilities for answer in answers], [answer.label for answer in answers])


def _report(task: Task, answers: Sequence[Answer]) -> dict[str, Any]:
    return report(
        task, [each.id for each in answers], [each.label for each in answers], [each.prediction for each in answers]
    )
