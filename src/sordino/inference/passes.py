"""Adapters that are computed in one pass, and where their segments wait for a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from sordino.answering import Joined, Prefixed, pad
from sordino.compute import Compute
from sordino.contracts import Backbone
from sordino.memory import in_room
from sordino.segments import Grid, Piece
from sordino.together import Together

Place = tuple[int, Piece]  # number of the recording, and where in it a segment lies


class Pass(NamedTuple):
    """Adapters that are answered from the same segments on one backbone.

    Attributes:
        grid: how recordings are cut.
        models: each with what is put before the names of its tasks.
        together: computes all of them.
    """

    grid: Grid
    models: list[Prefixed]
    together: Together

    @property
    def backbone(self) -> Backbone:
        """What all of them were made from."""
        return self.together.backbone


class Line:
    """Where the segments of one pass wait until they fill a batch, during one call.

    Args:
        each: the pass.
        compute: device and precision.
        batch_size: segments in a batch.
    """

    def __init__(self, each: Pass, compute: Compute, batch_size: int):
        self.each, self.compute, self.batch_size = each, compute, batch_size
        self._waiting: list[tuple[Place, np.ndarray]] = []
        self._joined = Joined(each.models, each.grid)

    def add(self, place: Place, wave: np.ndarray) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """Take a segment; gives the recordings that are through with it, see `Joined.add`."""
        self._waiting.append((place, wave))
        return self.flush() if len(self._waiting) == self.batch_size else iter(())

    def flush(self) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """Compute what waits."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        for rows, logits in in_room(self._answer, waiting):
            yield from self._joined.add([place for place, _ in rows], logits)

    def _answer(self, rows: Sequence[tuple[Place, np.ndarray]]) -> list[dict[str, Tensor]]:
        """Logits by model and task."""
        waveform, n_samples = (x.to(self.compute.device) for x in pad([wave for _, wave in rows]))
        with self.compute.context():
            return self.each.together(waveform, n_samples)

    def drop(self, number: int) -> None:
        """Forget the segments of a recording that cannot be read to its end."""
        self._waiting = [cut for cut in self._waiting if cut[0][0] != number]
        self._joined.drop(number)
