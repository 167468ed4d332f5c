"""PiSSA: LoRA that starts with the weight's own largest directions, and trains these instead of new ones.

    y = W x + b + s (B A - B0 A0) x,   s B0 A0 the best approximation of W of rank r, where A and B start

Paper: Meng et al., PiSSA: Principal Singular Values and Singular Vectors Adaptation of Large Language Models, 2024,
section 3 https://arxiv.org/abs/2404.02948
Differs: the weight stays as it is and B0 A0 is subtracted beside it, which is the same map; so the file holds where it
started too, twice LoRA's size; for large weights singular vectors come from a randomised method, as the
paper's fast one.
Parameters: the sum over sites of r (in * kernel + out).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from sordino.contracts import Part
from sordino.petl._maps import LinearMap, low_rank, low_rank_weight, n_groups
from sordino.petl.lora import LoRA, LowRank

SMALL = 256  # inputs or outputs; with more, singular vectors come from the randomised method,
MORE, ROUNDS = 8, 16  # with so many directions beyond r, and iterations


class Principal(LowRank):
    """A and B for one linear map, and where they started.

    Args:
        module: the Linear or convolution it belongs to.
        r: rank.
        scale: s of the equation.
        dropout: on the input, while training.
    """

    A0: Tensor
    B0: Tensor

    def __init__(self, module: LinearMap, r: int, scale: float, dropout: float = 0.0):
        super().__init__(module, r, scale, dropout)
        a, b = principal(module, r)
        with torch.no_grad():
            self.A.copy_((a / scale**0.5).reshape(self.A.shape))
            self.B.copy_((b / scale**0.5).reshape(self.B.shape))
        self.register_buffer("A0", self.A.detach().clone())
        self.register_buffer("B0", self.B.detach().clone())

    def after(self, module: LinearMap, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Add what has changed."""
        x = nn.functional.dropout(inputs[0], self.dropout, self.training)
        now, first = (low_rank(module, x, a, b, self.scale) for a, b in ((self.A, self.B), (self.A0, self.B0)))
        return output + (now - first).to(output.dtype)

    def merged(self, module: LinearMap, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weight with what has changed."""
        changed = low_rank_weight(module, self.A, self.B) - low_rank_weight(module, self.A0, self.B0)
        return {"weight": values["weight"] + self.scale * changed}


@torch.no_grad()
def principal(module: LinearMap, r: int) -> tuple[Tensor, Tensor]:
    """Factors of a weight's best approximation of rank r, [group r in] and [group out r]; zeros beyond its own rank."""
    groups = n_groups(module)
    weight = module.weight.detach().float().flatten(1).reshape(groups, -1, module.weight[0].numel())
    kept = min(r, *weight.shape[1:])
    if weight.is_meta:
        return weight.new_empty(groups, r, weight.shape[2]), weight.new_empty(groups, weight.shape[1], r)
    if min(weight.shape[1:]) <= SMALL:
        u, s, vh = torch.linalg.svd(weight, full_matrices=False)
    else:
        u, s, v = torch.svd_lowrank(weight, kept + MORE, niter=ROUNDS)
        vh = v.mT
    root = s[:, :kept].sqrt()
    a, b = root[:, :, None] * vh[:, :kept], u[:, :, :kept] * root[:, None]
    missing = r - kept
    return nn.functional.pad(a, (0, 0, 0, missing)), nn.functional.pad(b, (0, missing))


@dataclass(kw_only=True)
class PiSSA(LoRA):
    """Principal singular values and vectors adaptation; the options are LoRA's."""

    name: ClassVar[str] = "pissa"
    title: ClassVar[str] = "PiSSA"
    paper: ClassVar[str] = "https://arxiv.org/abs/2404.02948"
    year: ClassVar[int] = 2024

    def part(self, module: LinearMap, role: str) -> Part:
        """A new part for a module."""
        return Principal(module, self.at("r", role), self.scale(role), self.dropout)
