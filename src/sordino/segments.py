"""Cutting a recording into segments and joining what the model says of them.

Clip tasks: the mean of the segments' probabilities, each weighted by its true length. Frame tasks: overlap-add with a
trapezoid that fades over the overlap, so that a frame is answered by the segment in whose middle it lies.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

FRAME_OVERLAP = 0.2  # the share of a segment that the next one repeats where frames are answered


@dataclass(frozen=True)
class Grid:
    """How recordings are cut.

    Attributes:
        length_samples: of a segment.
        hop_samples: from the start of one segment to the next; a multiple of the backbone's hop.
    """

    length_samples: int
    hop_samples: int

    @classmethod
    def of(cls, segment_s: float, sample_rate_hz: int, frame_samples: int, overlap: float = 0.0) -> Grid:
        """A grid of whole frames.

        Args:
            segment_s: length of a segment in seconds.
            sample_rate_hz: of the waveform.
            frame_samples: samples from frame to frame.
            overlap: the share of a segment that the next one repeats.
        """
        n_frames = max(1, round(segment_s * sample_rate_hz / frame_samples))
        hop = max(1, math.floor(n_frames * (1 - overlap)))
        return cls(n_frames * frame_samples, hop * frame_samples)

    def starts(self, n_samples: int) -> list[int]:
        """Where segments begin; the last one may be short, and no sample is left out."""
        if n_samples <= self.length_samples:
            return [0]
        return list(range(0, n_samples - self.length_samples + self.hop_samples, self.hop_samples))

    def cut(self, n_samples: int) -> list[tuple[int, int]]:
        """Start and true length of every segment, in samples."""
        return [(start, min(self.length_samples, n_samples - start)) for start in self.starts(n_samples)]


def stream(blocks: Iterable[np.ndarray], grid: Grid) -> Iterator[tuple[int, np.ndarray]]:
    """Cut a recording that comes in blocks into the segments that `grid.cut` would make of the whole.

    Args:
        blocks: waveforms that follow each other.
        grid: how to cut.

    Yields:
        Where the segment begins in samples, and its waveform (the last may be short).
    """
    waiting, start = np.zeros(0, np.float32), 0
    for block in blocks:
        waiting = np.concatenate([waiting, block])
        while len(waiting) > grid.length_samples:
            yield start, waiting[: grid.length_samples]
            waiting, start = waiting[grid.hop_samples :], start + grid.hop_samples
    if len(waiting):
        yield start, waiting


class Joiner:
    """Gathers segments of one recording for one task, in memory bounded by the answer's own size.

    Args:
        level: `clip` or `frame`.
        overlap_frames: over how many frames neighbouring segments are faded into each other (frame tasks).
    """

    def __init__(self, level: str, overlap_frames: int = 0):
        self.level = level
        self.overlap_frames = overlap_frames
        self._sum: np.ndarray | None = None
        self._weight: np.ndarray | float = 0.0

    def add(self, probabilities: np.ndarray, start_frame: int, weight: float) -> None:
        """Add one segment.

        Args:
            probabilities: [label] (clip) or [frame label] (frame, padding cut off).
            start_frame: where the segment begins.
            weight: its true length (clip); ignored for frames.
        """
        probabilities = np.asarray(probabilities, dtype=np.float64)
        if self.level == "clip":
            self._sum = weight * probabilities + (0.0 if self._sum is None else self._sum)
            self._weight = self._weight + weight
            return
        fade = self._fade(len(probabilities), first=start_frame == 0)
        end = start_frame + len(probabilities)
        if self._sum is None:
            self._sum, self._weight = np.zeros((0, probabilities.shape[1])), np.zeros(0)
        if end > len(self._sum):
            grow = end - len(self._sum)
            self._sum = np.concatenate([self._sum, np.zeros((grow, probabilities.shape[1]))])
            self._weight = np.concatenate([self._weight, np.zeros(grow)])
        self._sum[start_frame:end] += fade[:, None] * probabilities
        self._weight[start_frame:end] += fade

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
        if self._sum is None:
            raise ValueError("no segment to join: the recording is empty")
        weight = self._weight if self.level == "clip" else np.asarray(self._weight)[:, None]
        return self._sum / weight
