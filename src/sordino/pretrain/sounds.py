"""What a teacher of sound says of each track: its embedding every three seconds, as targets for crops.

The teacher is musicnn (ISC), which heard 200,000 songs with tags; its penultimate layer is distilled. A folder of
sounds has `<track>.npz` for each array of a store, with `embedding` [patch value], patch i being about 3 i to 3 i + 3
seconds.

Paper: Pons and Serra, musicnn: Pre-trained convolutional neural networks for music audio tagging, 2019
    https://arxiv.org/abs/1909.06654; Hinton et al., Distilling the Knowledge in a Neural Network, 2015
    https://arxiv.org/abs/1503.02531
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from sordino.pretrain.labels import Cut
from sordino.pretrain.store import FRAME_RATE_HZ

PATCH_S = 3.0
N_VALUES = 200
WINDOW_FRAMES = round(PATCH_S * FRAME_RATE_HZ)


def n_windows(n_frames: int) -> int:
    """Into how many windows of about a patch's length a crop is divided."""
    return max(1, n_frames // WINDOW_FRAMES)


class Sounds:
    """The embeddings of a store's tracks, as far as the teacher has come.

    Args:
        folder: with `<track>.npz`; None for no teacher.
    """

    def __init__(self, folder: Path | None = None):
        self.folder = folder
        self._patches = cache(self._read)  # a few megabytes for all tracks

    def of(self, file: str, cut: Cut) -> np.ndarray:
        """[window value] of a crop of the track whose array is `file`: between the nearest patches; NaN if unknown."""
        n = n_windows(cut.n_frames)
        patches = self._patches(file)
        if patches is None:
            return np.full((n, N_VALUES), np.nan, dtype=np.float32)
        centres = (np.arange(n) + 0.5) * (cut.n_frames // n)
        at = (cut.seconds(centres) / PATCH_S - 0.5).clip(0, len(patches) - 1)
        low = np.floor(at).astype(int)
        high, part = np.minimum(low + 1, len(patches) - 1), (at - low)[:, None].astype(np.float32)
        return patches[low] * (1 - part) + patches[high] * part

    def _read(self, file: str) -> np.ndarray | None:
        path = None if self.folder is None else (self.folder / file).with_suffix(".npz")
        if path is None or not path.is_file():
            return None
        with np.load(path) as arrays:
            return arrays["embedding"].astype(np.float32)
