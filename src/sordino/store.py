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
import math
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from sordino.known_files import cache_folder

FORMAT = 1
KEY_BYTES = 16
ROW = np.dtype([("key", f"S{KEY_BYTES}"), ("length", "<i8")])
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
MARK_S = 5.0  # rows are marked together, when so much time has passed


class StoreFull(OSError):
    """There is no room for what is to be stored; says how much it wants and what to do."""


def row_key(*what: Any) -> bytes:
    """The key of a row, from the plain data that decide it."""
    return hashlib.blake2b(json.dumps(what).encode(), digest_size=KEY_BYTES // 2).hexdigest().encode()


def store_folder() -> Path:
    """Where stores lie: `store` in the cache folder."""
    return cache_folder() / "store"


class Chunk:
    """Rows of one kind that were reserved together.

    Args:
        stem: path without suffix.
        width: values in a vector.
        raw: how a value lies on disk, as unsigned integer.

    Raises:
        ValueError: its files do not fit together.
    """

    def __init__(self, stem: Path, width: int, raw: np.dtype):
        self.stem = stem
        self.rows = np.fromfile(stem.with_suffix(".rows"), ROW)
        self.starts = np.cumsum(self.rows["length"]) - self.rows["length"]
        n_vectors = int(self.rows["length"].sum())
        expected = {".data": n_vectors * width * raw.itemsize, ".done": len(self.rows)}
        for suffix, n_bytes in expected.items():
            path = stem.with_suffix(suffix)
            if not path.is_file() or path.stat().st_size != n_bytes or not n_bytes:
                raise ValueError(f"{path} has not the {n_bytes} bytes that its rows want")
        self.data = np.memmap(stem.with_suffix(".data"), raw, "r", shape=(n_vectors, width))
        self.done = self.read_done()
        self._order = np.argsort(self.rows["key"], kind="stable")
        self._sorted = self.rows["key"][self._order]

    def read_done(self) -> np.ndarray:
        """Which rows are whole, as it stands on disk."""
        return np.fromfile(self.stem.with_suffix(".done"), np.uint8) == 1

    def find(self, keys: np.ndarray) -> np.ndarray:
        """Where rows stand here; -1: they do not."""
        at = np.minimum(np.searchsorted(self._sorted, keys), len(self._sorted) - 1)
        return np.where(self._sorted[at] == keys, self._order[at], -1)

    @classmethod
    def reserve(cls, stem: Path, rows: np.ndarray, width: int, raw: np.dtype) -> None:
        """Make the files of a new chunk, `.rows` last."""
        n_bytes = int(rows["length"].sum()) * width * raw.itemsize
        try:
            with stem.with_suffix(".data").open("wb") as file:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, n_bytes)
                file.truncate(n_bytes)
            stem.with_suffix(".done").write_bytes(bytes(len(rows)))
            part = stem.with_suffix(".part")
            rows.tofile(part)
            part.replace(stem.with_suffix(".rows"))
        except OSError as error:
            remove_chunk(stem)
            raise StoreFull(f"{stem.parent}: no room for {n_bytes / 1e9:.2f} GB ({error.strerror})") from error


class Writer:
    """Puts rows into a chunk and marks those that have reached the disk."""

    def __init__(self, chunk: Chunk):
        self.chunk = chunk
        self._data = chunk.stem.with_suffix(".data").open("r+b", buffering=0)
        self._done = chunk.stem.with_suffix(".done").open("r+b", buffering=0)
        self._unmarked: list[int] = []
        self._marked_at = time.monotonic()

    def put(self, place: int, values: bytes, offset: int) -> None:
        """Write a row's bytes at their offset."""
        self._data.seek(offset)
        self._data.write(values)
        self._unmarked.append(place)
        if time.monotonic() - self._marked_at > MARK_S:
            self.mark()

    def mark(self) -> None:
        """Let the data reach the disk, then mark the rows."""
        os.fsync(self._data.fileno())
        for place in self._unmarked:
            self._done.seek(place)
            self._done.write(b"\1")
        os.fsync(self._done.fileno())
        self._unmarked, self._marked_at = [], time.monotonic()

    def close(self) -> None:
        """Mark what is written and close the files."""
        with self._data, self._done:
            self.mark()


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

    @property
    def n_bytes(self) -> int:
        """Of all rows together."""
        first = np.unique(self.rows["key"], return_index=True)[1]
        return int(self.rows["length"][first].sum()) * self.width * self.raw.itemsize

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
            (self.folder / "about.json").write_text(self.about + "\n", encoding="utf-8")
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
            raise ValueError(f"a row holds infinity or nan as {self.dtype}; store it as float32 (training.cache)")
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
        Chunk.reserve(self.folder / f"{time.time_ns():x}-{os.getpid():x}", rows, self.width, self.raw)

    def _clean(self) -> None:
        """Remove what a killed process left of a chunk that it did not finish reserving."""
        for path in self.folder.iterdir():
            if path.suffix in (".data", ".done", ".part") and not path.with_suffix(".rows").exists():
                path.unlink(missing_ok=True)


def budget_bytes() -> float:
    """What all stores together may take.

    Raises:
        ValueError: the environment names no number.
    """
    text = os.environ.get("SORDINO_CACHE_GB", "100")
    try:
        budget = float(text) * 1e9
    except ValueError:
        budget = math.nan
    if not budget >= 0:
        raise ValueError(f"SORDINO_CACHE_GB={text} is not a number of gigabytes")
    return budget


def make_room(root: Path, n_bytes: int, keep: set[Path]) -> None:
    """Remove the chunks used longest ago until `n_bytes` more fit the budget.

    Raises:
        StoreFull: they do not fit all the same, or the disk is too full.
    """
    budget = budget_bytes()
    chunks = sorted(contents(root), key=lambda entry: entry["used"])
    total = sum(entry["n_bytes"] for entry in chunks)
    if n_bytes > budget:
        raise StoreFull(f"{n_bytes / 1e9:.2f} GB are to be stored but the budget is {budget / 1e9:g} GB; raise "
                        "SORDINO_CACHE_GB, or set training.cache to waveform or off")  # fmt: skip
    for entry in chunks:
        if total + n_bytes <= budget:
            break
        if entry["stem"] not in keep:
            remove_chunk(entry["stem"])
            total -= entry["n_bytes"]
    free = shutil.disk_usage(root).free
    if n_bytes > free:
        raise StoreFull(f"{root}: {n_bytes / 1e9:.2f} GB are to be stored but {free / 1e9:.2f} GB are free; set "
                        "SORDINO_CACHE to another disk, or training.cache to waveform or off")  # fmt: skip


def contents(root: Path | None = None) -> list[dict[str, Any]]:
    """All chunks: `stem`, `about` (its kind), `n_rows`, `n_bytes`, `used` (seconds since 1970)."""
    found = []
    for path in sorted((root or store_folder()).glob("*/*.rows")):
        with contextlib.suppress(OSError, ValueError):
            data = path.with_suffix(".data").stat()
            about = json.loads((path.parent / "about.json").read_text(encoding="utf-8"))
            n_rows = path.stat().st_size // ROW.itemsize
            found.append({"stem": path.with_suffix(""), "about": about, "n_rows": n_rows,
                          "n_bytes": data.st_size, "used": path.stat().st_mtime})  # fmt: skip
    return found


def remove_chunk(stem: Path) -> None:
    """Remove a chunk, `.rows` first: what is left when this is interrupted is no chunk any more."""
    for suffix in (".rows", ".part", ".data", ".done"):
        stem.with_suffix(suffix).unlink(missing_ok=True)
