"""HiRA: the weight is multiplied, entry by entry, with a low-rank matrix, so that the change has a high rank.

    y = W x + b + (W * B A) x,   * entry by entry

Paper: Huang et al., HiRA: Parameter-Efficient Hadamard High-Rank Adaptation for Large Language Models, 2025,
section 3 https://openreview.net/forum?id=TwJrTz9cRS
Differs: a grouped convolution has a rank r in each group.
Parameters: the sum over sites of r (in * kernel + out).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from sordino.contracts import Backbone, Part, Site
from sordino.petl._maps import LinearMap, linear_module, low_rank_shapes, low_rank_weight, n_low_rank
from sordino.petl._roles import RoleMethod, Roles
from sordino.petl._weight_change import WeightChange
from sordino.petl.lora import LINEARS
from sordino.rules import ByRole, Count


class Hadamard(WeightChange):
    """A and B for one linear map.

    Args:
        module: the Linear or convolution it belongs to.
        r: rank.
    """

    def __init__(self, module: LinearMap, r: int):
        super().__init__()
        shape_a, shape_b = low_rank_shapes(module, r)
        self.A = nn.Parameter(torch.empty(shape_a, device=module.weight.device))
        self.B = nn.Parameter(torch.zeros(shape_b, device=module.weight.device))
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))

    def change(self, module: LinearMap) -> Tensor:
        """W * B A."""
        return module.weight * low_rank_weight(module, self.A, self.B)


@dataclass(kw_only=True)
class HiRA(RoleMethod):
    """Hadamard high-rank adaptation.

    Attributes:
        roles: the linear maps that get one.
        r: rank.
    """

    name: ClassVar[str] = "hira"
    title: ClassVar[str] = "HiRA"
    paper: ClassVar[str] = "https://openreview.net/forum?id=TwJrTz9cRS"
    year: ClassVar[int] = 2025
    mergeable: ClassVar[bool] = True
    learning_rate: ClassVar[float] = 1e-3

    roles: Roles = LINEARS
    r: ByRole[Count] = 2

    def parts(self, backbone: Backbone) -> list[tuple[Site, Part]]:
        """One low-rank pair for each site."""
        modules = [(site, linear_module(backbone, site)) for site in self.sites(backbone)]
        return [(site, Hadamard(module, self.at("r", site.role))) for site, module in modules]

    def n_parameters(self, backbone: Backbone) -> int:
        """The sum over sites of r (in * kernel + out)."""
        sites = self.sites(backbone)
        return sum(n_low_rank(linear_module(backbone, site), self.at("r", site.role)) for site in sites)
