"""Where the constant part of the model comes from: computed anew, or from the store.

The states of a segment depend on its sound and on the frozen backbone alone. They are stored one by one, so whatever
reads a state finds it: other methods, other heads, other splits. What is missing is computed from the highest state
below that is stored already, or from the sound.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

import sordino
from sordino.answering import Constant, pad
from sordino.compute import Compute
from sordino.contracts import Frames
from sordino.model import FRONTEND, Model
from sordino.store import Stored
from sordino.training.examples import Examples, Visit

Progress = Callable[[int, int], None]
FILL_ROWS = 8  # rows computed at once while a store is filled


@runtime_checkable
class Source(Protocol):
    """Gives the constant states of some rows."""

    def __call__(self, visits: Sequence[Visit]) -> Constant:
        """Constant states and mask of these rows."""
        ...

    def ahead(self, visits: Sequence[Visit]) -> None:
        """Begin with what these rows will need."""
        ...


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
        self, examples: Examples, workers: int = 0, keep: bool = False, advance: Progress = lambda done, total: None
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

    def _fill(self, advance: Progress) -> Stored:
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


class Computed:
    """Runs the frozen part every time.

    Args:
        model: whose frozen part.
        waves: waveforms of the rows.
        compute: device and precision.
    """

    def __init__(self, model: Model, waves: Waves, compute: Compute):
        self.model, self.waves, self.compute = model, waves, compute

    def __call__(self, visits: Sequence[Visit]) -> Constant:
        """Decode and compute."""
        waveform, n_samples = (x.to(self.compute.device) for x in pad(self.waves(visits)))
        with torch.no_grad(), self.compute.context():
            return self.model.constant(waveform, n_samples)

    def ahead(self, visits: Sequence[Visit]) -> None:
        """Begin to decode."""
        self.waves.ahead(visits)


class Kept:
    """Computes every constant state once and then reads it from disk.

    Args:
        model: whose frozen part.
        waves: waveforms of the rows.
        compute: device and precision.
        fingerprint: of the backbone.
        dtype: as states lie on disk.
        advance: called with the number of rows done and all, while the store is filled.
        states: to be stored beside those that the model reads.
    """

    def __init__(
        self, model: Model, waves: Waves, compute: Compute, fingerprint: str, dtype: str,
        advance: Progress = lambda done, total: None, states: Collection[int] = (),
    ):  # fmt: skip
        self.waves, self.compute, self.examples = waves, compute, waves.examples
        self.backbone, self.fingerprint, self.dtype = model.backbone, fingerprint, dtype
        self.keys = row_keys(self.examples)
        self.n_frames = np.array([self.backbone.n_frames(int(n)) for n in self.examples.rows.lengths])
        self.states = {number: self._stored(number) for number in model.constant_states}
        self._candidates: dict[int, Stored] = {}
        own = {self.backbone.same_state(number) for number in self.states}
        others = {same for same in map(self.backbone.same_state, states) if same not in own}
        wanted = {**self.states, **{number: self._stored(number) for number in others}}
        incomplete = {number: stored for number, stored in sorted(wanted.items()) if len(stored.missing())}
        if incomplete:
            self._fill(incomplete, advance)

    def _stored(self, number: int) -> Stored:
        kind = {"backbone": self.fingerprint, "state": self.backbone.same_state(number),
                "precision": self.compute.precision, "sordino": sordino.__version__}  # fmt: skip
        return Stored(kind, self.keys, self.n_frames, self.backbone.dim, self.dtype)

    def _fill(self, incomplete: dict[int, Stored], advance: Progress) -> None:
        """Compute what is missing; other processes wait (always in the same order, so never for one another)."""
        for stored in incomplete.values():
            announce(stored, self.examples, stored.missing())
        with ExitStack() as stack:
            missing = {number: set(map(int, stack.enter_context(incomplete[number].filling())))
                       for number in sorted(incomplete, key=lambda number: incomplete[number].folder)}  # fmt: skip
            rows = sorted(set().union(*missing.values()))
            for first in range(0, len(rows), FILL_ROWS):
                self.waves.ahead([(row, 0) for row in rows[first : first + 2 * FILL_ROWS]])
                some = rows[first : first + FILL_ROWS]
                for number, values in self._compute(some, sorted(missing)):
                    for row, value in zip(some, values, strict=True):
                        if row in missing[number]:
                            incomplete[number].put(row, value[: self.n_frames[row]])
                advance(min(first + FILL_ROWS, len(rows)), len(rows))

    @torch.no_grad()
    def _compute(self, rows: Sequence[int], wanted: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
        """States of some rows, from the highest stored one below or from the sound."""
        below = self._below(rows, wanted[0])
        with self.compute.context():
            if below is None:
                waveform, n_samples = (x.to(self.compute.device) for x in pad(self.waves([(row, 0) for row in rows])))
                frames, known = self.backbone.frontend(waveform, n_samples), None
            else:
                number, stored = below
                state, mask = self._read(stored, rows)
                frames, known = Frames(state, mask), None if number == FRONTEND else {number: state}
            highest = wanted[-1]
            states = [] if highest == FRONTEND else self.backbone.encode(frames, known, stop=highest)
        for number in wanted:
            yield number, frames.x if number == FRONTEND else states[number]

    def _below(self, rows: Sequence[int], lowest: int) -> tuple[int, Stored] | None:
        """The highest state under `lowest` that is stored for all these rows."""
        for number in range(lowest - 1, FRONTEND - 1, -1):
            if number not in self._candidates:
                self._candidates[number] = self._stored(number)
            stored = self._candidates[number]
            if stored.whole[list(rows)].all():
                return number, stored
        return None

    def _read(self, stored: Stored, rows: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        """Rows side by side, [batch frame dim], and the mask [batch frame] or None."""
        lengths = torch.from_numpy(self.n_frames[list(rows)])
        longest = int(lengths.max())
        state = torch.zeros(len(rows), longest, self.backbone.dim)
        for place, row in enumerate(rows):
            state[place, : int(lengths[place])] = stored.get(row)
        mask = None if bool((lengths == longest).all()) else torch.arange(longest)[None, :] < lengths[:, None]
        return state.to(self.compute.device), None if mask is None else mask.to(self.compute.device)

    def __call__(self, visits: Sequence[Visit]) -> Constant:
        """Read."""
        rows = [row for row, _ in visits]
        found = {number: self._read(stored, rows) for number, stored in self.states.items()}
        return {number: state for number, (state, _) in found.items()}, next(iter(found.values()))[1]

    def ahead(self, visits: Sequence[Visit]) -> None:
        """Nothing: reading is quick."""


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
