"""Heads: which hidden states are read, how frames become a clip, and the small network on top.

Paper: Parameter-Efficient Transfer Learning for Music Foundation Models, 2024, arXiv 2411.19371: mean over
time, then Linear(d, d), Dropout 0.5, ReLU, Linear(d, n_out).
Differs: a learned mix of layers, attentive pooling and mean-and-deviation pooling are offered beside it;
padding is masked out of every pooling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from einops import einsum
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sordino.dropout import Dropout
from sordino.layers import MEAN, Layers, parse_layers
from sordino.rules import Dropped, Range
from sordino.settings import Settings


@dataclass(frozen=True)
class HeadConfig(Settings):
    """What a head is made of.

    Attributes:
        layers: the hidden states it reads: `last`, one (`6`; `0`: what enters layer 1), several with learned
            weights (`all`, `4-9`), or their plain mean (`mean:4-9`).
        pool: how frames become one vector; `mean_std` is mean and deviation side by side, `mean_max` mean and maximum.
        hidden: width of the hidden layer; -1: as wide as the backbone, 0: none, a linear head.
        dropout: share of the hidden layer that is dropped in training.
    """

    layers: Annotated[str | int, Layers(lowest=0, mean=True)] = "last"
    pool: Literal["mean", "attention", "mean_std", "mean_max"] = "mean"
    hidden: Annotated[int, Range(-1)] = -1
    dropout: Dropped = 0.5

    def needed_states(self, n_layers: int) -> list[int]:
        """The hidden states it reads on a backbone of `n_layers`; a cache need not keep others."""
        return parse_layers(str(self.layers).removeprefix(MEAN), n_layers, lowest=0)


class LayerMix(nn.Module):
    """One vector per frame from several hidden states: their mean with learned (softmax) or equal weights."""

    def __init__(self, n_states: int, learned: bool):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_states), requires_grad=learned)

    def forward(self, states: Float[Tensor, "layer batch frame dim"]) -> Float[Tensor, "batch frame dim"]:
        """The weighted mean over layers."""
        weight = self.weight.softmax(0).to(states.dtype)
        return (weight @ states.flatten(1)).view(states.shape[1:])  # in bfloat16 a seventh of what einsum takes


class Pool(nn.Module):
    """Real frames to one vector per clip; `attention` starts out as the mean."""

    def __init__(self, kind: str, dim: int):
        super().__init__()
        self.kind = kind
        self.dim_out = 2 * dim if kind in ("mean_std", "mean_max") else dim
        self.score = nn.Linear(dim, 1) if kind == "attention" else None
        if self.score is not None:
            nn.init.zeros_(self.score.weight)

    def forward(
        self, x: Float[Tensor, "batch frame dim"], mask: Bool[Tensor, "batch frame"] | None = None
    ) -> Float[Tensor, "batch dim_out"]:
        """Pool the frames where `mask` is True; a clip without any gives zeros."""
        if mask is None:
            mask = x.new_ones(x.shape[:2], dtype=torch.bool)
        weight = mask.to(torch.float32)
        if self.score is not None:
            score = self.score(x)[..., 0].float().masked_fill(~mask, -1e9)
            weight = score.softmax(1) * weight
        weight = weight / weight.sum(1, keepdim=True).clamp_min(1e-9)
        mean = einsum(x.float(), weight, "b f d, b f -> b d")
        if self.kind == "mean_max":
            real = x.masked_fill(~mask[..., None], -torch.inf).amax(1)
            return torch.cat([mean.to(x.dtype), real.masked_fill(~mask.any(1, keepdim=True), 0.0)], dim=1)
        if self.kind != "mean_std":
            return mean.to(x.dtype)
        square = einsum((x.float() - mean[:, None]).square(), weight, "b f d, b f -> b d")
        return torch.cat([mean, (square + 1e-8).sqrt()], dim=1).to(x.dtype)


class Head(nn.Module):
    """Hidden states to the logits of one task.

    Args:
        dim: width of a hidden state.
        n_outputs: width of the task's output.
        n_layers: how many layers the backbone has built.
        level: `clip` pools the frames, `frame` keeps them.
        config: see `HeadConfig`.

    Attributes:
        needed_states: the hidden states that it reads.
    """

    def __init__(
        self,
        dim: int,
        n_outputs: int,
        n_layers: int,
        level: Literal["clip", "frame"],
        config: HeadConfig | None = None,
    ):
        super().__init__()
        config = config or HeadConfig()
        self.needed_states = config.needed_states(n_layers)
        n, learned = len(self.needed_states), not str(config.layers).startswith(MEAN)
        self.mix = LayerMix(n, learned) if n > 1 else None
        self.pool = Pool(config.pool, dim) if level == "clip" else None
        width = self.pool.dim_out if self.pool is not None else dim
        hidden = dim if config.hidden == -1 else config.hidden
        if hidden == 0:
            self.mlp = nn.Sequential(nn.Linear(width, n_outputs))
        else:
            first, last = nn.Linear(width, hidden), nn.Linear(hidden, n_outputs)
            self.mlp = nn.Sequential(first, Dropout(config.dropout), nn.ReLU(), last)

    def forward(
        self, states: list[Tensor | None], mask: Bool[Tensor, "batch frame"] | None = None
    ) -> Float[Tensor, "batch label"] | Float[Tensor, "batch frame label"]:
        """Logits from hidden states 0 to n_layers, each [batch frame dim].

        Args:
            states: the hidden states; those not in `needed_states` may be None.
            mask: True where a frame is real; None when all are.

        Returns:
            [batch label] for a clip head, [batch frame label] for a frame head.
        """
        chosen: list[Any] = [states[index] for index in self.needed_states]
        x = chosen[0] if self.mix is None else self.mix(torch.stack(chosen))
        return self.mlp(x if self.pool is None else self.pool(x, mask))
