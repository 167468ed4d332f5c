"""Plain baselines, scored on the same test tracks as the runs: an estimator, the constant answer, the mean spectrum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from sordino import audio
from sordino.config import Config
from sordino.contracts import Dataset, Prediction, Task, Track
from sordino.datasets import Folds, load_dataset, with_test_of
from sordino.study import mel_statistics
from sordino.study.mel_statistics import Labelled
from sordino.study.names import short
from sordino.study.rows import Row, plain_row
from sordino.tasks import choose_tasks
from sordino.training.recordings import Recordings
from sordino.training.report import report
from sordino.training.splits import look_at, make_tasks, silent

RATE_HZ = 24_000
MAJORITY = "majority"


def beside_plain(rows: Sequence[Row], configs: Iterable[Config]) -> list[Row]:
    """The rows of a study, and before those of each task the baselines of its data; named by the data if several."""
    wanted: dict[tuple[str, str | None, str | None, int], list[dict[str, Any]]] = {}
    for config in configs:
        specs = wanted.setdefault((config.data, config.root, config.test, config.n_folds), [])
        specs += [spec for spec in config.resolved()["task"] if spec not in specs]
    plain = []
    for (data, root, test, n_folds), specs in wanted.items():
        whole = with_test_of(load_dataset(data, root), test)
        for spec in specs:
            labels = [task.label for task in choose_tasks([spec], whole.tracks())]
            dataset = Folds(whole, n_folds, labels) if n_folds else whole
            (task,) = make_tasks([spec], dataset.tracks())
            alone = [other["name"] for other in specs].count(task.name) == 1
            options = {} if alone else {key: value for key, value in spec.items() if key != "name"}
            place = {"data": data, "test": test, "folds": n_folds} if len(wanted) > 1 else {}
            told = {**{key: value for key, value in place.items() if value}, **options}
            words = [f"{key}={short(value)}" for key, value in told.items()]
            for title, scored in plain_scores(task, dataset).items():
                plain.append(plain_row(" ".join([title, *words]), task.name, scored))
    order = list(dict.fromkeys(row.task for row in rows))
    return sorted([*plain, *rows], key=lambda row: order.index(row.task))


def plain_scores(task: Task, dataset: Dataset) -> dict[str, dict[str, Any]]:
    """The scores of the task's plain estimator, of the constant answer, and of the mean spectrum where no estimator
    hears anything, by title: on the test split, or on folds."""
    folds = dataset.folds if isinstance(dataset, Folds) else [dataset]
    split = "all" if isinstance(dataset, Folds) else "test"
    scores = {} if task.plain_baseline is None else {task.plain_baseline.title: plain_baseline(task, dataset, split)}
    pairs = learned_and_tested(task, folds) if task.level == "clip" else []  # of frames neither says anything
    if MAJORITY not in scores:
        scores[MAJORITY] = majority(task, pairs)
    if task.plain_baseline is None or task.plain_baseline.constant:
        scores[mel_statistics.TITLE] = mel_statistics.scores(task, pairs)
    return {title: scored for title, scored in scores.items() if scored is not None}


def plain_baseline(task: Task, dataset: Dataset, split: str = "test") -> dict[str, Any] | None:
    """The task's plain estimator on a split, in the form of a run's scores; None where it has none.

    Args:
        task: fitted to the dataset.
        dataset: where the tracks are; those that cannot be read are left out, as in a run.
        split: which tracks; `all` for all.
    """
    estimator = task.plain_baseline
    if estimator is None:
        return None
    ids, references, predictions = [], [], []
    for track, label in _labelled(task, dataset.tracks(), split):
        try:
            wave = audio.read(track.path, RATE_HZ, track.start_s, track.duration_s)
        except audio.AudioError:
            continue
        ids.append(track.id)
        references.append(label)
        predictions.append(estimator(wave, RATE_HZ))
    return report(task, ids, references, predictions)


def learned_and_tested(task: Task, folds: Iterable[Dataset]) -> list[tuple[Labelled, Labelled]]:
    """Of each fold the training and the test tracks that a run would use, with their labels."""
    return [(_labelled(task, tracks, "train"), _labelled(task, tracks, "test"))
            for tracks in (fold.tracks() for fold in folds)]  # fmt: skip


def majority(task: Task, folds: Sequence[tuple[Labelled, Labelled]]) -> dict[str, Any] | None:
    """Always the usual training label, on the test tracks of all folds; None where there is nothing to learn from."""
    tested: list[tuple[str, Any, Prediction]] = []
    for train, test in folds:
        if not train:
            return None
        answer = Prediction(_usual([label for _, label in train]))
        tested += [(track.id, label, answer) for track, label in test]
    return report(task, *zip(*tested, strict=True)) if tested else None


def _usual(labels: Sequence[Any]) -> Any:
    """The most frequent label; of numbers the median."""
    if all(isinstance(label, int | float) for label in labels):
        return float(np.median(labels))
    keys = [repr(label) for label in labels]
    counts = Counter(keys)
    return labels[keys.index(max(counts, key=lambda key: (counts[key], key)))]


def _labelled(task: Task, tracks: Iterable[Track], split: str) -> list[tuple[Track, Any]]:
    """The tracks of a split that a run would use, with their labels."""
    own = [track for track in tracks if split in ("all", track.split)]
    found = Recordings(own, [task], look_at(own, [task], silent), RATE_HZ)
    return [(track, labels[task.name]) for track, labels in zip(found.tracks, found.labels, strict=True)]
