"""Which segments there are to train on or to answer: a table with a row for each, small enough for millions.

On a grid a row is a segment of a track in one version of it (a pitch, a rate, a copy). With random crops a row is a
whole track in one version, and every visit cuts another segment out of it, as in Ding and Lerch, 2024 (their public
code); where it begins depends on the seed, the row and the visit alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sordino.segments import Grid, Piece


class Segment(NamedTuple):
    """A stretch of a track in one version of it.

    Attributes:
        track: the track's number.
        version: the number of the version.
        start_samples: where it begins within the (stretched) track.
        n_samples: its length.
    """

    track: int
    version: int
    start_samples: int
    n_samples: int


class Rows:
    """The table of rows, track by track, version by version.

    Args:
        lengths_samples: by track.
        rates: by version, how many times as fast it is played.
        grid: how tracks are cut.
        random: a row is a whole track, and each visit cuts another segment.
        seed: of the random cuts.
    """

    def __init__(
        self, lengths_samples: Sequence[int], rates: Sequence[float], grid: Grid, random: bool = False, seed: int = 0
    ):
        self.grid, self.random, self.seed = grid, random, seed
        found: list[tuple[int, ...]] = []
        for track, length in enumerate(lengths_samples):
            for version, rate in enumerate(rates):
                stretched = max(1, round(length / rate))
                pieces = [Piece(0, stretched, stretched, True)] if random else grid.cut(stretched)
                found += [(track, version, *piece) for piece in pieces]
        columns = np.array(found, np.int64).reshape(-1, 6).T
        self.tracks, self.versions = columns[0].astype(np.int32), columns[1].astype(np.int16)
        self.starts, self.lengths, self.new, self.last = columns[2], columns[3], columns[4], columns[5].astype(bool)

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.tracks)

    def whole(self, row: int) -> Segment:
        """All that a row holds."""
        return Segment(int(self.tracks[row]), int(self.versions[row]), int(self.starts[row]), int(self.lengths[row]))

    def segment(self, row: int, visit: int = 0) -> Segment:
        """What a visit sees of a row."""
        whole = self.whole(row)
        room = whole.n_samples - self.grid.length_samples
        if not self.random or room <= 0:
            return whole
        start = int(np.random.default_rng([self.seed, visit, row]).integers(room + 1))
        return whole._replace(start_samples=start, n_samples=self.grid.length_samples)

    def piece(self, row: int) -> Piece:
        """Where a row of the grid lies in its recording."""
        return Piece(int(self.starts[row]), int(self.lengths[row]), int(self.new[row]), bool(self.last[row]))
