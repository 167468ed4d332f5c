"""Side network: a narrow ladder beside the frozen backbone that reads its hidden states.

    s_1 = block_1(D_1 h_1),   s_k = block_k(g_k D_k h_k + (1 - g_k) s_{k-1}),   h = h_n + U norm(s_n)

g_k is a sigmoid, a block is a small pre-norm transformer layer. No gradient ever enters the backbone, so that
every step runs on stored hidden states.

Paper: Sung et al., LST: Ladder Side-Tuning for Parameter and Memory Efficient Transfer Learning, 2022,
section 3 https://arxiv.org/abs/2206.06522
Differs: the blocks start at random, not pruned from the backbone; U starts at zero and the last state is
added, so that the model starts as it was.
Parameters: for each chosen layer, w the side's width, dim w + w + 4 w (w + 1) + 4 w w + 3 w + 4 w, and a gate for
each but the first; at the end 2 w + w dim + dim.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from sordino.contracts import Backbone, Method, Part, Site, parse_layers
from sordino.petl._states import behind_last, pick
from sordino.rules import Count


class Block(nn.Module):
    """Attention and a feed-forward of twice the width, each on a normed copy of the stream."""

    def __init__(self, width: int, n_heads: int, device: torch.device):
        super().__init__()
        self.n_heads = n_heads
        self.attn_norm = nn.LayerNorm(width, device=device)
        self.qkv = nn.Linear(width, 3 * width, device=device)
        self.out = nn.Linear(width, width, device=device)
        self.ffn_norm = nn.LayerNorm(width, device=device)
        self.ffn_in = nn.Linear(width, 2 * width, device=device)
        self.ffn_out = nn.Linear(2 * width, width, device=device)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """One block over frames; padding is not attended to."""
        split = "batch frame (three head dim) -> three batch head frame dim"
        q, k, v = rearrange(self.qkv(self.attn_norm(x)), split, three=3, head=self.n_heads)
        attended = F.scaled_dot_product_attention(q, k, v, None if mask is None else mask[:, None, None, :])
        x = x + self.out(rearrange(attended, "batch head frame dim -> batch frame (head dim)"))
        return x + self.ffn_out(F.gelu(self.ffn_in(self.ffn_norm(x))))


class Ladder(Part):
    """The side network.

    Args:
        numbers: the numbers of the hidden states it reads.
        dim: their width.
        width: its own width.
        n_heads: heads of its attention.
        device: where it is built.
    """

    def __init__(self, numbers: list[int], dim: int, width: int, n_heads: int, device: torch.device):
        super().__init__()
        self.numbers = numbers
        self.down = nn.ModuleList(nn.Linear(dim, width, device=device) for _ in numbers)
        self.blocks = nn.ModuleList(Block(width, n_heads, device) for _ in numbers)
        self.gates = nn.Parameter(torch.zeros(len(numbers) - 1, device=device)) if len(numbers) > 1 else None
        self.norm = nn.LayerNorm(width, device=device)
        self.up = nn.Linear(width, dim, device=device)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def before(self, module: nn.Module, inputs: tuple) -> tuple:
        """Add the ladder's answer to the last state."""
        states, mask = inputs
        gates = [None, *(() if self.gates is None else self.gates.sigmoid())]
        side = None
        for state, down, block, gate in zip(pick(states, self.numbers), self.down, self.blocks, gates, strict=True):
            side_in = down(state)
            if gate is not None:
                side_in = gate * side_in + (1 - gate) * side
            side = block(side_in, mask)
        last = states[-1]
        return [*states[:-1], last + self.up(self.norm(side)).to(last.dtype)], mask


@dataclass(kw_only=True)
class Side(Method):
    """Ladder side network.

    Attributes:
        layers: the layers whose outputs it reads.
        reduction: the backbone's width over its own.
        n_heads: heads of its attention.
    """

    name: ClassVar[str] = "side"
    title: ClassVar[str] = "Ladder side-tuning"
    paper: ClassVar[str] = "https://arxiv.org/abs/2206.06522"
    year: ClassVar[int] = 2022
    roles: ClassVar[tuple[str, ...]] = ("states",)
    through_backbone: ClassVar[bool] = False
    learning_rate: ClassVar[float] = 1e-3

    reduction: Count = 8
    n_heads: Count = 4

    def width(self, backbone: Backbone) -> int:
        """Its width, a multiple of the number of heads."""
        return max(1, backbone.dim // self.reduction // self.n_heads) * self.n_heads

    def reads(self, backbone: Backbone, wanted: AbstractSet[int]) -> set[int]:
        """The rungs, beside the last state."""
        last = {backbone.n_layers}
        return behind_last(self.name, backbone, wanted) | last | set(parse_layers(self.layers, backbone.n_layers))

    def parts(self, backbone: Backbone) -> list[tuple[Site, Part]]:
        """The ladder, at the hidden states."""
        device, numbers = next(backbone.parameters()).device, parse_layers(self.layers, backbone.n_layers)
        ladder = Ladder(numbers, backbone.dim, self.width(backbone), self.n_heads, device)
        return [(site, ladder) for site in backbone.sites() if site.role in self.roles]

    def n_parameters(self, backbone: Backbone) -> int:
        """See the head of this file."""
        dim, w = backbone.dim, self.width(backbone)
        n_rungs = len(parse_layers(self.layers, backbone.n_layers))
        rung = dim * w + w + 4 * w * (w + 1) + 4 * w * w + 3 * w + 4 * w
        return n_rungs * rung + (n_rungs - 1) + 2 * w + w * dim + dim
