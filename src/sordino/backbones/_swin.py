"""Swin transformer layers: attention within small squares of an image's tokens, every other time of moved squares.

Paper: Liu et al., Swin Transformer, 2021, section 3 https://arxiv.org/abs/2103.14030
Differs: no layers are dropped at random in training; the merging of tokens belongs to the last block of its stage.
"""

from __future__ import annotations

from functools import partial
from math import isqrt

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sordino.backbones._hubert import PlainAttention, TransformerLayer

ELSEWHERE = -100.0  # added to what a token sees of one that only the shift has brought beside it


class WindowAttention(PlainAttention):
    """Attention within squares of an image's tokens, with a learned bias for each distance.

    Args:
        dim: width.
        n_heads: heads.
        dropout: on the attention weights, while training.
        grid: tokens along a side of the image.
        window: tokens along a side of a square.
        shift: by how many tokens the squares are moved along both sides.
    """

    index: Tensor
    elsewhere: Tensor

    def __init__(self, dim: int, n_heads: int, dropout: float, grid: int, window: int, shift: int):
        super().__init__(dim, n_heads, dropout)
        self.grid, self.window, self.shift = grid, window, shift
        self.table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, n_heads))
        places = torch.cartesian_prod(*[torch.arange(window, device="cpu")] * 2)
        apart = places[:, None] - places[None] + window - 1
        self.register_buffer("index", apart[..., 0] * (2 * window - 1) + apart[..., 1], persistent=False)
        self.register_buffer("elsewhere", self._elsewhere(), persistent=False)

    def forward(
        self, x: Float[Tensor, "batch token dim"], mask: Bool[Tensor, "batch token"] | None = None
    ) -> Float[Tensor, "batch token dim"]:
        """Attend to the real tokens; the images of a clip stand one behind the other."""
        if mask is not None:
            real = self._apart(mask[..., None])[..., 0]
            mask = real | ~real.any(1, keepdim=True)  # a square of padding alone sees itself, as it must see something
        attended = self._together(super().forward(self._apart(x), mask))
        return rearrange(attended, "(batch image) row col dim -> batch (image row col) dim", batch=len(x))

    def bias(self, x: Float[Tensor, "window token dim"]) -> Tensor:
        """By distance; next to nothing is seen of what was moved here from the other side."""
        bias = rearrange(self.table[self.index], "token other head -> 1 head token other")
        if not self.shift:
            return bias
        return (bias + self.elsewhere).repeat(len(x) // len(self.elsewhere), 1, 1, 1)

    def _apart(self, x: Tensor) -> Tensor:
        image = rearrange(x, "batch (image row col) dim -> (batch image) row col dim", row=self.grid, col=self.grid)
        moved = torch.roll(image, (-self.shift, -self.shift), (1, 2)) if self.shift else image
        return rearrange(moved, "image (rows r) (cols c) dim -> (image rows cols) (r c) dim",
                         r=self.window, c=self.window)  # fmt: skip

    def _together(self, windows: Tensor) -> Float[Tensor, "image row col dim"]:
        n = self.grid // self.window
        moved = rearrange(windows, "(image rows cols) (r c) dim -> image (rows r) (cols c) dim",
                          rows=n, cols=n, r=self.window)  # fmt: skip
        return torch.roll(moved, (self.shift, self.shift), (1, 2)) if self.shift else moved

    def _elsewhere(self) -> Float[Tensor, "window 1 token other"]:
        """Which tokens of a square come from different sides of the image."""
        part = torch.zeros(self.grid, device="cpu")
        if self.shift:
            part[-self.window :], part[-self.shift :] = 1, 2
        areas = rearrange(3 * part[:, None] + part[None], "(rows r) (cols c) -> (rows cols) 1 (r c)",
                          r=self.window, c=self.window)  # fmt: skip
        return ELSEWHERE * (areas[..., None] != areas[..., None, :]).float()


class SwinLayer(TransformerLayer):
    """A block, and behind the last one of a stage the merging of four tokens into one.

    Args:
        dim: width.
        n_heads: attention heads.
        dim_inner: width inside the feed-forward.
        grid: tokens along a side of the image.
        window: tokens along a side of the squares in which it attends.
        shift: by how many tokens these are moved.
        merges: whether the stage ends here.
        eps: of the norms.
        dropout: while training.
    """

    def __init__(self, dim: int, n_heads: int, dim_inner: int, grid: int, window: int, shift: int, merges: bool,
                 eps: float = 1e-5, dropout: float = 0.0):  # fmt: skip
        attention = partial(WindowAttention, grid=grid, window=window, shift=shift)
        super().__init__(dim, n_heads, dim_inner, norm_first=True, eps=eps, dropout=dropout, attention=attention)
        self.grid, self.merge = grid, PatchMerging(dim, grid) if merges else None

    def forward(
        self, x: Float[Tensor, "batch token dim"], mask: Bool[Tensor, "batch before"] | None, n_prompt: int = 0
    ) -> Float[Tensor, "batch after dim_after"]:
        """One block; `mask` may still be that of an earlier stage, of squares of tokens that have become one."""
        here = None if mask is None else self._merged(mask, isqrt(mask.shape[1] // x.shape[1]))
        x = super().forward(x, here, n_prompt)
        return x if self.merge is None else self.merge(x)

    def _merged(self, mask: Bool[Tensor, "batch before"], n: int) -> Bool[Tensor, "batch token"]:
        pattern = "batch (image row r col c) -> batch (image row col) (r c)"
        return rearrange(mask, pattern, row=self.grid, r=n, col=self.grid, c=n)[..., 0]


class PatchMerging(nn.Module):
    """Four neighbouring tokens to one of twice the width.

    Args:
        dim: width.
        grid: tokens along a side of the image.
    """

    def __init__(self, dim: int, grid: int):
        super().__init__()
        self.grid = grid
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch quarter double"]:
        """A quarter as many tokens."""
        pattern = "batch (image row r col c) dim -> batch (image row col) (c r dim)"
        return self.reduction(self.norm(rearrange(x, pattern, row=self.grid // 2, r=2, col=self.grid // 2, c=2)))
