"""Waveforms of segments: decoded when asked for, ahead of time in threads, or once and kept on disk.

Decoding and resampling release the interpreter's lock, so threads are enough. Whichever way a waveform comes,
it is the same: what a row holds depends on nothing but the row.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from sordino.feature_cache import default_folder, mapped_array


class Crops:
    """Waveforms by row.

    Args:
        decode: gives a row's waveform.
        workers: threads that decode; 0: the caller's own.
    """

    def __init__(self, decode: Callable[[int], np.ndarray], workers: int = 0):
        self.decode = decode
        self.pool = ThreadPoolExecutor(workers, "decode") if workers else None
        self.waiting: dict[int, Future[np.ndarray]] = {}

    def __call__(self, rows: Sequence[int]) -> list[np.ndarray]:
        """The waveforms of these rows."""
        if self.pool is None:
            return [self.decode(row) for row in rows]
        self.ahead(rows)
        found = {row: self.waiting[row].result() for row in set(rows)}
        for row in found:
            del self.waiting[row]
        return [found[row] for row in rows]

    def ahead(self, rows: Sequence[int]) -> None:
        """Begin with rows that will be asked for soon."""
        if self.pool is not None:
            for row in rows:
                if row not in self.waiting:
                    self.waiting[row] = self.pool.submit(self.decode, row)


class KeptCrops:
    """A `decode` that decodes every row once and keeps it in a memory-mapped file.

    A waveform is written before it is marked, so a killed process leaves nothing half done under a good mark.

    Args:
        decode: gives a row's waveform.
        key: everything that decides the content; hashed into the folder's name.
        n_rows: how many rows.
        longest: samples of the longest.
        folder: where the files lie; None: `waveforms` beside the feature cache.
    """

    def __init__(
        self,
        decode: Callable[[int], np.ndarray],
        key: Mapping[str, Any],
        n_rows: int,
        longest: int,
        folder: Path | None = None,
    ):
        text = json.dumps({"key": dict(key), "shape": [n_rows, longest]}, sort_keys=True)
        place = folder or default_folder().with_name("waveforms")
        self.folder = place / hashlib.sha256(text.encode()).hexdigest()[:20]
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "index.json").write_text(text, encoding="utf-8")
        self.decode = decode
        self.waves = mapped_array(self.folder / "waves.npy", (n_rows, longest), "float32")
        self.lengths = mapped_array(self.folder / "done.npy", (n_rows,), "int32")

    def __call__(self, row: int) -> np.ndarray:
        """The waveform of a row."""
        length = int(self.lengths[row])
        if length:
            return np.array(self.waves[row, :length])
        wave = self.decode(row)
        self.waves[row, : len(wave)] = wave
        self.lengths[row] = len(wave)
        return wave
