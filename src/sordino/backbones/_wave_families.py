"""What WavLM, data2vec and wav2vec 2.0's conformer do otherwise than HuBERT.

Papers: Chen et al., WavLM: Large-Scale Self-Supervised Pre-Training for Full Stack Speech Processing, 2022, section 3.2
    https://arxiv.org/abs/2110.13900
    Baevski et al., data2vec: A General Framework for Self-supervised Learning in Speech, Vision and Language, 2022
    https://arxiv.org/abs/2202.03555
    Gulati et al., Conformer: Convolution-augmented Transformer for Speech Recognition, 2020
    https://arxiv.org/abs/2005.08100
Differs: see _wave_encoder.py; each of WavLM's layers holds the table of distances that they share in the published
    network, so full fine-tuning gives each its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from sordino.backbones._channel_norm import ChannelNorm
from sordino.backbones._conformer import ConformerLayer
from sordino.backbones._hub_encoder import HubEncoder
from sordino.backbones._hubert import PlainAttention, TransformerLayer
from sordino.backbones._wave_encoder import ONLY, TINY, Size, WaveEncoder

TABLE = "attention.rel_attn_embed.weight"


class GatedAttention(PlainAttention):
    """Self-attention with a bias for each bucket of distances, gated by what the token holds.

    Args:
        dim: width.
        n_heads: heads.
        dropout: on the attention weights, while training.
        n_buckets: half of them for what lies before a token, half for what lies behind.
        max_distance: from which on all distances share one bucket.
    """

    def __init__(self, dim: int, n_heads: int, dropout: float = 0.0, n_buckets: int = 320, max_distance: int = 800):
        super().__init__(dim, n_heads, dropout)
        self.max_distance = max_distance
        self.gru_rel_pos_const = nn.Parameter(torch.ones(1, n_heads, 1, 1))
        self.gru_rel_pos_linear = nn.Linear(dim // n_heads, 8)
        self.rel_attn_embed = nn.Embedding(n_buckets, n_heads)

    def bias(self, x: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch head token token"]:
        """The gate of each token and head times the bias of its distance to each other token."""
        n_tokens = x.shape[1]
        number = torch.arange(n_tokens, device=x.device)
        table = self.rel_attn_embed(self.buckets(torch.arange(1 - n_tokens, n_tokens, device=x.device)))
        of_distance = table[number[None, :] - number[:, None] + n_tokens - 1].permute(2, 0, 1)
        gates = rearrange(self.gru_rel_pos_linear(self._split(x)), "... (gate four) -> ... gate four", four=4).sum(-1)
        update, reset = gates.sigmoid().chunk(2, dim=-1)
        return (update * (reset * self.gru_rel_pos_const - 1.0) + 2.0) * of_distance

    def buckets(self, distance: Int[Tensor, " distance"]) -> Int[Tensor, " distance"]:
        """The bucket of each distance: one for each short one, the long ones on a logarithmic scale."""
        half = self.rel_attn_embed.num_embeddings // 2
        exact, far = half // 2, distance.abs()
        logarithm = (far.clamp(min=1).float() / exact).log() / math.log(self.max_distance / exact)
        long = (exact + logarithm * (half - exact)).long().clamp(max=half - 1)
        return (distance > 0).long() * half + torch.where(far < exact, far, long)


class HuBERT(WaveEncoder, HubEncoder):
    """HuBERT, wav2vec 2.0, UniSpeech-SAT and MERT.

    Attributes:
        only: settings of `config.json` whose only supported value is known.
        fixed: what the family is whatever `config.json` says.
    """

    prefixes = ("hubert.", "wav2vec2.", "unispeech_sat.")
    small: ClassVar[Mapping[str, Any]] = asdict(TINY)
    only: ClassVar[Mapping[str, Any]] = ONLY
    fixed: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def configured(cls, config: Mapping[str, Any], normalise: bool, depth: int | None = None) -> HubEncoder:
        """Build it as a parsed `config.json` says.

        Raises:
            ValueError: the configuration asks for something that it does not have.
        """
        return cls(Size.read({**config, **cls.fixed}, cls.only), depth, normalise)


class WavLM(HuBERT):
    """WavLM."""

    prefixes = ("wavlm.",)

    def layer(self, size: Size) -> nn.Module:
        """A layer with gated attention."""
        attention = partial(GatedAttention, n_buckets=size.num_buckets, max_distance=size.max_bucket_distance)
        sizes = (size.hidden_size, size.num_attention_heads, size.intermediate_size)
        return TransformerLayer(*sizes, self.norm_first, size.layer_norm_eps, size.hidden_dropout, attention)

    @classmethod
    def renamed(cls, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
        """The table of distances, which stands in the first layer, for every layer."""
        ours = super().renamed(tensors, config)
        table = ours.get(f"layers.0.{TABLE}")
        copies = {} if table is None else {f"layers.{n}.{TABLE}": table for n in range(config["num_hidden_layers"])}
        return {**ours, **copies}


class Position(nn.Module):
    """One of data2vec's position convolutions, normed over channels.

    Args:
        dim: width.
        kernel_size: frames it sees, odd.
        groups: of channels.
    """

    def __init__(self, dim: int, kernel_size: int, groups: int):
        super().__init__()
        self.conv = nn.Conv1d(dim, dim, kernel_size, padding=kernel_size // 2, groups=groups)
        self.norm = ChannelNorm(dim, elementwise_affine=False)

    def forward(self, x: Float[Tensor, "batch dim token"]) -> Float[Tensor, "batch dim token"]:
        """The length stays."""
        return F.gelu(self.norm(self.conv(x)))


class Positions(nn.Module):
    """Positions by several narrow grouped convolutions, one behind the other.

    Args:
        dim: width.
        n_layers: convolutions.
        kernel_size: frames each one sees, odd.
        groups: of channels.
    """

    def __init__(self, dim: int, n_layers: int, kernel_size: int, groups: int):
        super().__init__()
        self.layers = nn.ModuleList(Position(dim, kernel_size, groups) for _ in range(n_layers))

    def forward(self, x: Float[Tensor, "batch token dim"], mask: Tensor | None) -> Float[Tensor, "batch token dim"]:
        """What is to be added to the frames; padding is zero before each convolution, as it would be beyond the end."""
        x = rearrange(x, "batch token dim -> batch dim token")
        for layer in self.layers:
            x = x if mask is None else x * mask[:, None, :]
            x = layer(x)
        return rearrange(x, "batch dim token -> batch token dim")


class Data2VecAudio(HuBERT):
    """data2vec for sound (and music2vec)."""

    prefixes = ("data2vec_audio.",)
    small: ClassVar[Mapping[str, Any]] = {**HuBERT.small, "num_conv_pos_embeddings": 3, "conv_pos_kernel_size": 7}
    fixed: ClassVar[Mapping[str, Any]] = {"feat_extract_norm": "layer"}

    def positions(self, size: Size) -> nn.Module:
        """Several convolutions."""
        shape = (size.num_conv_pos_embeddings, size.conv_pos_kernel_size, size.num_conv_pos_embedding_groups)
        return Positions(size.hidden_size, *shape)

    def embed(self, x: Float[Tensor, "batch frame dim"], mask: Tensor | None) -> Tensor:
        """Add the positions."""
        return self.dropout(self.layer_norm(x + self.pos_conv_embed(x, mask)))


class WaveConformer(HuBERT):
    """wav2vec 2.0 with conformer layers and rotary positions."""

    prefixes = ("wav2vec2_conformer.",)
    unused = ("pos_conv_embed.*",)  # made, but never called
    embeds = False
    only: ClassVar[Mapping[str, Any]] = {
        **{key: value for key, value in ONLY.items() if key != "hidden_act"},
        "hidden_act": "swish",
        "position_embeddings_type": "rotary",
        "rotary_embedding_base": 10_000,
    }

    def positions(self, size: Size) -> nn.Module:
        """None: attention is rotary."""
        return nn.Identity()

    def layer(self, size: Size) -> nn.Module:
        """A conformer layer."""
        sizes = (size.hidden_size, size.num_attention_heads, size.intermediate_size, size.conv_depthwise_kernel_size)
        return ConformerLayer(*sizes, rotary="input", batch_norm=True, dropout=size.hidden_dropout)

    def embed(self, x: Float[Tensor, "batch frame dim"], mask: Tensor | None) -> Tensor:
        """Nothing."""
        return x

    def finish(self, x: Float[Tensor, "batch frame dim"]) -> Tensor:
        """The final LayerNorm."""
        return self.layer_norm(x)
