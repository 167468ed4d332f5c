"""SSF: each feature that a linear map puts out is scaled and shifted.

    y = g * (W x + b) + t

Paper: Lian et al., Scaling & Shifting Your Features: A New Baseline for Efficient Model Tuning, 2022, section
3 https://arxiv.org/abs/2210.08823
Differs: g starts at 1 and t at 0 exactly; a module without a bias gets no shift, so that it can always be
merged.
Parameters: the sum over sites of 2 out, of out where there is no bias.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from sordino.contracts import Backbone, Part, Site
from sordino.petl._maps import Affine, affine_module, along_output, along_rows
from sordino.petl._roles import RoleMethod, Roles
from sordino.petl.lora import LINEARS


class ScaleShift(Part):
    """Scale and shift of a module's output."""

    def __init__(self, module: Affine):
        super().__init__()
        weight = module.weight
        self.scale = nn.Parameter(torch.ones(weight.shape[0], device=weight.device))
        self.shift = None
        if module.bias is not None:
            self.shift = nn.Parameter(torch.zeros(weight.shape[0], device=weight.device))

    def after(self, module: Affine, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Scale, shift."""
        output = output * along_output(module, self.scale).to(output.dtype)
        return output if self.shift is None else output + along_output(module, self.shift).to(output.dtype)

    def merged(self, module: Affine, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The scaled weight, and the bias."""
        changed = {"weight": values["weight"] * along_rows(module, self.scale)}
        return changed if self.shift is None else {**changed, "bias": values["bias"] * self.scale + self.shift}


@dataclass(kw_only=True)
class SSF(RoleMethod):
    """Scaling and shifting of features.

    Attributes:
        roles: the modules that get one; `norm` is possible too.
    """

    name: ClassVar[str] = "ssf"
    title: ClassVar[str] = "SSF"
    paper: ClassVar[str] = "https://arxiv.org/abs/2210.08823"
    year: ClassVar[int] = 2022
    mergeable: ClassVar[bool] = True

    roles: Roles = LINEARS

    def parts(self, backbone: Backbone) -> list[tuple[Site, Part]]:
        """A scale, and a shift where there is a bias, for each site."""
        return [(site, ScaleShift(affine_module(backbone, site))) for site in self.sites(backbone)]

    def n_parameters(self, backbone: Backbone) -> int:
        """2 out for each site, out where there is no bias."""
        return sum(
            site.dim_out * (1 if affine_module(backbone, site).bias is None else 2) for site in self.sites(backbone)
        )
