"""A norm over channels, where convolutions keep them on the second axis."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of [batch dim frame]: the same in training and evaluation."""

    def forward(self, input: Float[Tensor, "batch dim frame"]) -> Float[Tensor, "batch dim frame"]:
        """Norm each frame."""
        return super().forward(input.transpose(1, 2)).transpose(1, 2)
