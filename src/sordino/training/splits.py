"""From a dataset to the three splits of a run: tasks that know their labels, recordings, rows, and states."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sordino.answering import answer_grid
from sordino.audio import AudioError
from sordino.augment import Augmentation
from sordino.compute import Compute
from sordino.config import Training
from sordino.contracts import Task, Track
from sordino.known_files import Known, look
from sordino.model import WAVEFORM, Model
from sordino.segments import TRAIN_TAIL, Grid
from sordino.tasks import choose_tasks
from sordino.training.examples import Examples
from sordino.training.fewer import fewer
from sordino.training.recordings import Recordings, bad_labels, check_splits, parse_label, tell_left_out
from sordino.training.sources import Computed, Kept, Source
from sordino.training.waves import Waves

Advance = Callable[[str, int, int], None]
SPLITS = ("train", "validation", "test")


def silent(what: str, done: int, total: int) -> None:
    """An `Advance` that tells nobody."""


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
            bad = bad_labels([task], tracks)
            told = f"; {len(bad)} are not understood, the first is {bad[0]}" if bad else ""
            raise ValueError(f'no track of the train split has a label "{task.label}" (task {task.name}){told}')
        task.fit(labels)
    return tasks


def look_at(tracks: Sequence[Track], tasks: Sequence[Task], advance: Advance) -> dict[str, Known | AudioError]:
    """What reading the files of the labelled tracks found, by path."""
    labels = {task.label for task in tasks}
    paths = [track.path for track in tracks if any(track.labels.get(label) is not None for label in labels)]
    return look(paths, lambda done, total: advance("hash files", done, total))


def cut_splits(
    tracks: Sequence[Track],
    known: Mapping[str, Known | AudioError],
    model: Model,
    settings: Training,
    seed: int = 0,
    splits: Sequence[str] = SPLITS,
) -> dict[str, Examples]:
    """The splits, cut into rows; train augmented, the others as they are answered.

    Args:
        tracks: of all splits.
        known: what `look_at` found.
        model: decides tasks, rate and frames.
        settings: `segment_s`, `augment`, `crops`, `shots`, `tracks`.
        seed: of random crops and of what is drawn.
        splits: which to cut; their longest track bounds the length of segments if `segment_s` says nothing.
    """
    backbone, tasks = model.backbone, list(model.tasks.values())
    cut, found = {}, {}
    for split in splits:
        mine = [track for track in tracks if track.split == split]
        if split == "train" and (settings.shots or settings.tracks):
            mine = fewer(mine, tasks, settings.shots, settings.tracks, seed)
        cut[split] = Recordings(mine, tasks, known, backbone.sample_rate_hz)
        tell_left_out(cut[split].broken)
    lengths_s = [own.duration_s(number) for own in cut.values() for number in range(len(own))]
    segment_s = settings.segment_s or usual_segment_s(tasks, lengths_s)
    for split, recordings in cut.items():
        if split == "train":
            grid = Grid.of(segment_s, backbone.sample_rate_hz, backbone.hop_samples, 0.0, TRAIN_TAIL)
            versions, random = Augmentation.named(settings.augment).versions(), settings.crops == "random"
            found[split] = Examples(recordings, backbone, grid, versions, random, seed)
        else:
            found[split] = Examples(recordings, backbone, answer_grid(model, segment_s))
    return found


def usual_segment_s(tasks: Sequence[Task], lengths_s: Sequence[float]) -> float:
    """The length of a segment if nobody says: the longest that a task wants, or the longest recording's if shorter."""
    wanted = max(task.segment_s for task in tasks)
    return round(min(wanted, max(1.0, *lengths_s)), 2) if len(lengths_s) else wanted


def make_source(
    model: Model,
    examples: Examples,
    compute: Compute,
    fingerprint: str,
    settings: Training,
    advance: Advance,
    name: str,
    states: Collection[int] = (),
) -> Source:
    """Where the constant part of a split comes from.

    Args:
        model: whose constant part.
        examples: the split.
        compute: device and precision.
        fingerprint: of the backbone.
        settings: `cache`, `workers`.
        advance: progress.
        name: of the split.
        states: to be stored beside those that the model reads.
    """

    def told(done: int, total: int) -> None:
        advance(f"features of {name}", done, total)

    waves = Waves(examples, settings.workers, settings.cache == "waveform", told)
    if settings.cache in ("off", "waveform") or not len(examples) or model.start == WAVEFORM:
        return Computed(model, waves, compute)
    return Kept(model, waves, compute, fingerprint, settings.cache, told, states)
