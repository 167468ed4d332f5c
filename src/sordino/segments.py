"""Cutting a recording into segments and joining what the model says of them.

The tail of a recording is no segment of its own: the last segment is moved back until it is full (and may then overlap
the one before), or the tail is left out if it is short, see `Grid.least_tail`. Only a recording that is shorter than a
segment gives a short one.

Clip tasks: the mean of the segments' probabilities, each weighted by what it is the first to cover. Frame tasks:
overlap-add with a trapezoid that fades over the overlap, so that a frame is answered by the segment in whose middle it
lies.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

VERSION = 3  # raised when the same recording and settings give other segments
FRAME_OVERLAP = 0.2  # the share of a segment that the next one repeats where frames are answered
TRAIN_TAIL, CLIP_TAIL, FRAME_TAIL = 0.5, 0.1, 0.0  # least tails, as shares of a segment; see Grid


class Piece(NamedTuple):
    """Where a segment lies.

    Attributes:
        start_samples: its beginning, on a frame of the backbone.
        n_samples: its length.
        n_new: how much of it no segment before has covered.
        last: nothing of the recording comes behind it.
    """

    start_samples: int
    n_samples: int
    n_new: int
    last: bool


@dataclass(frozen=True)
class Grid:
    """How recordings are cut.

    Attributes:
        length_samples: of a segment; a multiple of `frame_samples`.
        hop_samples: from the start of one segment to the next; a multiple of `frame_samples`.
        frame_samples: from frame to frame of the backbone.
        least_tail: the tail behind the last full segment becomes a segment (moved back until it is full) when it is at
            least this share of a segment; shorter ones are left out. Training: a half, so that no stretch counts twice;
            clip answers: a tenth; frame answers: 0, because every frame is answered.
    """

    length_samples: int
    hop_samples: int
    frame_samples: int = 1
    least_tail: float = 0.0

    @classmethod
    def of(
        cls, segment_s: float, sample_rate_hz: int, frame_samples: int, overlap: float = 0.0, least_tail: float = 0.0
    ) -> Grid:
        """A grid of whole frames.

        Args:
            segment_s: length of a segment in seconds.
            sample_rate_hz: of the waveform.
            frame_samples: samples from frame to frame.
            overlap: the share of a segment that the next one repeats.
            least_tail: see the class.
        """
        n_frames = max(1, round(segment_s * sample_rate_hz / frame_samples))
        hop = max(1, math.floor(n_frames * (1 - overlap)))
        return cls(n_frames * frame_samples, hop * frame_samples, frame_samples, least_tail)

    def cut(self, n_samples: int) -> list[Piece]:
        """The segments of a recording, in order."""
        if n_samples <= self.length_samples:
            return [Piece(0, n_samples, n_samples, True)]
        n_full = (n_samples - self.length_samples) // self.hop_samples + 1
        found = [self._full(number) for number in range(n_full)]
        tail = self._tail(n_samples)
        return [*found, tail] if tail else [*found[:-1], found[-1]._replace(last=True)]

    def _full(self, number: int) -> Piece:
        start, length = number * self.hop_samples, self.length_samples
        return Piece(start, length, length if number == 0 else min(length, self.hop_samples), False)

    def _tail(self, n_samples: int) -> Piece | None:
        """The last segment, moved back until it is full (to the next frame), of a recording longer than a segment."""
        end = (n_samples - self.length_samples) // self.hop_samples * self.hop_samples + self.length_samples
        n_new = n_samples - end
        if n_new <= 0 or n_new < self.least_tail * self.length_samples:
            return None
        start = -(-(n_samples - self.length_samples) // self.frame_samples) * self.frame_samples
        return Piece(start, n_samples - start, n_new, True)


class Cutter:
    """Cuts a recording that comes in blocks into the segments that `grid.cut` would make of the whole.

    At most two segments and a block are kept.

    Args:
        grid: how to cut.

    Attributes:
        n_samples: how many came so far.
    """

    def __init__(self, grid: Grid):
        self.grid = grid
        self._waiting, self._begin = np.zeros(0, np.float32), 0  # the first of these is sample `_begin`
        self._n_full, self.n_samples = 0, 0
        self._held: tuple[Piece, np.ndarray] | None = None  # is given when it is known whether more follows

    def add(self, block: np.ndarray) -> Iterator[tuple[Piece, np.ndarray]]:
        """Take the next block; gives what is cut by now, each piece with its waveform."""
        length, hop = self.grid.length_samples, self.grid.hop_samples
        self._waiting, self.n_samples = np.concatenate([self._waiting, block]), self.n_samples + len(block)
        while self.n_samples > length and self.n_samples >= self._n_full * hop + length:
            if self._held:
                yield self._held
            piece = self.grid._full(self._n_full)
            self._held = piece, self._waiting[piece.start_samples - self._begin :][:length]
            self._n_full += 1
            kept_from = max(self._begin, self._n_full * hop - length)  # enough to move the last one back
            self._waiting, self._begin = self._waiting[kept_from - self._begin :], kept_from

    def end(self) -> Iterator[tuple[Piece, np.ndarray]]:
        """No block follows; gives the rest, nothing where there was no sample at all."""
        if self.n_samples <= self.grid.length_samples:
            if self.n_samples:
                yield Piece(0, self.n_samples, self.n_samples, True), self._waiting
            return
        tail = self.grid._tail(self.n_samples)
        assert self._held is not None
        yield (self._held[0]._replace(last=tail is None), self._held[1])
        if tail:
            yield tail, self._waiting[tail.start_samples - self._begin :]


def stream(blocks: Iterable[np.ndarray], grid: Grid) -> Iterator[tuple[Piece, np.ndarray]]:
    """The segments of a recording that comes in blocks, see `Cutter`."""
    cutter = Cutter(grid)
    for block in blocks:
        yield from cutter.add(block)
    yield from cutter.end()


class Joiner:
    """Gathers segments of one recording for one task, in memory and time bounded by the answer's own size.

    Args:
        level: `clip` or `frame`.
        overlap_frames: over how many frames neighbouring segments are faded into each other (frame tasks).
    """

    def __init__(self, level: str, overlap_frames: int = 0):
        self.level = level
        self.overlap_frames = overlap_frames
        self._sum = np.zeros((0, 1))
        self._weight = np.zeros(0)
        self._n = 0

    def add(self, probabilities: np.ndarray, start_frame: int, weight: float) -> None:
        """Add one segment.

        Args:
            probabilities: [label] (clip) or [frame label] (frame, padding cut off).
            start_frame: where the segment begins.
            weight: how many samples it is the first to cover (clip); ignored for frames.
        """
        values = np.asarray(probabilities, dtype=np.float64)
        if self.level == "clip":
            values, start_frame, fade = values[None], 0, np.array([float(weight)])
        else:
            fade = self._fade(len(values), first=start_frame == 0)
        end = start_frame + len(values)
        self._grow(end, values.shape[1])
        self._sum[start_frame:end] += fade[:, None] * values
        self._weight[start_frame:end] += fade

    def _grow(self, end: int, n_labels: int) -> None:
        """Make room up to frame `end`, by doubling, so that time stays linear in the number of segments."""
        if end > len(self._sum):
            n_more = max(end, 2 * len(self._sum)) - len(self._sum)
            self._sum = np.concatenate([self._sum.reshape(-1, n_labels), np.zeros((n_more, n_labels))])
            self._weight = np.concatenate([self._weight, np.zeros(n_more)])
        self._n = max(self._n, end)

    def _fade(self, n_frames: int, first: bool) -> np.ndarray:
        """Weights of one segment's frames: rising over the overlap (not at the very start), falling at the end."""
        n_fade = min(self.overlap_frames, n_frames)
        ramp = (np.arange(n_fade) + 1) / (n_fade + 1)
        fade = np.ones(n_frames)
        if not first:
            fade[:n_fade] = np.minimum(fade[:n_fade], ramp)
        fade[n_frames - n_fade :] = np.minimum(fade[n_frames - n_fade :], ramp[::-1])
        return fade

    def joined(self) -> np.ndarray:
        """The joined probabilities, [label] or [frame label].

        Raises:
            ValueError: no segment was added.
        """
        if not self._n:
            raise ValueError("no segment to join: the recording is empty")
        joined = self._sum[: self._n] / self._weight[: self._n, None]
        return joined[0] if self.level == "clip" else joined
