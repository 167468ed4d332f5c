"""From tracks to batches: which segments there are, their waveforms and their targets.

What a batch holds depends on nothing but the rows, the seed and the step, so a run that was stopped goes on
exactly. An augmented segment is a row of its own: a pitch, a rate, a copy. So it can be cached like any
other.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sordino import audio
from sordino.augment import Augmentation, Change, MixIn, TimeStretch
from sordino.contracts import Backbone, Batch, Label, Task, Track
from sordino.segments import Grid
from sordino.training.crops import Crops, KeptCrops


@dataclass(frozen=True)
class Segment:
    """A stretch of a track in one version of it.

    Attributes:
        track: the track's number.
        start_samples: where it begins within the (stretched) track.
        n_samples: its true length.
        version: the number of the version.
    """

    track: int
    start_samples: int
    n_samples: int
    version: int = 0


class Examples:
    """The tracks of one split, cut into segments.

    Args:
        tracks: the tracks; one that cannot be decoded is left out and listed in `broken`.
        tasks: what is predicted; tracks without a label for any of them are left out.
        backbone: decides rate and frames.
        grid: how tracks are cut.
        augmentation: the versions of every track; None for the track as it is.
        workers: threads that decode ahead.
        keep: decode once and keep the waveforms on disk.

    Raises:
        ValueError: a label is not one of its task; says which file, which line and what would be.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        tasks: Sequence[Task],
        backbone: Backbone,
        grid: Grid,
        augmentation: Augmentation | None = None,
        workers: int = 0,
        keep: bool = False,
    ):
        self.tasks, self.grid = {task.name: task for task in tasks}, grid
        self.rate_hz, self.hop_samples = backbone.sample_rate_hz, backbone.hop_samples
        self.frame_rate_hz, self.n_frames = backbone.frame_rate_hz, backbone.n_frames
        self.versions: list[list[Change]] = list(augmentation.versions()) if augmentation else [[]]
        self.tracks: list[Track] = []
        self.labels: list[dict[str, Label]] = []
        self.lengths_samples: list[int] = []
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
            self.lengths_samples.append(n_samples)
            for version, changes in enumerate(self.versions):
                stretched = max(1, round(n_samples / rate_of(changes)))
                self.segments += [Segment(number, start, n, version) for start, n in grid.cut(stretched)]
        self.crops = Crops(self._decode, workers)
        if keep and self.segments:
            longest = max(segment.n_samples for segment in self.segments)
            self.crops.decode = KeptCrops(self._decode, self.content(), len(self.segments), longest)

    def _length(self, track: Track) -> int:
        """Length of a track in samples at the backbone's rate."""
        available_s = audio.info(track.path).duration_s - track.start_s
        duration_s = available_s if track.duration_s is None else min(track.duration_s, available_s)
        if duration_s <= 0:
            raise audio.AudioError(f"{track.path}: nothing left behind {track.start_s:g} s")
        return max(1, round(duration_s * self.rate_hz))

    def duration_s(self, track: int) -> float:
        """Length of a track in seconds."""
        return self.lengths_samples[track] / self.rate_hz

    def labelled(self, name: str) -> list[int]:
        """Numbers of the tracks that have a label for a task."""
        return [number for number, labels in enumerate(self.labels) if labels[name] is not None]

    def __len__(self) -> int:
        """How many segments there are."""
        return len(self.segments)

    def content(self) -> dict[str, Any]:
        """What decides the waveforms of all rows, for the keys of caches."""
        files = [(track.path, track.path.stat()) for track in self.tracks]
        tracks = [
            (track.id, str(path), status.st_size, status.st_mtime_ns, track.start_s, track.duration_s)
            for track, (path, status) in zip(self.tracks, files, strict=True)
        ]
        grid = [self.grid.length_samples, self.grid.hop_samples]
        return {
            "tracks": tracks,
            "grid": grid,
            "rate_hz": self.rate_hz,
            "versions": [repr(v) for v in self.versions],
        }

    def waveform(self, row: int) -> np.ndarray:
        """The waveform of one segment, not longer than its true length."""
        return self.crops([row])[0]

    def label(self, row: int, name: str) -> Label | None:
        """The label of a segment for a task, as its version changes it; None where there is none."""
        segment = self.segments[row]
        label = self.labels[segment.track][name]
        if label is None:
            return None
        for change in self.versions[segment.version]:
            if isinstance(change, MixIn):
                other = self._partner(row, name)
                change = change.of(np.zeros(1, np.float32), self.labels[other.track][name])
            label = change.relabel(self.tasks[name], label)
        return label

    def _decode(self, row: int) -> np.ndarray:
        """Read a segment and change it as its version asks."""
        segment = self.segments[row]
        changes = self.versions[segment.version]
        x = self._read(segment, rate_of(changes))
        rng = np.random.default_rng(self._draw(row))
        for change in changes:
            if isinstance(change, MixIn):
                other = self._partner(row, next(iter(self.tasks)))
                change = change.of(self._read(other, rate_of(self.versions[other.version])), [])
            x = change.apply(x, self.rate_hz, rng)
        return np.pad(x, (0, max(0, segment.n_samples - len(x))))[: segment.n_samples] if changes else x

    def _read(self, segment: Segment, rate: float) -> np.ndarray:
        """The unchanged sound of a segment; `rate` times as long, if it is to be played faster."""
        track = self.tracks[segment.track]
        start_s = track.start_s + segment.start_samples * rate / self.rate_hz
        n_samples = round(segment.n_samples * rate)
        return audio.read(track.path, self.rate_hz, start_s, n_samples / self.rate_hz)[:n_samples]

    def _draw(self, row: int) -> list[int]:
        """The seed of what is drawn for a row."""
        segment = self.segments[row]
        return [zlib.crc32(self.tracks[segment.track].id.encode()), segment.start_samples, segment.version]

    def _partner(self, row: int, name: str) -> Segment:
        """The segment that is laid under a mixed one: another row that has a label."""
        rng = np.random.default_rng([*self._draw(row), 1])
        while True:
            other = self.segments[int(rng.integers(len(self.segments)))]
            if self.labels[other.track][name] is not None:
                return other

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
                label = self.label(row, name)
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
        waves = self.crops(rows) if waveforms is None else list(waveforms)
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


def rate_of(changes: Sequence[Change]) -> float:
    """How many times as fast a version is played."""
    return float(np.prod([change.rate for change in changes if isinstance(change, TimeStretch)]))


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
                    f"{key[0]} {key[1]} stands in the splits {first.split} ({first.id}) and {track.split} "
                    f"({track.id}); "
                    "what is learned from must not be tested on"
                )
