"""Arrays on disk, once for all: rows that are computed once and found again by what they are.

    <cache>/store/<kind>/about.json    what decides all rows of this kind alike (a backbone's state, a sample rate)
                         lock          held by the one process that fills
                         <chunk>.rows  for each row its key and its length; a chunk exists when this file does
                         <chunk>.data  the rows, one behind the other, [vector width]
                         <chunk>.done  for each row a byte: whether it is whole

A row's key is a hash of all that decides it beside the kind (the bytes of a sound file, where it is cut, how it is
changed), so other splits, folds, studies and methods find the same row. One process fills while others wait. It writes
rows, lets them reach the disk, and only then marks them, so a killed process leaves nothing half done under a good
mark. Room is reserved before anything is written: a full disk is an error in one line. Beyond the budget
(`$SORDINO_CACHE_GB`, else 100) the chunks that were used longest ago are removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from sordino.files import write_text
from sordino.store_chunks import KEY_BYTES, ROW, Chunk, Writer, make_room, remove_chunk, store_folder

FORMAT = 1
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def row_key(*what: Any) -> bytes:
    """The key of a row, from the plain data that decide it."""
    return hashlib.blake2b(json.dumps(what).encode(), digest_size=KEY_BYTES // 2).hexdigest().encode()


class Stored:
    """Some rows of one kind.

    Args:
        kind: what decides all rows alike, as plain data.
        keys: by row, see `row_key`; rows with one key are one.
        lengths: by row, how many vectors it has, at least 1.
        width: values in a vector.
        dtype: `float32`, `float16` or `bfloat16`, as they lie on disk.
        root: where stores lie; None: in the cache folder.

    Attributes:
        whole: by row, whether it is there.
    """

    def __init__(
        self,
        kind: Mapping[str, Any],
        keys: Sequence[bytes],
        lengths: Sequence[int] | np.ndarray,
        width: int,
        dtype: str = "float32",
        root: Path | None = None,
    ):
        self.width, self.dtype = width, DTYPES[dtype]
        self.raw = np.dtype(f"<u{self.dtype.itemsize}")
        self.rows = np.zeros(len(keys), ROW)
        self.rows["key"], self.rows["length"] = np.array(list(keys), f"S{KEY_BYTES}"), lengths
        self.root = root or store_folder()
        text = json.dumps({**kind, "width": width, "dtype": dtype, "format": FORMAT}, sort_keys=True)
        self.folder = self.root / hashlib.sha256(text.encode()).hexdigest()[:20]
        self.about = text
        self.chunks: dict[Path, Chunk] = {}
        self._writers: dict[Path, Writer] = {}
        self._find()

    def missing(self) -> np.ndarray:
        """Rows that are not whole yet; of several with one key the first."""
        lacking = np.flatnonzero(~self.whole)
        first = np.unique(self.rows["key"][lacking], return_index=True)[1]
        return lacking[np.sort(first)]

    @contextlib.contextmanager
    def filling(self) -> Iterator[np.ndarray]:
        """Reserve room for the missing rows and give them, to be `put`; others wait, and then find them done.

        Raises:
            StoreFull: there is no room.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / "lock"):
            write_text(self.folder / "about.json", self.about + "\n")
            self._clean()
            self._find()
            missing = self.missing()
            new = missing[self._chunk_of[missing] < 0]
            if len(new):
                self._reserve(self.rows[new])
                self._find()
            try:
                yield missing
            finally:
                writers, self._writers = self._writers, {}
                for writer in writers.values():
                    writer.close()
        self._find()

    def put(self, row: int, values: Tensor) -> None:
        """Write a missing row, [vector width], inside `filling`.

        Raises:
            ValueError: another shape than reserved, or numbers that the dtype cannot hold.
        """
        chunk, place = self._at(row)
        wanted = (int(chunk.rows["length"][place]), self.width)
        if tuple(values.shape) != wanted:
            raise ValueError(f"a row of shape {tuple(values.shape)} where {wanted} is reserved")
        stored = values.detach().to("cpu", self.dtype).contiguous()
        if not bool(torch.isfinite(stored).all()):
            told = "the sound overflows" if self.dtype == torch.float32 else "store it as float32 (training.cache)"
            raise ValueError(f"a row holds infinity or nan as {str(self.dtype).removeprefix('torch.')}; {told}")
        writer = self._writers.get(chunk.stem) or self._writers.setdefault(chunk.stem, Writer(chunk))
        offset = int(chunk.starts[place]) * self.width * self.raw.itemsize
        writer.put(place, stored.reshape(-1).view(torch.uint8).numpy().tobytes(), offset)

    def get(self, row: int, start: int = 0, length: int | None = None) -> Tensor:
        """A row that is whole, or a stretch of it, [vector width], in the dtype it is stored in."""
        chunk, place = self._at(row)
        first = int(chunk.starts[place]) + start
        last = int(chunk.starts[place] + chunk.rows["length"][place])
        end = last if length is None else min(first + length, last)
        return torch.from_numpy(np.array(chunk.data[min(first, end) : end])).view(self.dtype)

    def _at(self, row: int) -> tuple[Chunk, int]:
        return self._list[self._chunk_of[row]], int(self._place_of[row])

    def _find(self) -> None:
        """Open the chunks that are there and look where each row stands; one that is whole is preferred."""
        names = {path.with_suffix("") for path in self.folder.glob("*.rows")}
        self.chunks = {stem: chunk for stem, chunk in self.chunks.items() if stem in names}
        for stem in sorted(names - set(self.chunks)):
            try:
                self.chunks[stem] = Chunk(stem, self.width, self.raw)
            except (ValueError, OSError) as error:
                print(f"store: {error}; left out, its rows are computed again", file=sys.stderr)
                remove_chunk(stem)
        self._list = list(self.chunks.values())
        self._chunk_of = np.full(len(self.rows), -1, np.int32)
        self._place_of = np.full(len(self.rows), -1, np.int64)
        self.whole = np.zeros(len(self.rows), bool)
        for number, chunk in enumerate(self._list):
            chunk.done = chunk.read_done()
            place = chunk.find(self.rows["key"])
            done = (place >= 0) & chunk.done[place]
            better = done | ((place >= 0) & (self._chunk_of < 0))
            self._chunk_of[better], self._place_of[better] = number, place[better]
            self.whole |= done
            if better.any():
                chunk.stem.with_suffix(".rows").touch()

    def _reserve(self, rows: np.ndarray) -> None:
        n_bytes = int(rows["length"].sum()) * self.width * self.raw.itemsize
        make_room(self.root, n_bytes, keep={chunk.stem for chunk in self._list})
        Chunk.reserve(self.folder / f"{time.time_ns():x}-{os.getpid():x}", rows, n_bytes)

    def _clean(self) -> None:
        """Remove what a killed process left of a chunk that it did not finish reserving."""
        for path in self.folder.iterdir():
            if path.suffix in (".data", ".done", ".part") and not path.with_suffix(".rows").exists():
                path.unlink(missing_ok=True)
