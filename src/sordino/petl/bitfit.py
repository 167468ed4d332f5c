"""BitFit: only biases are trained.

    y = W x + (b + db)

Paper: Ben Zaken et al., BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based Masked
Language-models, 2021, section 2 https://arxiv.org/abs/2106.10199
Differs: db is kept beside the backbone, whose own biases stay.
Parameters: the sum over sites of their outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from sordino.contracts import Backbone, Part, Site
from sordino.petl._maps import Affine, affine_module, along_output
from sordino.petl._roles import RoleMethod, Roles


class BiasDelta(Part):
    """What is added to the bias of a module."""

    def __init__(self, module: Affine):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(module.weight.shape[0], device=module.weight.device))

    def after(self, module: Affine, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Add it."""
        return output + along_output(module, self.bias).to(output.dtype)

    def merged(self, module: Affine, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The changed bias."""
        return {"bias": values["bias"] + self.bias}


@dataclass(kw_only=True)
class BitFit(RoleMethod):
    """Bias tuning.

    Attributes:
        roles: the modules whose biases are trained.
    """

    name: ClassVar[str] = "bitfit"
    title: ClassVar[str] = "BitFit"
    paper: ClassVar[str] = "https://arxiv.org/abs/2106.10199"
    year: ClassVar[int] = 2021
    mergeable: ClassVar[bool] = True

    roles: Roles = ("attn.q", "attn.k", "attn.v", "attn.out", "ffn.in", "ffn.out", "norm")

    def parts(self, backbone: Backbone) -> list[tuple[Site, Part]]:
        """A change of the bias for each site.

        Raises:
            TypeError: a module has no bias.
        """
        found = []
        for site in self.sites(backbone):
            module = affine_module(backbone, site)
            if module.bias is None:
                raise TypeError(f"bitfit: {site.path} ({site.role}) has no bias; leave this role out")
            found.append((site, BiasDelta(module)))
        return found

    def n_parameters(self, backbone: Backbone) -> int:
        """The outputs of all sites."""
        return sum(site.dim_out for site in self.sites(backbone))
