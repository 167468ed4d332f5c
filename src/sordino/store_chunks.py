"""Chunks of the store: rows of one kind that were reserved together, their files, and the room they may take.

<chunk>.rows  for each row its key and its length; a chunk exists when this file does
<chunk>.data  the rows, one behind the other, [vector width]
<chunk>.done  for each row a byte: whether it is whole
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np

from sordino.files import write_bytes
from sordino.known_files import cache_folder

KEY_BYTES = 16
ROW = np.dtype([("key", f"S{KEY_BYTES}"), ("length", "<i8")])
MARK_S = 5.0  # rows are marked together, when so much time has passed


def store_folder() -> Path:
    """Where stores lie: `store` in the cache folder."""
    return cache_folder() / "store"


class StoreFull(OSError):
    """There is no room for what is to be stored; says how much it wants and what to do."""


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
    def reserve(cls, stem: Path, rows: np.ndarray, n_bytes: int) -> None:
        """Make the files of a new chunk for rows that take so much, `.rows` last."""
        try:
            with stem.with_suffix(".data").open("wb") as file:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, n_bytes)
                file.truncate(n_bytes)
            write_bytes(stem.with_suffix(".done"), bytes(len(rows)))
            write_bytes(stem.with_suffix(".rows"), rows.tobytes())
        except OSError as error:
            remove_chunk(stem)
            raise StoreFull(f"{stem.parent}: no room for {n_bytes / 1e9:.2f} GB ({error.strerror})") from error


class Writer:
    """Puts rows into a chunk and marks those that have reached the disk."""

    def __init__(self, chunk: Chunk):
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
    for suffix in (".rows", ".data", ".done"):
        stem.with_suffix(suffix).unlink(missing_ok=True)
