"""transformer: a plain transformer of mini's size, trained from scratch.

Mel bands at 50 frames a second, two frames side by side, through a linear layer; sines and cosines for positions; eight
pre-norm layers of self-attention and feed-forward. It has no convolution and nothing that knows of music, which makes
it the arm without a prior beside the small convolutional networks, and beside `mini` the one without pretraining.

Paper: Vaswani et al., Attention Is All You Need, 2017, section 3 https://arxiv.org/abs/1706.03762
Differs: norms come first in each sublayer, and one at the end (Xiong et al., 2020, https://arxiv.org/abs/2002.04745),
    GELU; the input is brought to a usual level by constants.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from sordino.backbones._hubert import TransformerLayer
from sordino.backbones._mel import LogMel
from sordino.backbones._weights import build_random, n_to_build
from sordino.contracts import Backbone
from sordino.dropout import Dropout
from sordino.rules import Count, Dropped, LayerCount, Range

N_STACKED = 2  # mel frames of 20 ms in one frame
USUAL_LEVEL_DB, USUAL_SPREAD_DB = -10.0, 25.0


def positions(n_tokens: int, dim: int, device: torch.device) -> Float[Tensor, "token dim"]:
    """Sines in even places, cosines in odd ones, from a period of 2 pi tokens to 10,000 times that."""
    frequency = torch.exp(torch.arange(0, dim, 2, device=device) * (-math.log(10_000.0) / dim))
    angles = torch.arange(n_tokens, device=device)[:, None] * frequency
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


class Transformer(Backbone):
    """transformer; see the module's header.

    Args:
        n_layers: transformer layers.
        n_mels: bands; a hidden state is twice as wide.
        n_heads: attention heads.
        dropout: everywhere, while training.
    """

    name = "transformer"
    title = "Transformer, from scratch"
    paper = "https://arxiv.org/abs/1706.03762"
    licence = "Apache-2.0"
    embeds = True

    def __init__(
        self,
        n_layers: LayerCount = 8,
        n_mels: Annotated[int, Range(1, 1024)] = 96,
        n_heads: Count = 3,
        dropout: Dropped = 0.1,
    ):
        super().__init__()
        self.mel = LogMel(self.sample_rate_hz, 2048, 480, n_mels, pad_mode="constant")
        self.hop_samples, self.dim = 480 * N_STACKED, n_mels * N_STACKED
        if self.dim % n_heads:
            raise ValueError(f"{self.name}: n_heads = {n_heads} does not divide the width {self.dim} (2 n_mels)")
        self.states_depend_on = f"n_heads={n_heads}"
        self.project = nn.Linear(self.dim, self.dim)
        self.dropout = Dropout(dropout)
        self.layers = nn.ModuleList(
            TransformerLayer(self.dim, n_heads, 4 * self.dim, norm_first=True, dropout=dropout) for _ in range(n_layers)
        )
        self.layer_norm = nn.LayerNorm(self.dim)

    @classmethod
    def load(cls, weights: str | Path | None = None, depth: Count | None = None, **options: Any) -> Transformer:
        """Build it with random weights.

        Args:
            weights: none, `random` or `random:SEED`.
            depth: how many layers to keep; none for all.
            **options: those of the class.

        Raises:
            ValueError: weights or a depth that it does not have.
        """
        model = build_random(lambda: cls(**options), weights or "random")
        if model is None:
            raise ValueError(f"{cls.name} has no weights of its own; it is trained from scratch with `finetune`")
        model.layers = model.layers[: n_to_build(cls.name, depth, model.n_layers)]
        return model

    @classmethod
    def tiny(cls, seed: int = 0) -> Transformer:
        """Two layers of width 16."""
        return cls.load(f"random:{seed}", n_layers=2, n_mels=8, n_heads=2)

    def n_frames(self, n_samples: int) -> int:
        """One frame for every 40 ms begun."""
        return max(1, -(-n_samples // self.hop_samples))

    def extract(self, waveform: Float[Tensor, "batch time"]) -> Float[Tensor, "batch frame dim"]:
        """Two mel frames side by side, in decibels."""
        n_samples = self.n_frames(waveform.shape[1]) * self.hop_samples
        mel = self.mel(F.pad(waveform, (0, n_samples - waveform.shape[1])))[:, :-1]
        level = (mel - USUAL_LEVEL_DB) / USUAL_SPREAD_DB
        return rearrange(level, "batch (frame stack) mel -> batch frame (stack mel)", stack=N_STACKED)

    def embed(self, x: Float[Tensor, "batch frame dim"], mask: Tensor | None) -> Tensor:
        """Project, and add positions."""
        return self.dropout(self.project(x) + positions(x.shape[1], self.dim, x.device))

    def finish(self, x: Float[Tensor, "batch frame dim"]) -> Tensor:
        """The final norm."""
        return self.layer_norm(x)
