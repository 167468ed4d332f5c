"""Waveforms of rows, and what is said and named of rows that are stored."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch

import sordino
from sordino.store import Stored
from sordino.training.examples import Examples, Visit

Told = Callable[[int, int], None]


class Waves:
    """Waveforms of rows: decoded when asked for, in threads ahead of time, or once and kept in the store.

    Decoding and resampling release the interpreter's lock, so threads are enough.

    Args:
        examples: whose rows.
        workers: threads that decode; 0: the caller's own.
        keep: decode every row once and keep it on disk.
        advance: called with the number of rows done and all, while the store is filled.
    """

    def __init__(
        self, examples: Examples, workers: int = 0, keep: bool = False, advance: Told = lambda done, total: None
    ):
        self.examples = examples
        self.pool = ThreadPoolExecutor(workers, "decode") if workers else None
        self.waiting: dict[Visit, Future[np.ndarray]] = {}
        self.stored: Stored | None = None
        if keep and len(examples):
            self.stored = self._fill(advance)

    def __call__(self, visits: Sequence[Visit]) -> list[np.ndarray]:
        """The waveforms of these rows, [time] each."""
        if self.pool is None:
            return [self._wave(visit) for visit in visits]
        self.ahead(visits)
        found = {visit: self.waiting.pop(visit).result() for visit in dict.fromkeys(visits)}
        return [found[visit] for visit in visits]

    def ahead(self, visits: Sequence[Visit]) -> None:
        """Begin with rows that will be asked for soon."""
        if self.pool is None:
            return
        for visit in visits:
            if visit not in self.waiting:
                self.waiting[visit] = self.pool.submit(self._wave, visit)

    def _wave(self, visit: Visit) -> np.ndarray:
        segment = self.examples.rows.segment(*visit)
        if self.stored is None:
            return self.examples.waveform(segment)
        start = segment.start_samples - self.examples.rows.whole(visit[0]).start_samples
        return self.stored.get(visit[0], start, segment.n_samples)[:, 0].numpy()

    def _fill(self, advance: Told) -> Stored:
        rows = self.examples.rows
        kind = {"waveform": self.examples.rate_hz, "sordino": sordino.__version__}
        stored = Stored(kind, row_keys(self.examples), rows.lengths, 1)
        announce(stored, self.examples, stored.missing())
        with stored.filling() as missing:
            for number, row in enumerate(missing, 1):
                wave = self.examples.waveform(rows.whole(int(row)))
                stored.put(int(row), torch.from_numpy(np.ascontiguousarray(wave))[:, None])
                advance(number, len(missing))
        return stored


def row_keys(examples: Examples) -> list[bytes]:
    """By row, what decides its sound."""
    return [examples.key(examples.rows.whole(row)) for row in range(len(examples))]


def announce(stored: Stored, examples: Examples, missing: np.ndarray) -> None:
    """Say on stderr how much is going to be stored, and how much that is for an hour of sound."""
    if not len(missing):
        return
    n_bytes = float(stored.rows["length"][missing].sum()) * stored.width * stored.dtype.itemsize
    hours = float(examples.rows.lengths[missing].sum()) / examples.rate_hz / 3600
    print(
        f"storing {n_bytes / 1e9:.2f} GB ({n_bytes / 1e9 / hours:.2f} GB an hour) in {stored.folder}", file=sys.stderr
    )
