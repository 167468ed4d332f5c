"""From tracks to batches: which segments there are, their waveforms and their targets.

What a batch holds depends on nothing but the rows, the seed and the step, so a run that was stopped goes on exactly.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sordino import audio
from sordino.contracts import Backbone, Batch, Label, Task, Track
from sordino.segments import Grid


@dataclass(frozen=True)
class Segment:
    """A stretch of a track: the track's number, where it begins within the track, its true length."""

    track: int
    start_samples: int
    n_samples: int


class Examples:
    """The tracks of one split, cut into segments.

    Args:
        tracks: the tracks; one that cannot be decoded is left out and listed in `broken`.
        tasks: what is predicted; tracks without a label for any of them are left out.
        backbone: decides rate and frames.
        grid: how tracks are cut.

    Raises:
        ValueError: a label is not one of its task; says which file, which line and what would be.
    """

    def __init__(self, tracks: Sequence[Track], tasks: Sequence[Task], backbone: Backbone, grid: Grid):
        self.tasks, self.grid = {task.name: task for task in tasks}, grid
        self.rate_hz, self.hop_samples = backbone.sample_rate_hz, backbone.hop_samples
        self.frame_rate_hz, self.n_frames = backbone.frame_rate_hz, backbone.n_frames
        self.tracks: list[Track] = []
        self.labels: list[dict[str, Label]] = []
        self.segments: list[Segment] = []
        self.broken: list[str] = []
        for track in tracks:
            labels = {task.name: parse_label(task, track) for task in tasks}
            if all(label is None for label in labels.values()):
                continue
            try:
                n_samples = self._length(track)
            except audio.AudioError as error:
                self.broken.append(str(error))
                continue
            number = len(self.tracks)
            self.tracks.append(track)
            self.labels.append(labels)
            self.segments += [Segment(number, start, n) for start, n in grid.cut(n_samples)]

    def _length(self, track: Track) -> int:
        """Length of a track in samples at the backbone's rate."""
        available_s = audio.info(track.path).duration_s - track.start_s
        duration_s = available_s if track.duration_s is None else min(track.duration_s, available_s)
        if duration_s <= 0:
            raise audio.AudioError(f"{track.path}: nothing left behind {track.start_s:g} s")
        return max(1, round(duration_s * self.rate_hz))

    def __len__(self) -> int:
        """How many segments there are."""
        return len(self.segments)

    def waveform(self, row: int) -> np.ndarray:
        """The waveform of one segment, not longer than its true length."""
        segment = self.segments[row]
        track = self.tracks[segment.track]
        start_s = track.start_s + segment.start_samples / self.rate_hz
        return audio.read(track.path, self.rate_hz, start_s, segment.n_samples / self.rate_hz)[: segment.n_samples]

    def targets(self, rows: Sequence[int], n_frames: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Targets by task, and which rows have one.

        Args:
            rows: segments.
            n_frames: frames of the longest of them; frame targets are padded with zeros to it.
        """
        targets, present = {}, {}
        for name, task in self.tasks.items():
            encoded: list[Tensor | None] = []
            for row in rows:
                segment = self.segments[row]
                label = self.labels[segment.track][name]
                if label is None:
                    encoded.append(None)
                    continue
                own = self.n_frames(segment.n_samples)
                start_s = segment.start_samples / self.rate_hz
                target = task.encode(label, own, self.frame_rate_hz, start_s)
                if task.level == "frame":
                    target = torch.nn.functional.pad(target, (0, 0, 0, n_frames - own))
                encoded.append(target)
            example = next((target for target in encoded if target is not None), None)
            present[name] = torch.tensor([target is not None for target in encoded])
            if example is not None:
                empty = torch.zeros_like(example)
                targets[name] = torch.stack([empty if target is None else target for target in encoded])
        return targets, present

    def batch(self, rows: Sequence[int], waveforms: Sequence[np.ndarray] | None = None) -> Batch:
        """Some segments as a batch.

        Args:
            rows: segments.
            waveforms: their waveforms, if they are at hand.
        """
        waves = [self.waveform(row) for row in rows] if waveforms is None else list(waveforms)
        n_samples = torch.tensor([len(wave) for wave in waves])
        padded = torch.zeros(len(waves), int(n_samples.max()))
        for row, wave in enumerate(waves):
            padded[row, : len(wave)] = torch.from_numpy(wave)
        targets, present = self.targets(rows, self.n_frames(padded.shape[1]))
        ids = [self.tracks[self.segments[row].track].id for row in rows]
        return Batch(padded, n_samples, targets, present, ids)

    def report_broken(self) -> None:
        """Say on stderr which files were left out."""
        for line in self.broken:
            print(f"left out: {line}", file=sys.stderr)


def parse_label(task: Task, track: Track) -> Label | None:
    """A track's label for a task, parsed; None where it has none.

    Raises:
        ValueError: it is not a label of this task.
    """
    raw = track.labels.get(task.label)
    if raw is None:
        return None
    try:
        return task.parse(raw)
    except ValueError as error:
        raise ValueError(f"{track.info.get('source', track.id)}: {task.label} {error}") from error


def check_splits(tracks: Sequence[Track]) -> None:
    """Refuse a group (a piece, an artist, an album) or a file that stands in two splits.

    Raises:
        ValueError: names the first one.
    """
    seen: dict[tuple[str, str], Track] = {}
    for track in tracks:
        for key in (("group", track.group or track.id), ("file", f"{track.path} at {track.start_s:g} s")):
            first = seen.setdefault(key, track)
            if first.split != track.split:
                raise ValueError(
                    f"{key[0]} {key[1]} stands in the splits {first.split} ({first.id}) and {track.split} ({track.id}); "
                    "what is learned from must not be tested on"
                )


def order(n_segments: int, batch_size: int, step: int, seed: int, weights: np.ndarray | None = None) -> list[int]:
    """The rows of training step `step` (from 0): a new shuffle for every pass over the segments.

    Args:
        n_segments: how many there are.
        batch_size: rows in a step.
        step: which step.
        seed: of the shuffles.
        weights: chances of the rows for drawing with replacement, instead of a shuffle.
    """
    if weights is not None:
        draws = np.random.default_rng([seed, step]).choice(n_segments, batch_size, p=weights / weights.sum())
        return [int(row) for row in draws]
    first = step * batch_size
    rows: list[int] = []
    while len(rows) < batch_size:
        visit, within = divmod(first + len(rows), n_segments)
        shuffled = np.random.default_rng([seed, visit]).permutation(n_segments)
        rows += [int(row) for row in shuffled[within : within + batch_size - len(rows)]]
    return rows
