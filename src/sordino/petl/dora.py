"""DoRA: a weight's direction gets a low-rank change, its length is trained by itself.

    y = m * (W + s B A) / |W + s B A| x + b,   |.| the length of each row, m starts at |W|

Paper: Liu et al., DoRA: Weight-Decomposed Low-Rank Adaptation, 2024, section 4
https://arxiv.org/abs/2402.09353
Differs: no gradient through the length (section 4.3); dropout acts on the low-rank path alone.
Parameters: the sum over sites of r (in * kernel + out) + out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from sordino.contracts import Backbone, Part
from sordino.dropout import dropout
from sordino.petl._maps import LinearMap, along_output, along_rows, low_rank, low_rank_weight
from sordino.petl.lora import LoRA, LowRank


def row_lengths(weight: Tensor) -> Tensor:
    """Length of what belongs to each output feature."""
    return torch.linalg.vector_norm(weight.flatten(1), dim=1)


class Decomposed(LowRank):
    """A, B and the lengths for one linear map."""

    def __init__(self, module: LinearMap, r: int, scale: float, dropout: float = 0.0):
        super().__init__(module, r, scale, dropout)
        self.magnitude = nn.Parameter(row_lengths(module.weight.detach()))

    def stretch(self, module: LinearMap) -> Tensor:
        """Wanted length over present length of each row."""
        with torch.no_grad():
            length = row_lengths(module.weight + self.scale * low_rank_weight(module, self.A, self.B))
        return self.magnitude / length

    def after(self, module: LinearMap, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Change direction and length."""
        stretch = along_output(module, self.stretch(module), output)
        bias = 0.0 if module.bias is None else along_output(module, module.bias, output)
        x = dropout(inputs[0], self.dropout, self.training)
        turned = low_rank(module, x, self.A, self.B, self.scale)
        return output + ((stretch - 1) * (output - bias) + stretch * turned).to(output.dtype)

    def merged(self, module: LinearMap, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weight with its new direction and length; the module's own bias is not stretched, what was added is."""
        stretch = self.stretch(module)
        turned = values["weight"] + self.scale * low_rank_weight(module, self.A, self.B)
        changed = {"weight": along_rows(module, stretch) * turned}
        if module.bias is None:
            return changed
        return {**changed, "bias": module.bias + stretch * (values["bias"] - module.bias)}


@dataclass(kw_only=True)
class DoRA(LoRA):
    """Weight-decomposed low-rank adaptation; the options are LoRA's."""

    name: ClassVar[str] = "dora"
    title: ClassVar[str] = "DoRA"
    paper: ClassVar[str] = "https://arxiv.org/abs/2402.09353"
    year: ClassVar[int] = 2024

    def part(self, module: LinearMap, role: str) -> Part:
        """A new part for a module."""
        return Decomposed(module, self.at("r", role), self.scale(role), self.dropout)

    def n_parameters(self, backbone: Backbone) -> int:
        """LoRA's, and one for each output."""
        return super().n_parameters(backbone) + sum(site.dim_out for site in self.sites(backbone))
