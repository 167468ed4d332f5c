"""From a dataset to the three splits of a run: tasks that know their labels, segments, and where states come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sordino.augment import Augmentation
from sordino.config import Training
from sordino.contracts import Task, Track
from sordino.model import Model
from sordino.segments import FRAME_OVERLAP, Grid
from sordino.tasks import make_task
from sordino.training.data import Examples, check_splits, parse_label
from sordino.training.sources import Cached, Computed, Source

Advance = Callable[[str, int, int], None]


def make_tasks(named: Sequence[dict[str, Any]], tracks: Sequence[Track]) -> list[Task]:
    """The tasks of a config, fitted to the labels of the train split.

    Raises:
        ValueError: no track carries a label for a task, or a group stands in two splits.
    """
    check_splits(tracks)
    tasks = choose_tasks(named, tracks)
    for task in tasks:
        labels = [parse_label(task, track) for track in tracks if track.split == "train"]
        labels = [label for label in labels if label is not None]
        if not labels:
            known = ", ".join(label_names(tracks))
            raise ValueError(
                f'no track of the train split has a label "{task.label}" (task {task.name}); known: {known}'
            )
        task.fit(labels)
    return tasks


def choose_tasks(named: Sequence[dict[str, Any]], tracks: Sequence[Track]) -> list[Task]:
    """The tasks of a config; one that may read any label reads the only one there is, unless the config names one."""
    tasks = []
    for spec in named:
        task, known = make_task(**spec), label_names(tracks)
        if "label" not in spec and task.label not in known and len(known) == 1 and "label" in task.config():
            task = make_task(**spec, label=known[0])
        tasks.append(task)
    return tasks


def label_names(tracks: Sequence[Track]) -> list[str]:
    """Names of the labels that any track carries."""
    return sorted({name for track in tracks for name, value in track.labels.items() if value is not None})


def cut_splits(tracks: Sequence[Track], tasks: Sequence[Task], model: Model, settings: Training) -> dict[str, Examples]:
    """The three splits, cut into segments, train augmented; frame tasks are tested with overlapping ones."""
    backbone = model.backbone
    length_s = settings.segment_s or max(task.segment_s for task in tasks)
    has_frames = any(task.level == "frame" for task in tasks)
    splits = {}
    for split in ("train", "validation", "test"):
        overlap = FRAME_OVERLAP if has_frames and split != "train" else 0.0
        grid = Grid.of(length_s, backbone.sample_rate_hz, backbone.hop_samples, overlap)
        changes = Augmentation.named(settings.augment) if split == "train" else None
        mine = [track for track in tracks if track.split == split]
        keep = settings.cache == "waveform"
        splits[split] = Examples(mine, tasks, backbone, grid, changes, settings.workers, keep)
        splits[split].report_broken()
    return splits


def make_source(model: Model, examples: Examples, fingerprint: str, cache: str, advance: Advance, name: str) -> Source:
    """Where the constant part comes from: the cache, or computed anew where it is off."""
    if cache in ("off", "waveform") or not len(examples):
        return Computed(model, examples)
    return Cached(model, examples, fingerprint, cache, lambda done, total: advance(f"features of {name}", done, total))
