"""Dropout whose random bits cost little on a processor: they were a quarter of fine-tuning a conformer in bfloat16."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

LEVELS = 1 << 16  # of one draw: four of them are cut from 64 random bits, where torch draws a number for each value


def dropout(x: Float[Tensor, "*shape"], p: float, training: bool = True) -> Float[Tensor, "*shape"]:
    """Each value left out with probability `p` (within 1 / 131072), the others divided by 1 - p, while training.

    Paper: Srivastava et al., Dropout, JMLR 2014 https://jmlr.org/papers/v15/srivastava14a.html
    """
    if not training or not 0 < p < 1 or x.device.type != "cpu":
        return F.dropout(x, p, training)
    n_kept = max(1, round((1 - p) * LEVELS))
    return torch.where(_kept(x.shape, n_kept), x, 0.0).mul_(LEVELS / n_kept)


def attention(q: Tensor, k: Tensor, v: Tensor, added: Tensor | None, p: float) -> Float[Tensor, "batch head token dim"]:
    """Scaled dot-product attention with dropout `p` on its weights; `added` is a mask or what the products get."""
    if not p or q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, attn_mask=added, dropout_p=p)
    products = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    if added is not None:
        products = products.masked_fill(~added, -torch.inf) if added.dtype == torch.bool else products + added
    return dropout(products.softmax(-1), p) @ v


class Dropout(nn.Dropout):
    """`dropout` as a module."""

    def forward(self, input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """While training."""
        return dropout(input, self.p, self.training)


def _kept(shape: torch.Size, n_kept: int) -> Bool[Tensor, "*shape"]:
    n = shape.numel()
    bits = torch.empty(-(-n // 4), dtype=torch.int64).random_(-(2**63), None)
    return bits.view(torch.int16)[:n].view(shape) >= LEVELS // 2 - n_kept
