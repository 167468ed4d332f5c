"""The feed-forward sublayer of every encoder here: two linears with a non-linearity between them."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sordino.dropout import Dropout
from sordino.sites import Site


class FeedForward(nn.Module):
    """Linear, non-linearity, Linear.

    Args:
        dim: width of the stream.
        dim_inner: width between the two linears.
        dropout: behind each of them, while training.
        activation: the non-linearity: `silu` (swish) in conformers, `gelu` in transformers.
    """

    def __init__(self, dim: int, dim_inner: int, dropout: float = 0.0, activation: Callable[[Tensor], Tensor] = F.silu):
        super().__init__()
        self.intermediate_dense = nn.Linear(dim, dim_inner)
        self.output_dense = nn.Linear(dim_inner, dim)
        self.dropout = Dropout(dropout)
        self.activation = activation

    def forward(self, x: Float[Tensor, "batch frame dim"]) -> Float[Tensor, "batch frame dim"]:
        """Each frame for itself."""
        return self.dropout(self.output_dense(self.dropout(self.activation(self.intermediate_dense(x)))))

    def sites(self, path: str, layer: int) -> list[Site]:
        """The sites of this module, which lies at `path`."""
        dim, inner = self.intermediate_dense.in_features, self.intermediate_dense.out_features
        return [
            Site(f"{path}.intermediate_dense", "ffn.in", layer, dim, inner),
            Site(f"{path}.output_dense", "ffn.out", layer, inner, dim),
        ]
