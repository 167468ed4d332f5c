"""VeRA: random low-rank matrices shared by all sites; two small vectors for each site are trained.

    y = W x + c + b * (B (d * (A x)))

Paper: Kopiczko et al., VeRA: Vector-based Random Matrix Adaptation, 2023, section 3
https://arxiv.org/abs/2310.11454
Differs: sites of unequal sizes share the first rows and columns of the largest; A and B are drawn anew from
`seed`, so the file holds neither.
Parameters: the sum over sites of r + out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from sordino.contracts import Backbone, Part, Site
from sordino.petl._maps import LinearMap, linear_module, low_rank, low_rank_weight, n_groups
from sordino.petl._roles import RoleMethod, Roles
from sordino.petl.lora import LINEARS
from sordino.rules import Count, Seed


class Projection(nn.Module):
    """The frozen matrices A [r, in] and B [out, r], shared by all parts.

    Args:
        r: rank.
        dim_in: the largest input.
        dim_out: the largest output.
        seed: of the draw.
        device: where they are kept.
    """

    A: Tensor
    B: Tensor

    def __init__(self, r: int, dim_in: int, dim_out: int, seed: int, device: torch.device):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        for name, shape in (("A", (r, dim_in)), ("B", (dim_out, r))):
            drawn = nn.init.kaiming_uniform_(torch.empty(shape, device="cpu"), generator=generator)
            self.register_buffer(name, drawn.to(device), persistent=False)


class Vectors(Part):
    """d and b for one linear map.

    Args:
        module: the Linear or convolution it belongs to.
        projection: the shared matrices.
        d_initial: where d starts.
    """

    def __init__(self, module: LinearMap, projection: Projection, d_initial: float):
        super().__init__()
        self.projection: Projection = projection
        device = module.weight.device
        self.d = nn.Parameter(torch.full((projection.A.shape[0],), d_initial, device=device))
        self.b = nn.Parameter(torch.zeros(module.weight.shape[0], device=device))

    def factors(self, module: LinearMap) -> tuple[Tensor, Tensor]:
        """The scaled matrices, cut to the module's size."""
        weight = module.weight
        a = self.projection.A[:, : weight[0].numel()] * self.d[:, None]
        b = self.projection.B[: weight.shape[0]] * self.b[:, None]
        return a.reshape(-1, *weight.shape[1:]), b

    def after(self, module: LinearMap, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Add the low-rank path."""
        return output + low_rank(module, inputs[0], *self.factors(module)).to(output.dtype)

    def merged(self, module: LinearMap, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weight with the change added."""
        return {"weight": values["weight"] + low_rank_weight(module, *self.factors(module))}


@dataclass(kw_only=True)
class VeRA(RoleMethod):
    """Vector-based random matrix adaptation.

    Attributes:
        roles: the linear maps that get one.
        r: rank.
        d_initial: where d starts.
        seed: of the shared matrices.
    """

    name: ClassVar[str] = "vera"
    title: ClassVar[str] = "VeRA"
    paper: ClassVar[str] = "https://arxiv.org/abs/2310.11454"
    year: ClassVar[int] = 2023
    mergeable: ClassVar[bool] = True
    learning_rate: ClassVar[float] = 3e-3

    roles: Roles = LINEARS
    r: Count = 256
    d_initial: float = 0.1
    seed: Seed = 0

    def parts(self, backbone: Backbone) -> list[tuple[Site, Part]]:
        """Two vectors for each site.

        Raises:
            TypeError: a convolution has groups.
        """
        modules = [(site, linear_module(backbone, site)) for site in self.sites(backbone)]
        for site, module in modules:
            if n_groups(module) > 1:
                raise TypeError(f"vera: {site.path} has {n_groups(module)} groups; leave {site.role} out")
        weights = [module.weight for _, module in modules]
        dim_in, dim_out = max(w[0].numel() for w in weights), max(w.shape[0] for w in weights)
        shared = Projection(self.r, dim_in, dim_out, self.seed, weights[0].device)
        return [(site, Vectors(module, shared, self.d_initial)) for site, module in modules]

    def n_parameters(self, backbone: Backbone) -> int:
        """r + out for each site."""
        return sum(self.r + site.dim_out for site in self.sites(backbone))
