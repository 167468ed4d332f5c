"""MusicFM: a conformer of 330 million parameters at 25 frames per second.

Two sets of weights are published: `msd` (Million Song Dataset, the better one according to its authors) and
`fma` (Free Music Archive).

Paper: Won et al., A Foundation Model for Music Informatics, 2023 https://arxiv.org/abs/2311.03318
Differs: see _musicfm_network.py; the mask tokens, quantiser and output layer of pretraining are left out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from sordino.backbones._musicfm_network import MelConformer, Size
from sordino.backbones._published import Published, locate
from sordino.backbones._weights import build_random
from sordino.rules import Count

REVISION = "4513b38bc25ad1d227b1980819b9691ba97f4d87"
VARIANTS = {
    "msd": Published(
        "MusicFM (msd)",
        "minzwon/MusicFM",
        REVISION,
        {
            "pretrained_msd.pt": "218b483a0256ddef736267425fabb166fd97008983696bb9270def464b47bded",
            "msd_stats.json": "c36c61ab10ca4d2e7fdfefc3fcc15205316bec276a06a47baa3641a62c546f22",
        },
        "MIT",
    ),
    "fma": Published(
        "MusicFM (fma)",
        "minzwon/MusicFM",
        REVISION,
        {
            "pretrained_fma.pt": "68392eee13d34c2941b3761934abb6b1e67b2e9df498695bda2ea5c1087d4b96",
            "fma_stats.json": "5416e468018bae68c6231d4cbb2b11f0d11c04e6437881505ae427a3f8344904",
        },
        "MIT",
    ),
}


class MusicFM(MelConformer):
    """MusicFM; see the module's header."""

    name = "musicfm"
    title = "MusicFM"
    paper = "https://arxiv.org/abs/2311.03318"
    licence = "MIT"
    published = VARIANTS

    @classmethod
    def load(
        cls,
        weights: str | Path | None = None,
        depth: Count | None = None,
        variant: Literal["msd", "fma"] = "msd",
        size: Size | None = None,
    ) -> MelConformer:
        """Build it with its weights.

        Args:
            weights: none for the published ones, `random` or `random:SEED`, or a path: a folder with the
                published files, or the weights file with the stats file beside it.
            depth: how many layers to build; none for all.
            variant: which of the published ones.
            size: of the network, for weights of other sizes; none for the published size.

        Raises:
            FileNotFoundError: the weights are not here; says which file to fetch and where to put it.
            ValueError: the weights do not fit.
        """
        size = size or Size()
        published = VARIANTS[variant]
        model = build_random(lambda: cls(size, depth), weights)
        if model is None:
            path, statistics = locate(published, weights).values()
            source = str(published if weights is None else path)
            model = cls.read(path, json.loads(statistics.read_text()), size, depth, source)
        return model
