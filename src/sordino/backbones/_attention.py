"""Multi-head self-attention by PyTorch's fused kernel, with rotary positions; sites for q, k, v, out and kv.

Paper: Su et al., RoFormer: Enhanced Transformer with Rotary Position Embedding, 2021, section 3.4
https://arxiv.org/abs/2104.09864
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sordino.dropout import attention
from sordino.sites import Site, Tap


def rotary_angles(n_tokens: int, dim: int, device: torch.device, base: float = 10_000.0) -> Tensor:
    """Angles [token dim]: position times frequency, the frequencies repeated for both halves."""
    frequency = base ** (-torch.arange(0, dim, 2, device=device, dtype=torch.float32) / dim)
    angles = torch.arange(n_tokens, device=device, dtype=torch.float32)[:, None] * frequency
    return torch.cat([angles, angles], dim=1)


def rotate(x: Float[Tensor, "batch head token dim"]) -> Float[Tensor, "batch head token dim"]:
    """Turn each pair (i, i + dim/2) by its position's angle, computed in float32."""
    angles = rotary_angles(x.shape[2], x.shape[3], x.device)
    low, high = x.chunk(2, dim=3)
    turned = torch.cat([-high, low], dim=3)
    return (x * angles.cos() + turned * angles.sin()).to(x.dtype)


class SelfAttention(nn.Module):
    """Self-attention over tokens.

    Args:
        dim: width.
        n_heads: heads; dim / n_heads is a head's width.
        rotary: `heads` turns queries and keys; `input` turns what enters the query and key projections (as
            the published conformers do); `none` leaves positions to others.
        names: attribute names of the four projections q, k, v, out, as in the published files.
        dropout: on the attention weights, while training.
    """

    def __init__(
        self,
        dim: int,
        n_heads: int,
        rotary: str = "heads",
        names: tuple[str, str, str, str] = ("linear_q", "linear_k", "linear_v", "linear_out"),
        dropout: float = 0.0,
    ):
        super().__init__()
        self.n_heads, self.rotary, self.names, self.dropout = n_heads, rotary, names, dropout
        for name in names:
            self.add_module(name, nn.Linear(dim, dim))
        self.kv = Tap()

    def forward(
        self, x: Float[Tensor, "batch token dim"], mask: Bool[Tensor, "batch token"] | None = None
    ) -> Float[Tensor, "batch token dim"]:
        """Attend to the real tokens (`mask` True)."""
        q, k, v, out = (self.get_submodule(name) for name in self.names)
        turned = self._merge(rotate(self._split(x))) if self.rotary == "input" else x
        queries, keys, values = self._split(q(turned)), self._split(k(turned)), self._split(v(x))
        if self.rotary == "heads":
            queries, keys = rotate(queries), rotate(keys)
        keys, values, mask = self.kv(keys, values, mask)
        seen, bias = None if mask is None else mask[:, None, None, :], self.bias(x)
        if bias is not None:  # what stands in front of the tokens (a prefix) has no position
            bias = F.pad(bias.to(queries.dtype), (keys.shape[2] - x.shape[1], 0))
            seen = bias if seen is None else bias.masked_fill(~seen, -torch.inf)
        attended = attention(queries, keys, values, seen, self.dropout if self.training else 0.0)
        return out(self._merge(attended))

    def bias(self, x: Float[Tensor, "batch token dim"]) -> Tensor | None:
        """What a kind of attention adds to the scaled products of queries and keys, [batch head token token]."""
        return None

    def sites(self, path: str, layer: int, dim: int) -> list[Site]:
        """The sites of this module, which lies at `path`."""
        roles = ("attn.q", "attn.k", "attn.v", "attn.out")
        linears = [Site(f"{path}.{n}", r, layer, dim, dim) for n, r in zip(self.names, roles, strict=True)]
        return [*linears, Site(f"{path}.kv", "attn.kv", layer, dim, dim)]

    def _split(self, x: Tensor) -> Tensor:
        return rearrange(x, "batch token (head dim) -> batch head token dim", head=self.n_heads)

    def _merge(self, x: Tensor) -> Tensor:
        return rearrange(x, "batch head token dim -> batch token (head dim)")
