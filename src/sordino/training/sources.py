"""Where the constant part of the model comes from: computed anew, or from the store.

The states of a segment depend on its sound and on the frozen backbone alone. They are stored one by one, so whatever
reads a state finds it: other methods, other heads, other splits. What is missing is computed from the highest state
below that is stored already, or from the sound.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

import sordino
from sordino.answering import Constant, pad
from sordino.compute import Compute
from sordino.contracts import Frames
from sordino.memory import in_room
from sordino.model import FRONTEND, WAVEFORM, Model
from sordino.store import Stored
from sordino.training.examples import Visit
from sordino.training.rows import Segment
from sordino.training.waves import Told, Waves, announce, row_keys

FILL_ROWS = 8  # rows computed at once while a store is filled
ROOM_BYTES = 1 << 30  # of memory for states that are not stored


@runtime_checkable
class Source(Protocol):
    """Gives the constant states of some rows."""

    def __call__(self, visits: Sequence[Visit]) -> Constant:
        """Constant states and mask of these rows."""
        ...

    def ahead(self, visits: Sequence[Visit]) -> None:
        """Begin with what these rows will need."""
        ...


class Computed:
    """Runs the frozen part when a row is asked for, and keeps what it gave in memory while there is room.

    Args:
        model: whose frozen part.
        waves: waveforms of the rows.
        compute: device and precision.
        room_bytes: of memory for states; what is there stays, for rows are asked for in passes, equally often.
    """

    def __init__(self, model: Model, waves: Waves, compute: Compute, room_bytes: int = ROOM_BYTES):
        self.model, self.waves, self.compute = model, waves, compute
        self.rows, self.room_bytes = waves.examples.rows, room_bytes
        self._known: dict[Segment, dict[int, Tensor]] = {}

    def __call__(self, visits: Sequence[Visit]) -> Constant:
        """Decode and compute what is not known."""
        segments = [self.rows.segment(*visit) for visit in visits]
        new = {segment: visit for segment, visit in zip(segments, visits, strict=True) if segment not in self._known}
        if not new:
            return self._beside([self._known[segment] for segment in segments])
        waveform, n_samples = (x.to(self.compute.device) for x in pad(self.waves(list(new.values()))))
        with torch.no_grad(), self.compute.context():
            states, mask = self.model.constant(waveform, n_samples)
        if WAVEFORM in states:  # nothing was computed, so nothing is kept
            order = [list(new).index(segment) for segment in segments]
            return {WAVEFORM: waveform[order]}, None if mask is None else mask[order]
        n_frames = [self.model.backbone.n_frames(segment.n_samples) for segment in new]
        found = {
            segment: {number: state[place, :length] for number, state in states.items()}
            for place, (segment, length) in enumerate(zip(new, n_frames, strict=True))
        }
        for (segment, visit), values in zip(new.items(), found.values(), strict=True):
            self._keep(segment, visit, values)
        if list(new) == segments:
            return states, mask
        return self._beside([found.get(segment) or self._known[segment] for segment in segments])

    def _keep(self, segment: Segment, visit: Visit, values: dict[int, Tensor]) -> None:
        n_bytes = sum(value.numel() * value.element_size() for value in values.values())
        if n_bytes <= self.room_bytes and segment == self.rows.whole(visit[0]):  # else it is another one next time
            self.room_bytes -= n_bytes
            self._known[segment] = {number: value.to("cpu", copy=True) for number, value in values.items()}

    def _beside(self, rows: Sequence[dict[int, Tensor]]) -> Constant:
        device = self.compute.device
        found = {number: beside([row[number] for row in rows], device, one.dtype) for number, one in rows[0].items()}
        return {number: state for number, (state, _) in found.items()}, next(iter(found.values()))[1]

    def ahead(self, visits: Sequence[Visit]) -> None:
        """Begin to decode what is not known."""
        self.waves.ahead([visit for visit in visits if self.rows.segment(*visit) not in self._known])


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
        advance: Told = lambda done, total: None, states: Collection[int] = (),
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
        return Stored(kind, self.keys, self.n_frames, self.backbone.packed_dim(number), self.dtype)

    def _fill(self, incomplete: dict[int, Stored], advance: Told) -> None:
        """Compute what is missing; other processes wait (always in the same order, so never for one another)."""
        for stored in incomplete.values():
            announce(stored, self.examples, stored.missing())
        with ExitStack() as stack:
            missing = {number: set(map(int, stack.enter_context(incomplete[number].filling())))
                       for number in sorted(incomplete, key=lambda number: incomplete[number].folder)}  # fmt: skip
            rows = sorted(set().union(*missing.values()), key=lambda row: (self.n_frames[row], row))  # little padding
            for first in range(0, len(rows), FILL_ROWS):
                self.waves.ahead([(row, 0) for row in rows[first : first + 2 * FILL_ROWS]])
                some = rows[first : first + FILL_ROWS]
                for part, states in in_room(partial(self._compute, wanted=sorted(missing)), some):
                    for number, values in states.items():
                        for row, value in zip(part, values, strict=True):
                            if row in missing[number]:
                                self._put(incomplete[number], row, value[: self.n_frames[row]])
                advance(min(first + FILL_ROWS, len(rows)), len(rows))

    def _put(self, stored: Stored, row: int, value: Tensor) -> None:
        try:
            stored.put(row, value)
        except ValueError as error:
            track = self.examples.recordings.tracks[int(self.examples.rows.tracks[row])]
            raise ValueError(f"{track.path}: {error}; or leave the track out") from error

    @torch.no_grad()
    def _compute(self, rows: Sequence[int], wanted: Sequence[int]) -> dict[int, Tensor]:
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
        return {number: frames.x if number == FRONTEND else states[number] for number in wanted}

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
        return beside([stored.get(row) for row in rows], self.compute.device)

    def __call__(self, visits: Sequence[Visit]) -> Constant:
        """Read."""
        rows = [row for row, _ in visits]
        found = {number: self._read(stored, rows) for number, stored in self.states.items()}
        return {number: state for number, (state, _) in found.items()}, next(iter(found.values()))[1]

    def ahead(self, visits: Sequence[Visit]) -> None:
        """Nothing: reading is quick."""


def beside(
    rows: Sequence[Tensor], device: torch.device, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor | None]:
    """Rows [frame dim] side by side, [batch frame dim], and the mask [batch frame], None where all are as long."""
    lengths = torch.tensor([len(row) for row in rows])
    longest = int(lengths.max())
    state = torch.zeros(len(rows), longest, rows[0].shape[1], dtype=dtype)
    for place, row in enumerate(rows):
        state[place, : len(row)] = row
    mask = None if bool((lengths == longest).all()) else (torch.arange(longest) < lengths[:, None]).to(device)
    return state.to(device), mask
