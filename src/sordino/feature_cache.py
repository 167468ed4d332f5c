"""What the frozen part of a model gave for each segment, computed once and kept on disk.

One folder per (frozen part, way of cutting): `index.json` says what it holds, one memory-mapped array per hidden state
holds the segments in order, `done.npy` which of them are filled. A segment is written before it is marked, so a killed
process leaves nothing half done under a good mark.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor


def default_folder() -> Path:
    """Where caches lie: `$SORDINO_CACHE`, else `~/.cache/sordino`, and `features` in it."""
    return Path(os.environ.get("SORDINO_CACHE") or Path.home() / ".cache" / "sordino") / "features"


class FeatureCache:
    """Constant states of a list of segments.

    Args:
        key: everything that decides the content (backbone fingerprint, states, segments); hashed into the name of
            the folder.
        n_segments: how many segments.
        states: keys of the states.
        n_frames: frames of the longest segment.
        dim: width.
        dtype: `float32` or `float16`.
        folder: where caches lie.
    """

    def __init__(
        self,
        key: Mapping[str, Any],
        n_segments: int,
        states: Sequence[int],
        n_frames: int,
        dim: int,
        dtype: str = "float32",
        folder: Path | None = None,
    ):
        index = {"key": dict(key), "shape": [n_segments, n_frames, dim], "states": list(states), "dtype": dtype}
        text = json.dumps(index, sort_keys=True)
        self.folder = (folder or default_folder()) / hashlib.sha256(text.encode()).hexdigest()[:20]
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "index.json").write_text(text)
        self.arrays = {
            k: mapped_array(self.folder / f"state_{k}.npy", (n_segments, n_frames, dim), dtype) for k in states
        }
        self.lengths = mapped_array(self.folder / "done.npy", (n_segments,), "int32")

    def missing(self) -> list[int]:
        """Segments that are not filled yet."""
        return [int(i) for i in np.flatnonzero(np.asarray(self.lengths) == 0)]

    def put(self, rows: Sequence[int], constant: Mapping[int, Tensor], mask: Tensor | None) -> None:
        """Fill some segments with what the model's `constant` gave for them."""
        for k, array in self.arrays.items():
            values = constant[k].float().cpu().numpy()
            array[list(rows), : values.shape[1]] = values
        n_frames = next(iter(constant.values())).shape[1]
        lengths = np.full(len(rows), n_frames) if mask is None else mask.sum(dim=1).cpu().numpy()
        self.lengths[list(rows)] = lengths

    def get(self, rows: Sequence[int]) -> tuple[dict[int, Tensor], Tensor | None]:
        """Constant states and mask of some segments, cut to the longest of them."""
        lengths = torch.from_numpy(np.asarray(self.lengths[list(rows)]).astype(np.int64))
        longest = int(lengths.max())
        constant = {
            k: torch.from_numpy(np.asarray(a[list(rows), :longest], dtype=np.float32)) for k, a in self.arrays.items()
        }
        if bool((lengths == longest).all()):
            return constant, None
        return constant, torch.arange(longest)[None, :] < lengths[:, None]


def mapped_array(path: Path, shape: tuple[int, ...], dtype: str) -> np.memmap:
    """A memory-mapped array of zeros (sparse on disk), or the one that is there."""
    if not path.exists():
        part = path.with_suffix(f".{os.getpid()}.part")
        np.lib.format.open_memmap(part, mode="w+", dtype=dtype, shape=shape).flush()
        part.replace(path)
    return np.lib.format.open_memmap(path, mode="r+")
