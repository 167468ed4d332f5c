"""MuQ: MusicFM's network, trained to predict the tokens of a learned mel quantiser.

The size, the number of layers and the statistics of the mel spectrogram come from its own `config.json`.

Paper: Zhu et al., MuQ: Self-Supervised Music Representation Learning with Mel Residual Vector Quantization,
    2025
https://arxiv.org/abs/2501.01108
Differs: see _musicfm_network.py; the quantiser and the output layer of pretraining are left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from sordino.backbones._musicfm_network import MelConformer, Size
from sordino.backbones._published import Published, locate
from sordino.backbones._weights import build_random
from sordino.rules import Count

VARIANTS = {
    "large-msd-iter": Published(
        "MuQ",
        "OpenMuQ/MuQ-large-msd-iter",
        "0562a57814f6f8bbd9fdea0a25921a2fce1a841a",
        {
            "model.safetensors": "273febab2be02872c37d2c37e48a9d6c52c1c9392f3eeeabd498efa281ccb7a6",
            "config.json": "237335ee27d8fb951ce778701a12a79e06c51ae636dd786f97e45f51ce532543",
        },
        "CC-BY-NC-4.0",
    )
}
UNSUPPORTED = {  # settings of `config.json` whose only supported value is the one here
    "label_rate": 25,
    "hop_length": 240,
    "position_embeddings_type": "rotary",
    "rotary_embedding_base": 10_000,
    "hidden_act": "swish",
    "layer_norm_eps": 1e-5,
}


def read_size(config: Mapping[str, Any]) -> Size:
    """The size from a parsed `config.json`; what it does not say is as published.

    Raises:
        ValueError: the configuration asks for something that this network does not have.
    """
    encoder = config.get("w2v2_config") or {}
    said = {**encoder, **config}
    for key, only in UNSUPPORTED.items():
        if said.get(key, only) != only:
            raise ValueError(f"config.json: {key} = {said[key]!r} is not supported; only {only!r} is")
    usual = Size()
    return Size(
        n_layers=config.get("encoder_depth", usual.n_layers),
        dim=config.get("encoder_dim", usual.dim),
        n_heads=encoder.get("num_attention_heads", usual.n_heads),
        dim_inner=encoder.get("intermediate_size", usual.dim_inner),
        kernel_size=encoder.get("conv_depthwise_kernel_size", usual.kernel_size),
        channels=config.get("conv_dim", usual.channels),
        n_mels=config.get("n_mels", usual.n_mels),
        dropout=encoder.get("hidden_dropout", usual.dropout),
    )


class MuQ(MelConformer):
    """MuQ; see the module's header."""

    name = "muq"
    title = "MuQ large"
    paper = "https://arxiv.org/abs/2501.01108"
    licence = "CC-BY-NC-4.0"
    published = VARIANTS

    @classmethod
    def load(
        cls,
        weights: str | Path | None = None,
        depth: Count | None = None,
        variant: Literal["large-msd-iter"] = "large-msd-iter",
        size: Size | None = None,
    ) -> MelConformer:
        """Build it with its weights.

        Args:
            weights: none for the published ones, `random` or `random:SEED`, or a path: a folder with the
                published files, or the weights file with `config.json` beside it.
            depth: how many layers to build; none for all.
            variant: which of the published ones.
            size: of a random network; none for the published one's.

        Raises:
            FileNotFoundError: the weights are not here; says which file to fetch and where to put it.
            ValueError: the weights do not fit.
        """
        published = VARIANTS[variant]
        model = build_random(lambda: cls(size or Size(), depth), weights)
        if model is None:
            path, config_path = locate(published, weights).values()
            config = json.loads(config_path.read_text())
            source = str(published if weights is None else path)
            model = cls.read(path, config["stat"], read_size(config), depth, source)
        return model
