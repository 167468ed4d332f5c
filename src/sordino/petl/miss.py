"""MiSS (Bone): one small matrix, repeated along the input, is added to the weight.

    y = W x + b + D' (x_1 + x_2 + ... + x_n),   x_i the input in stretches of r features, D [r, out]

Paper: Kang and Yin, MiSS: Revisiting the Trade-off in LoRA with an Efficient Shard-Sharing Structure (first named
Bone), 2024, section 3 https://arxiv.org/abs/2409.15371
Differs: a convolution's input features are those under its kernel; a last stretch that is shorter uses the first rows
of D, as in peft. The variants Bat and Mini are left out.
Parameters: the sum over sites of min(r, in * kernel) out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sordino.contracts import Backbone, Part, Site
from sordino.petl._maps import LinearMap, linear_module
from sordino.petl._roles import RoleMethod, Roles
from sordino.petl._weight_change import WeightChange
from sordino.petl.lora import LINEARS
from sordino.rules import ByRole, Count


class Shard(WeightChange):
    """D for one linear map.

    Args:
        module: the Linear or convolution it belongs to.
        r: rows of D.
    """

    def __init__(self, module: LinearMap, r: int):
        super().__init__()
        self.D = nn.Parameter(torch.zeros(r, module.weight.shape[0], device=module.weight.device))

    def change(self, module: LinearMap) -> Tensor:
        """D', repeated along the input and cut to its length."""
        n_in, r = module.weight[0].numel(), self.D.shape[0]
        return self.D.T.repeat(1, -(-n_in // r))[:, :n_in].reshape(module.weight.shape)

    def after(self, module: LinearMap, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Add it; for a Linear the stretches are summed first, which spares the wide product."""
        if not isinstance(module, nn.Linear):
            return super().after(module, inputs, output)
        (x,), r = inputs, self.D.shape[0]
        stretches = F.pad(x, (0, -x.shape[-1] % r)).unflatten(-1, (-1, r))
        return output + F.linear(stretches.sum(-2), self.D.T).to(output.dtype)


@dataclass(kw_only=True)
class MiSS(RoleMethod):
    """Matrix shard sharing.

    Attributes:
        roles: the linear maps that get one.
        r: features in a stretch; no more than there are.
    """

    name: ClassVar[str] = "miss"
    title: ClassVar[str] = "MiSS"
    paper: ClassVar[str] = "https://arxiv.org/abs/2409.15371"
    year: ClassVar[int] = 2024
    mergeable: ClassVar[bool] = True

    roles: Roles = LINEARS
    r: ByRole[Count] = 4

    def rows(self, module: LinearMap, role: str) -> int:
        """Rows of D."""
        return min(self.at("r", role), module.weight[0].numel())

    def parts(self, backbone: Backbone) -> list[tuple[Site, Part]]:
        """One shard for each site."""
        modules = [(site, linear_module(backbone, site)) for site in self.sites(backbone)]
        return [(site, Shard(module, self.rows(module, site.role))) for site, module in modules]

    def n_parameters(self, backbone: Backbone) -> int:
        """Rows times out for each site."""
        sites = self.sites(backbone)
        return sum(self.rows(linear_module(backbone, site), site.role) * site.dim_out for site in sites)
