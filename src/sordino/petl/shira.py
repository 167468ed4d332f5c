"""SHiRA: a few entries of the weight itself are trained, so that the change is sparse and of high rank.

    y = W x + b + S x,   S zero but for k chosen entries

Paper: Bhardwaj et al., Sparse High Rank Adapters, 2024, section 3 https://arxiv.org/abs/2406.13175 (SHiRA-Rand,
SHiRA-WM)
Differs: as many entries as LoRA of rank r has parameters, as in peft; the entries are found again from `seed` or from
the weights, so the file does not hold their places.
Parameters: the sum over sites of k = min(r (in * kernel + out), in * kernel * out).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from sordino.contracts import Backbone, Part, Site
from sordino.petl._maps import LinearMap, linear_module, n_low_rank
from sordino.petl._roles import RoleMethod, Roles
from sordino.petl._weight_change import WeightChange
from sordino.petl.lora import LINEARS
from sordino.rules import ByRole, Count, Seed


class SparseChange(WeightChange):
    """The chosen entries of one linear map.

    Args:
        module: the Linear or convolution it belongs to.
        places: their places in the flattened weight.
    """

    places: Tensor

    def __init__(self, module: LinearMap, places: Tensor):
        super().__init__()
        self.values = nn.Parameter(torch.zeros(places.numel(), device=module.weight.device))
        self.register_buffer("places", places.to(module.weight.device), persistent=False)

    def change(self, module: LinearMap) -> Tensor:
        """S."""
        empty = self.values.new_zeros(module.weight.numel())
        return empty.scatter(0, self.places, self.values).reshape(module.weight.shape)


@dataclass(kw_only=True)
class SHiRA(RoleMethod):
    """Sparse high-rank adaptation.

    Attributes:
        roles: the linear maps that get one.
        r: the rank of the LoRA that has as many parameters.
        places: which entries: drawn (`random`), or those with the largest weights.
        seed: of the draw.
    """

    name: ClassVar[str] = "shira"
    title: ClassVar[str] = "SHiRA"
    paper: ClassVar[str] = "https://arxiv.org/abs/2406.13175"
    year: ClassVar[int] = 2024
    mergeable: ClassVar[bool] = True

    roles: Roles = LINEARS
    r: ByRole[Count] = 2
    places: Literal["random", "largest"] = "random"
    seed: Seed = 0

    def n_entries(self, module: LinearMap, role: str) -> int:
        """How many entries are trained."""
        return min(n_low_rank(module, self.at("r", role)), module.weight.numel())

    def parts(self, backbone: Backbone) -> list[tuple[Site, Part]]:
        """The chosen entries of each site."""
        found: list[tuple[Site, Part]] = []
        for number, site in enumerate(self.sites(backbone)):
            module = linear_module(backbone, site)
            if self.places == "random":
                generator = torch.Generator().manual_seed(self.seed + number)
                order = torch.randperm(module.weight.numel(), generator=generator, device="cpu")
            else:
                order = module.weight.detach().abs().flatten().argsort(descending=True, stable=True)
            found.append((site, SparseChange(module, order[: self.n_entries(module, site.role)])))
        return found

    def n_parameters(self, backbone: Backbone) -> int:
        """The sum over sites of the number of entries."""
        return sum(self.n_entries(linear_module(backbone, site), site.role) for site in self.sites(backbone))
