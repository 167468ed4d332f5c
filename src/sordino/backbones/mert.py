"""MERT v1: HuBERT trained on music, 75 frames per second, 95 or 330 million parameters.

Hidden states are numbered as in transformers: 0 enters layer 1, k leaves layer k. In the 330M model, which
norms before its sublayers, the last built one has passed the final LayerNorm; in the 95M model that norm
stands before layer 1.

Paper: Li et al., MERT: Acoustic Music Understanding Model with Large-Scale Self-supervised Training, 2023
https://arxiv.org/abs/2306.00107
Differs: see _hubert.py; clips of unequal length are normed and convolved one by one, so that padding changes
    nothing; clips too short for one frame (400 samples) are padded with zeros. `attention_relax` in the
    configuration guards half precision against overflow and changes no result; the fused attention kernel
    needs no such guard.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sordino.backbones._hubert import FeatureProjection, PositionConv, TransformerLayer, WaveConvs
from sordino.backbones._published import Published, locate
from sordino.backbones._weights import build, build_random, fold_weight_norm, n_to_build, read_tensors
from sordino.contracts import Backbone, Site
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
UNSUPPORTED = {  # settings of `config.json` whose only supported value is the one here
    "feature_extractor_cqt": False,
    "deepnorm": False,
    "conv_bias": False,
    "feat_extract_norm": "group",
    "feat_extract_activation": "gelu",
    "hidden_act": "gelu",
    "conv_pos_batch_norm": False,
}


@dataclass(frozen=True)
class Size:
    """What `config.json` says, by its names; the defaults are those of the 95M model.

    Attributes:
        hidden_size: width of a hidden state.
        num_hidden_layers: transformer layers.
        num_attention_heads: attention heads.
        intermediate_size: width inside the feed-forwards.
        conv_dim: channels of the convolutions.
        conv_kernel: their kernel sizes.
        conv_stride: their strides.
        num_conv_pos_embeddings: kernel size of the position convolution.
        num_conv_pos_embedding_groups: its groups.
        do_stable_layer_norm: norm before the sublayers.
        feat_proj_layer_norm: norm before the projection.
        layer_norm_eps: of the norms.
        hidden_dropout: while training.
    """

    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    conv_dim: tuple[int, ...] = (512,) * 7
    conv_kernel: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_stride: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    num_conv_pos_embeddings: int = 128
    num_conv_pos_embedding_groups: int = 16
    do_stable_layer_norm: bool = False
    feat_proj_layer_norm: bool = True
    layer_norm_eps: float = 1e-5
    hidden_dropout: float = 0.1

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Size:
        """The size from a parsed `config.json`.

        Raises:
            ValueError: the configuration asks for something that MERT v1 does not have.
        """
        for key, only in UNSUPPORTED.items():
            if config.get(key, only) != only:
                raise ValueError(f"config.json: {key} = {config[key]!r} is not supported, only {only!r}")
        said: dict[str, Any] = {}
        for field in fields(cls):
            if field.name in config:
                value = config[field.name]
                said[field.name] = tuple(value) if isinstance(value, list) else value
        return cls(**said)


SIZES = {
    "95m": Size(),
    "330m": Size(
        hidden_size=1024,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=4096,
        do_stable_layer_norm=True,
        hidden_dropout=0.0,
    ),
}
TINY = Size(
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    conv_dim=(8,) * 7,
    num_conv_pos_embeddings=16,
    num_conv_pos_embedding_groups=4,
)


class MERT(Backbone):
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
    embeds = True

    def __init__(self, size: Size = SIZES["95m"], depth: int | None = None, normalise: bool = True):
        super().__init__()
        self.dim, self.normalise, self.norm_first = size.hidden_size, normalise, size.do_stable_layer_norm
        self.states_depend_on = "" if normalise else "normalise=false"
        self.hop_samples = 1
        for stride in size.conv_stride:
            self.hop_samples *= stride
        eps = size.layer_norm_eps
        self.feature_extractor = WaveConvs(size.conv_dim, size.conv_kernel, size.conv_stride)
        self.feature_projection = FeatureProjection(size.conv_dim[-1], self.dim, eps, size.feat_proj_layer_norm)
        self.pos_conv_embed = PositionConv(self.dim, size.num_conv_pos_embeddings, size.num_conv_pos_embedding_groups)
        self.layer_norm = nn.LayerNorm(self.dim, eps=eps)
        self.dropout = nn.Dropout(size.hidden_dropout)
        self.layers = nn.ModuleList(
            TransformerLayer(
                self.dim,
                size.num_attention_heads,
                size.intermediate_size,
                self.norm_first,
                eps,
                size.hidden_dropout,
            )
            for _ in range(n_to_build(self.name, depth, size.num_hidden_layers))
        )

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
            path, config, preprocessor = locate(published, weights).values()
            size = Size.read(json.loads(config.read_text()))
            said = json.loads(preprocessor.read_text()).get("do_normalize", True)
            tensors = fold_weight_norm(read_tensors(path, ("encoder.",)), "pos_conv_embed.conv")
            n_layers = size.num_hidden_layers
            left_out = [f"layers.{layer}.*" for layer in range(depth or n_layers, n_layers)]
            source = str(published if weights is None else path)
            model = build(
                lambda: cls(size, depth, said if normalise is None else normalise),
                tensors,
                [*UNUSED, *left_out],
                source,
            )
        return model

    @classmethod
    def tiny(cls, seed: int = 0) -> MERT:
        """Two layers of width 16."""
        return cls.load(f"random:{seed}", size=TINY)

    def n_frames(self, n_samples: int) -> int:
        """One frame for every 320 samples, as far as its 400 samples lie within the clip."""
        return self.feature_extractor.n_frames(max(n_samples, self.feature_extractor.field_samples))

    def extract(self, waveform: Float[Tensor, "batch time"]) -> Float[Tensor, "batch frame dim"]:
        """The normed waveform through the convolutions and the projection."""
        if self.normalise:
            variance, mean = waveform.var(1, correction=0, keepdim=True), waveform.mean(1, keepdim=True)
            waveform = (waveform - mean) / (variance + 1e-7).sqrt()
        waveform = F.pad(waveform, (0, max(0, self.feature_extractor.field_samples - waveform.shape[1])))
        return self.feature_projection(self.feature_extractor(waveform))

    def embed(self, x: Float[Tensor, "batch frame dim"], mask: Tensor | None) -> Tensor:
        """Add the convolutional positions."""
        if mask is not None:
            x = x * mask[..., None]
        x = x + self.pos_conv_embed(x)
        return self.dropout(x if self.norm_first else self.layer_norm(x))

    def finish(self, x: Float[Tensor, "batch frame dim"]) -> Tensor:
        """The final LayerNorm, where norms come first."""
        return self.layer_norm(x) if self.norm_first else x

    def layer_sites(self, layer: int) -> list[Site]:
        """The sites of transformer layer `layer`."""
        built: Any = self.layers[layer - 1]
        return built.sites(f"layers.{layer - 1}", layer)
