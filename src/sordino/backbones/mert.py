"""MERT v1: HuBERT trained on music, 75 frames per second, 95 or 330 million parameters.

Paper: Li et al., MERT: Acoustic Music Understanding Model with Large-Scale Self-supervised Training, 2023
https://arxiv.org/abs/2306.00107
Differs: see _wave_encoder.py; `attention_relax` in the configuration guards half precision against overflow and
    changes no result; the fused attention kernel needs no such guard.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from sordino.backbones._published import Published, locate
from sordino.backbones._wave_encoder import BASE, TINY, Size, WaveEncoder
from sordino.backbones._weights import above, build, build_random, read_tensors
from sordino.rules import Count

VARIANTS = {
    "95m": Published(
        "MERT 95M",
        "m-a-p/MERT-v1-95M",
        "12af15fef9d0ac838c3f475bfbbf26d2060dd4f5",
        {
            "pytorch_model.bin": "a2b8b747f72c06e0595aeae41ae5473f4364938c6b39b2c58be38c48e6bd3fcd",
            "config.json": "ea2627c4c7825cd66f3c944b6b966331604c35928174e0100cd4a82829424e32",
            "preprocessor_config.json": "cc5a5e4a5d3b1a758a5ed984b2eaa15bb0522d811d44a9eed82bfca4baa0dc8f",
        },
        "CC-BY-NC-4.0",
    ),
    "330m": Published(
        "MERT 330M",
        "m-a-p/MERT-v1-330M",
        "5240c2708a5acaee1007f43fb9735c7dcd0b78c9",
        {"pytorch_model.bin": None, "config.json": None, "preprocessor_config.json": None},
        "CC-BY-NC-4.0",
    ),
}
UNUSED = ("masked_spec_embed",)  # stands for masked frames in pretraining
SIZES = {
    "95m": BASE,
    "330m": Size(
        hidden_size=1024,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=4096,
        do_stable_layer_norm=True,
        hidden_dropout=0.0,
    ),
}


class MERT(WaveEncoder):
    """MERT; see the module's header.

    Args:
        size: how large it is.
        depth: how many layers to build; None for all.
        normalise: bring each clip to mean 0 and variance 1 first, as `preprocessor_config.json` says
            (`do_normalize`).
    """

    name = "mert"
    title = "MERT v1"
    paper = "https://arxiv.org/abs/2306.00107"
    licence = "CC-BY-NC-4.0"
    published = VARIANTS

    @classmethod
    def load(
        cls,
        weights: str | Path | None = None,
        depth: Count | None = None,
        variant: Literal["95m", "330m"] = "95m",
        size: Size | None = None,
        normalise: bool | None = None,
    ) -> MERT:
        """Build it with its weights.

        Args:
            weights: none for the published ones, `random` or `random:SEED`, or a path: a folder with the
                published files, or the weights file with the two configuration files beside it.
            depth: how many layers to build; none for all.
            variant: which of the published ones.
            size: of a random network, where it is none of these; none for the variant's.
            normalise: bring each clip to mean 0 and variance 1; none for what the published files say (yes), false
                to feed it the sound as it is (as Ding and Lerch, 2024, do).

        Raises:
            FileNotFoundError: the weights are not here; says which file to fetch and where to put it.
            ValueError: the weights do not fit.
        """
        published = VARIANTS[variant]
        usual = True if normalise is None else normalise
        model = build_random(lambda: cls(size or SIZES[variant], depth, usual), weights)
        if model is None:
            path, config_path, preprocessor = locate(published, weights).values()
            config = json.loads(config_path.read_text())
            if normalise is None:
                usual = json.loads(preprocessor.read_text()).get("do_normalize", True)
            found = Size.read(config)
            tensors = cls.renamed(read_tensors(path, ("encoder.",)), config)
            unused, source = (
                [*UNUSED, *above(depth, found.num_hidden_layers)],
                str(published if weights is None else path),
            )
            model = build(lambda: cls(found, depth, usual), tensors, unused, source)
        return model

    @classmethod
    def tiny(cls, seed: int = 0) -> MERT:
        """Two layers of width 16."""
        return cls.load(f"random:{seed}", size=TINY)
