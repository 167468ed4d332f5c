"""Cross-validation by group, for data of which a single split would decide by a handful of tracks.

Every track is answered once, by a model that learned without its group; the score is that of all answers together. How
long a fold goes on, its validation tracks decide; the adapter that is kept learns from all tracks, as long as the folds
did in the median.

Paper: Stone, Cross-validatory Choice and Assessment of Statistical Predictions, 1974.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from sordino.answering import decoded
from sordino.backbones import load_backbone
from sordino.compute import Compute
from sordino.config import Config
from sordino.contracts import Dataset, Prediction, Task
from sordino.datasets import Folds, Prepared
from sordino.training.evaluation import answers as said
from sordino.training.identity import folder_name
from sordino.training.plan import Plan, Run, open_run
from sordino.training.report import report
from sordino.training.run import carry_out
from sordino.training.splits import Advance, cut_splits, make_source, make_tasks, silent

FEW = 200  # tracks, below which a tenth of them decides nothing
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


def cross_validated(
    config: Config,
    dataset: Dataset,
    n: int,
    out: str | Path = "runs",
    advance: Advance = silent,
    left_out: Sequence[str] = (),
    tell: Callable[[str], None] = lambda line: None,
) -> tuple[Plan, Run]:
    """Train on all tracks, scored by folds.

    Args:
        config: the settings of all runs.
        dataset: all tracks; its splits do not count.
        n: folds, at least 3.
        out: where run folders lie; those of folds below `folds`.
        advance: progress.
        left_out: what was left out of the dataset already, one line each.
        tell: called with the score of what was answered so far, after each fold.

    Raises:
        ValueError: there are fewer groups than folds, or a setting wants a test split; or as `open_run`.
    """
    if config.test or config.under:
        raise ValueError("`test` and `under` want a test split, folds have none; leave them out, or set --folds 1")
    whole, backbone = Folds(dataset, n), load_backbone(**config.resolved()["backbone"])
    tasks = make_tasks(config.resolved()["task"], whole.tracks())
    config = replace(config, task=[{"name": task.name, **task.config()} for task in tasks])  # all folds know all labels
    answers: dict[str, list[Answer]] = {task.name: [] for task in tasks}
    folds: list[tuple[Plan, Run]] = []
    for number, fold in enumerate(whole.folds, 1):
        plan = open_run(config, Path(out) / "folds", advance, fold, backbone)
        folds.append((plan, carry_out(plan, advance)))
        for name, answer in _answered(*folds[-1], advance):
            answers[name].append(answer)
        tell(f"fold {number} of {n}: " + "; ".join(_so_far(task, answers[task.name]) for task in tasks))
    steps = max(1, round(median(run.result["best_step"] for _, run in folds)))
    config = replace(config, training=replace(config.training, steps=steps))
    final = open_run(config, out, advance, whole, backbone, left_out)
    scored = {task.name: _scored(task, answers[task.name], n, steps) for task in final.tasks}
    what = {**final.identity, "folds": [plan.folder.name for plan, _ in folds]}
    final = replace(final, identity=what, folder=Path(out) / folder_name(what), scored=scored)
    return final, carry_out(final, advance)


def check_repeated(found: Prepared) -> None:
    """Refuse one recording in two groups: a fold would learn from what it is tested on.

    Raises:
        ValueError: names the first one.
    """
    groups = {track.id: track.group or track.id for track in found.tracks}
    for first, second, how, _ in found.repeated:
        if groups[first] != groups[second]:
            raise ValueError(f"{first} and {second} are one recording ({how}) in two groups; give both one group")


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


def _so_far(task: Task, answers: Sequence[Answer]) -> str:
    scored = _report(task, answers)
    low, high = scored["interval"]
    score = scored["metrics"][task.metric]
    return f"{task.name}: {task.metric} {score:.3f} of {len(answers)} tracks so far (95 % {low:.3f} to {high:.3f})"


def _scored(task: Task, answers: Sequence[Answer], n: int, steps: int) -> dict[str, Any]:
    """The scores of all answers; what a task decides after training, it decides by them."""
    if task.tunes:
        task.tune([answer.probabilities for answer in answers], [answer.label for answer in answers])
    found = _report(task, answers)
    note = (f"scored in {n} folds by group, each track by a model that learned without it; the adapter learned "
            f"from all, {steps} steps")  # fmt: skip
    return {**found, "notes": [*found["notes"], note]}


def _report(task: Task, answers: Sequence[Answer]) -> dict[str, Any]:
    return report(
        task, [each.id for each in answers], [each.label for each in answers], [each.prediction for each in answers]
    )
