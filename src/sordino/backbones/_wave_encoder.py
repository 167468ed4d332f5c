"""The encoder of HuBERT, wav2vec 2.0, WavLM, data2vec and MERT: convolutions on the waveform, positions, layers.

Hidden states are numbered as in transformers: 0 enters layer 1, k leaves layer k. In the large models, which norm
before their sublayers, the last built one has passed the final LayerNorm; in the base models that norm stands before
layer 1.

Paper: Baevski et al., wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations, 2020, section 2
https://arxiv.org/abs/2006.11477
Differs: see _hubert.py; clips of unequal length are normed and convolved one by one, so that padding changes
    nothing; clips too short for one frame (400 samples) are padded with zeros.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sordino.backbones._hubert import FeatureProjection, PositionConv, TransformerLayer, WaveConvs
from sordino.backbones._weights import fold_weight_norm, n_to_build
from sordino.contracts import Backbone
from sordino.dropout import Dropout

ONLY = {  # settings of `config.json` whose only supported value is the one here
    "feature_extractor_cqt": False,
    "deepnorm": False,
    "feat_extract_activation": "gelu",
    "hidden_act": "gelu",
    "conv_pos_batch_norm": False,
}


@dataclass(frozen=True)
class Size:
    """What `config.json` says, by its names; the defaults are those of the base models (MERT 95M).

    Attributes:
        hidden_size: width of a hidden state.
        num_hidden_layers: transformer layers.
        num_attention_heads: attention heads.
        intermediate_size: width inside the feed-forwards.
        conv_dim: channels of the convolutions.
        conv_kernel: their kernel sizes.
        conv_stride: their strides.
        conv_bias: whether they have biases.
        feat_extract_norm: the norm behind the first one (`group`) or each of them (`layer`).
        num_conv_pos_embeddings: kernel size of the position convolution.
        num_conv_pos_embedding_groups: its groups.
        do_stable_layer_norm: norm before the sublayers.
        feat_proj_layer_norm: norm before the projection.
        layer_norm_eps: of the norms.
        hidden_dropout: while training.
        num_buckets: of distances, in WavLM.
        max_bucket_distance: from which on they share one, in WavLM.
        conv_pos_kernel_size: of data2vec's position convolutions, of which there are `num_conv_pos_embeddings`.
        conv_depthwise_kernel_size: of the conformer's convolutions.
    """

    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    conv_dim: tuple[int, ...] = (512,) * 7
    conv_kernel: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_stride: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    conv_bias: bool = False
    feat_extract_norm: Literal["group", "layer"] = "group"
    num_conv_pos_embeddings: int = 128
    num_conv_pos_embedding_groups: int = 16
    do_stable_layer_norm: bool = False
    feat_proj_layer_norm: bool = True
    layer_norm_eps: float = 1e-5
    hidden_dropout: float = 0.1
    num_buckets: int = 320
    max_bucket_distance: int = 800
    conv_pos_kernel_size: int = 19
    conv_depthwise_kernel_size: int = 31

    @classmethod
    def read(cls, config: Mapping[str, Any], only: Mapping[str, Any] = ONLY) -> Size:
        """The size from a parsed `config.json`.

        Args:
            config: what it holds.
            only: its settings whose only supported value is known.

        Raises:
            ValueError: the configuration asks for something that these encoders do not have.
        """
        for key, value in only.items():
            if config.get(key, value) != value:
                raise ValueError(f"config.json: {key} = {config[key]!r} is not supported, only {value!r}")
        said: dict[str, Any] = {field.name: config[field.name] for field in fields(cls) if field.name in config}
        said |= {key: tuple(value) for key, value in said.items() if isinstance(value, list)}
        return cls(**said)


BASE = Size()
TINY = Size(
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    conv_dim=(8,) * 7,
    num_conv_pos_embeddings=16,
    num_conv_pos_embedding_groups=4,
)


class WaveEncoder(Backbone):
    """The encoder; see the module's header.

    Args:
        size: how large it is.
        depth: how many layers to build; None for all.
        normalise: bring each clip to mean 0 and variance 1 first, as `preprocessor_config.json` says
            (`do_normalize`).
    """

    embeds = True

    def __init__(self, size: Size = BASE, depth: int | None = None, normalise: bool = True):
        super().__init__()
        self.dim, self.normalise, self.norm_first = size.hidden_size, normalise, size.do_stable_layer_norm
        self.states_depend_on = "" if normalise else "normalise=false"
        self.hop_samples = 1
        for stride in size.conv_stride:
            self.hop_samples *= stride
        eps = size.layer_norm_eps
        self.feature_extractor = WaveConvs(
            size.conv_dim, size.conv_kernel, size.conv_stride, size.conv_bias, size.feat_extract_norm
        )
        self.feature_projection = FeatureProjection(size.conv_dim[-1], self.dim, eps, size.feat_proj_layer_norm)
        self.pos_conv_embed = self.positions(size)
        self.layer_norm = nn.LayerNorm(self.dim, eps=eps)
        self.dropout = Dropout(size.hidden_dropout)
        n_layers = n_to_build(self.name, depth, size.num_hidden_layers)
        self.layers = nn.ModuleList(self.layer(size) for _ in range(n_layers))

    @classmethod
    def renamed(cls, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
        """The published tensors by the names that they have here."""
        return fold_weight_norm(dict(tensors), "pos_conv_embed.conv")

    def positions(self, size: Size) -> nn.Module:
        """What gives frames their positions."""
        return PositionConv(size.hidden_size, size.num_conv_pos_embeddings, size.num_conv_pos_embedding_groups)

    def layer(self, size: Size) -> nn.Module:
        """One layer."""
        sizes = (size.hidden_size, size.num_attention_heads, size.intermediate_size)
        return TransformerLayer(*sizes, self.norm_first, size.layer_norm_eps, size.hidden_dropout)

    def n_frames(self, n_samples: int) -> int:
        """One frame for every 320 samples (as published), as far as its 400 samples lie within the clip."""
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
