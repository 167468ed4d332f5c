"""LoRA: a trained low-rank change of a weight.

    y = W x + b + s B A x,   s = alpha / r   (rsLoRA: alpha / sqrt(r))

Paper: Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, 2021, section 4 https://arxiv.org/abs/2106.09685;
Kalajdzievski, A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA, 2023 https://arxiv.org/abs/2312.03732
Differs: alpha is r unless given, so that s = 1; a grouped convolution has a rank r in each group.
Parameters: the sum over sites of r (in * kernel + out).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from sordino.contracts import Backbone, Part, Site
from sordino.dropout import dropout
from sordino.petl._maps import LinearMap, add_low_rank, linear_module, low_rank_shapes, low_rank_weight, n_low_rank
from sordino.petl._roles import RoleMethod, Roles
from sordino.rules import ByRole, Count, Dropped, Positive

LINEARS = ("attn.q", "attn.k", "attn.v", "attn.out", "ffn.in", "ffn.out", "conv.in", "conv.out")


class LowRank(Part):
    """A and B for one linear map.

    Args:
        module: the Linear or convolution it belongs to.
        r: rank.
        scale: s of the equation.
        dropout: on the input of A, while training.
    """

    def __init__(self, module: LinearMap, r: int, scale: float, dropout: float = 0.0):
        super().__init__()
        shape_a, shape_b = low_rank_shapes(module, r)
        self.A = nn.Parameter(torch.empty(shape_a, device=module.weight.device))
        self.B = nn.Parameter(torch.zeros(shape_b, device=module.weight.device))
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))
        self.scale, self.dropout = scale, dropout

    def after(self, module: LinearMap, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Add the low-rank path."""
        x = dropout(inputs[0], self.dropout, self.training)
        return add_low_rank(module, output, x, self.A, self.B, self.scale)

    def merged(self, module: LinearMap, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weight with the change added."""
        return {"weight": values["weight"] + self.scale * low_rank_weight(module, self.A, self.B)}


@dataclass(kw_only=True)
class LoRA(RoleMethod):
    """Low-rank adaptation.

    Attributes:
        roles: the linear maps that get one.
        r: rank.
        alpha: numerator of the scale; none: r, a scale of 1.
        rslora: divide alpha by the square root of r instead of r.
        dropout: on the input of A, while training.
    """

    name: ClassVar[str] = "lora"
    title: ClassVar[str] = "LoRA"
    paper: ClassVar[str] = "https://arxiv.org/abs/2106.09685"
    year: ClassVar[int] = 2021
    mergeable: ClassVar[bool] = True
    learning_rate: ClassVar[float] = 1e-3

    roles: Roles = LINEARS
    r: ByRole[Count] = 2
    alpha: ByRole[Positive] | None = None
    rslora: bool = False
    dropout: Dropped = 0.0

    def scale(self, role: str) -> float:
        """The factor s for a role."""
        r, alpha = self.at("r", role), self.at("alpha", role)
        return (r if alpha is None else alpha) / (math.sqrt(r) if self.rslora else r)

    def part(self, module: LinearMap, role: str) -> Part:
        """A new part for a module."""
        return LowRank(module, self.at("r", role), self.scale(role), self.dropout)

    def parts(self, backbone: Backbone) -> list[tuple[Site, Part]]:
        """One low-rank pair for each site."""
        return [(site, self.part(linear_module(backbone, site), site.role)) for site in self.sites(backbone)]

    def n_parameters(self, backbone: Backbone) -> int:
        """The sum over sites of r (in * kernel + out)."""
        sites = self.sites(backbone)
        return sum(n_low_rank(linear_module(backbone, site), self.at("r", site.role)) for site in sites)
