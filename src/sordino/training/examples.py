"""From recordings to batches: rows, their waveforms and their targets.

What a batch holds depends on nothing but the rows, the visits, the seed and the step, so a run that was stopped goes
on exactly.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from sordino import audio, augment, segments, vocoder
from sordino.augment import Change, TimeStretch
from sordino.contracts import Backbone, Label
from sordino.segments import Grid
from sordino.store import row_key
from sordino.training.recordings import Recordings
from sordino.training.rows import Rows, Segment

Visit = tuple[int, int]  # a row, and for the how-manieth time it is seen
ROOM_BYTES = 1 << 28  # of memory for targets
VERSIONS = {"audio": audio.VERSION, "augment": augment.VERSION, "vocoder": vocoder.VERSION, "cut": segments.VERSION}


class Examples:
    """Recordings, cut into rows.

    Args:
        recordings: the tracks of a split.
        backbone: decides rate and frames.
        grid: how tracks are cut.
        versions: the changes of each version of every track; by default there is one, the track as it is.
        random: see `Rows`.
        seed: of random crops.

    Raises:
        ValueError: recordings are to be laid over one another but there is only one.
    """

    def __init__(
        self,
        recordings: Recordings,
        backbone: Backbone,
        grid: Grid,
        versions: Iterable[list[Change]] = ([],),
        random: bool = False,
        seed: int = 0,
    ):
        self.recordings, self.tasks, self.grid = recordings, recordings.tasks, grid
        self.rate_hz = recordings.sample_rate_hz
        self.frame_rate_hz, self.n_frames = backbone.frame_rate_hz, backbone.n_frames
        self.versions = list(versions)
        self.rates = [rate_of(changes) for changes in self.versions]
        self.rows = Rows(recordings.lengths_samples, self.rates, grid, random, seed)
        self._known: dict[tuple[str, Segment], Tensor] = {}
        self._room_bytes = 0 if random else ROOM_BYTES  # random crops hardly come again
        self.complete = [n for n, row in enumerate(recordings.labels) if all(v is not None for v in row.values())]
        if any(c.wants_other for changes in self.versions for c in changes) and len(self.complete) < 2:
            raise ValueError("mix lays recordings over one another and wants two with all labels; there are fewer")

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.rows)

    def label(self, segment: Segment, name: str) -> Label | None:
        """The label of a segment for a task, as its version changes it; None where there is none."""
        label = self.recordings.labels[segment.track][name]
        for change in self.versions[segment.version] if label is not None else ():
            partner = self.partner(segment) if change.wants_other else None
            other = None if partner is None else self.recordings.labels[partner.track][name]
            label = change.relabel(self.tasks[name], label, other)
        return label

    def waveform(self, segment: Segment) -> np.ndarray:
        """Decode a segment and change it as its version asks; [time], as long as the segment."""
        x = self._read(segment, self.rates[segment.version])
        rng = np.random.default_rng(self._draw(segment))
        for change in self.versions[segment.version]:
            partner = self.partner(segment) if change.wants_other else None
            x = change.apply(x, self.rate_hz, rng, None if partner is None else self._read(partner, 1.0))
        return np.pad(x, (0, max(0, segment.n_samples - len(x))))[: segment.n_samples]  # rounding, and stretching

    def partner(self, segment: Segment) -> Segment:
        """What is laid under a mixed segment: a stretch of another track that has all labels; one for all tasks."""
        rng = np.random.default_rng([*self._draw(segment), 1])
        at = int(rng.integers(len(self.complete)))
        track = self.complete[at] if self.complete[at] != segment.track else self.complete[at - 1]
        length = self.recordings.lengths_samples[track]
        start = int(rng.integers(max(1, length - segment.n_samples + 1)))
        return Segment(track, 0, start, min(segment.n_samples, length - start))

    def key(self, segment: Segment) -> bytes:
        """What decides a segment's waveform, for the store: bytes of the files, stretch, changes and what they draw."""
        track, changes = self.recordings.tracks[segment.track], self.versions[segment.version]
        own = (self.recordings.contents[segment.track], track.start_s, *segment[2:])
        if not changes:
            return row_key(VERSIONS, own)
        partner = self.partner(segment) if any(change.wants_other for change in changes) else None
        other = None if partner is None else self.key(partner).decode()
        return row_key(VERSIONS, own, repr(changes), self._draw(segment), other)

    def targets(self, chosen: Sequence[Segment], n_frames: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Targets by task, and which segments have one.

        Args:
            chosen: the segments.
            n_frames: frames of the longest of them; frame targets are padded with zeros to it.
        """
        targets, present = {}, {}
        for name in self.tasks:
            encoded = [self._target(segment, name, n_frames) for segment in chosen]
            example = next((target for target in encoded if target is not None), None)
            present[name] = torch.tensor([target is not None for target in encoded])
            if example is not None:
                empty = torch.zeros_like(example)
                targets[name] = torch.stack([empty if target is None else target for target in encoded])
        return targets, present

    def _target(self, segment: Segment, name: str, n_frames: int) -> Tensor | None:
        """Padded to `n_frames` where it is of frames; rows are asked for in passes, so what is kept stays."""
        own = self._known.get((name, segment))
        if own is None:
            task, label = self.tasks[name], self.label(segment, name)
            if label is None:
                return None
            length = self.n_frames(segment.n_samples)
            own = task.encode(label, length, self.frame_rate_hz, segment.start_samples / self.rate_hz)
            if own.nbytes <= self._room_bytes:
                self._room_bytes -= own.nbytes
                self._known[name, segment] = own
        if self.tasks[name].level != "frame":
            return own
        return torch.nn.functional.pad(own, (0, 0, 0, n_frames - len(own)))

    def _read(self, segment: Segment, rate: float) -> np.ndarray:
        """The unchanged sound of a segment; `rate` times as long, if it is to be played faster."""
        track = self.recordings.tracks[segment.track]
        start_s = track.start_s + segment.start_samples * rate / self.rate_hz
        n_samples = round(segment.n_samples * rate)
        return audio.read(track.path, self.rate_hz, start_s, n_samples / self.rate_hz)[:n_samples]

    def _draw(self, segment: Segment) -> list[int]:
        """The seed of what is drawn for a segment."""
        name = self.recordings.tracks[segment.track].id
        return [zlib.crc32(name.encode()), segment.start_samples, segment.version]


def rate_of(changes: Sequence[Change]) -> float:
    """How many times as fast a version is played."""
    return float(np.prod([change.rate for change in changes if isinstance(change, TimeStretch)]))
