"""IA3: keys, values and the inner activations of the feed-forward are scaled.

    k' = l_k * k,   v' = l_v * v,   ffn(x) = W2 (l_ff * f(W1 x)) + b2

Paper: Liu et al., Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning,
2022, section 3.3 https://arxiv.org/abs/2205.05638
Parameters: the sum over sites of out; of in for `ffn.out`, whose input is scaled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from sordino.contracts import Backbone, Part, Site
from sordino.petl._maps import LinearMap, along_output, along_rows, linear_module
from sordino.petl._roles import RoleMethod, Roles

INPUT_ROLE = "ffn.out"  # its input is what the paper scales inside the feed-forward


class OutputScale(Part):
    """Scale of a module's output."""

    def __init__(self, module: LinearMap):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(module.weight.shape[0], device=module.weight.device))

    def after(self, module: LinearMap, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Scale."""
        return output * along_output(module, self.scale).to(output.dtype)

    def merged(self, module: LinearMap, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Scaled rows, and bias."""
        changed = {"weight": values["weight"] * along_rows(module, self.scale)}
        return {**changed, "bias": values["bias"] * self.scale} if "bias" in values else changed


class InputScale(Part):
    """Scale of a Linear's input."""

    def __init__(self, module: LinearMap):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(module.weight.shape[1], device=module.weight.device))

    def before(self, module: LinearMap, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Scale."""
        return (inputs[0] * self.scale.to(inputs[0].dtype),)

    def merged(self, module: LinearMap, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Scaled columns."""
        return {"weight": values["weight"] * self.scale}


@dataclass(kw_only=True)
class IA3(RoleMethod):
    """Scaling of inner activations.

    Attributes:
        roles: the modules that get one.
    """

    name: ClassVar[str] = "ia3"
    title: ClassVar[str] = "(IA)3"
    paper: ClassVar[str] = "https://arxiv.org/abs/2205.05638"
    year: ClassVar[int] = 2022
    mergeable: ClassVar[bool] = True
    learning_rate: ClassVar[float] = 3e-3

    roles: Roles = ("attn.k", "attn.v", "ffn.out")

    def parts(self, backbone: Backbone) -> list[tuple[Site, Part]]:
        """One scale for each site."""
        return [
            (site, (InputScale if site.role == INPUT_ROLE else OutputScale)(linear_module(backbone, site)))
            for site in self.sites(backbone)
        ]

    def n_parameters(self, backbone: Backbone) -> int:
        """Out of each site, in of `ffn.out`."""
        sites = self.sites(backbone)
        return sum(site.dim_in if site.role == INPUT_ROLE else site.dim_out for site in sites)
