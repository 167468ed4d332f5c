"""Adapter: a small bottleneck network behind attention and behind each feed-forward (or convolutional layer).

    after:    z = h + s (U f(D h + b) + c),   h the residual stream behind the sublayer's sum, f GELU (or ReLU)
    before:   the same on the sublayer's output, before it is summed
    parallel: s (U f(D x + b) + c) is added to the sublayer's output; x is the sublayer's own input

Paper: Houlsby et al., Parameter-Efficient Transfer Learning for NLP, 2019 https://arxiv.org/abs/1902.00751
(`before`); He et al., Towards a Unified View of Parameter-Efficient Transfer Learning, 2021
https://arxiv.org/abs/2110.04366 (`parallel`); Ding and Lerch, Parameter-Efficient Transfer Learning for Music
Foundation Models, 2024, section 3 https://arxiv.org/abs/2411.19371 (`after`, with the blocks' LayerNorms
trained; its public code has GELU, and b, c and U start at zero: the defaults here)
Differs: U and c start at zero everywhere, so that the model starts as it was; He et al. have ReLU (`activation`),
and b is drawn as that of any Linear with `down_bias = "random"`; LayerNorms are trained as changes beside them.
Parameters: the sum over sites of 2 dim bottleneck + bottleneck + dim; 2 dim for each norm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sordino.contracts import Backbone, Part, Site
from sordino.dropout import dropout
from sordino.petl._norms import NormDelta, norm_module
from sordino.petl._roles import RoleMethod, Roles
from sordino.rules import ByRole, Count, Dropped

ACTIVATIONS = {"gelu": F.gelu, "relu": F.relu}


class Bottleneck(Part):
    """Down, non-linearity, up; the shared part of the three positions.

    Args:
        dim: width of the stream.
        bottleneck: inner width.
        scale: s of the equation.
        dropout: behind the non-linearity, while training.
        device: where it is built.
        activation: the non-linearity, of `ACTIVATIONS`.
        zero_bias: whether the bias of the way down starts at zero.
    """

    def __init__(
        self, dim: int, bottleneck: int, scale: float, dropout: float, device: torch.device, activation: str = "gelu",
        zero_bias: bool = True,
    ):  # fmt: skip
        super().__init__()
        self.down = nn.Linear(dim, bottleneck, device=device)
        self.up = nn.Linear(bottleneck, dim, device=device)
        self.activation = ACTIVATIONS[activation]
        if zero_bias:
            nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)
        self.scale, self.dropout = scale, dropout

    def update(self, x: Tensor) -> Tensor:
        """What is added."""
        inner = dropout(self.activation(self.down(x)), self.dropout, self.training)
        return (self.scale * self.up(inner)).to(x.dtype)


class AfterSum(Bottleneck):
    """Position `after`."""

    def after(self, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        """Change the summed stream."""
        return output + self.update(output)


class BeforeSum(Bottleneck):
    """Position `before`."""

    def before(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Change the sublayer's output."""
        residual, update, *others = inputs
        return residual, update + self.update(update), *others


class Parallel(Bottleneck):
    """Position `parallel`."""

    def before(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Add a branch beside the sublayer."""
        residual, update, source, *mask = inputs
        return residual, update + self.update(source), source, *mask


POSITIONS = {"after": AfterSum, "before": BeforeSum, "parallel": Parallel}


@dataclass(kw_only=True)
class Adapter(RoleMethod):
    """Bottleneck adapter.

    Attributes:
        roles: the sublayers that get one: `after.attn`, `after.ffn`, `after.conv`.
        bottleneck: inner width.
        position: where it sits, see the head of the file.
        scale: factor on what is added.
        dropout: inside the bottleneck, while training.
        activation: inside the bottleneck.
        down_bias: how the bias of the way into the bottleneck starts.
        layer_norms: train the norms of these layers too.
    """

    name: ClassVar[str] = "adapter"
    title: ClassVar[str] = "Adapter"
    paper: ClassVar[str] = "https://arxiv.org/abs/1902.00751"
    year: ClassVar[int] = 2019
    earlier: ClassVar[Mapping[str, Any]] = {"activation": "relu"}
    learning_rate: ClassVar[float] = 1e-3

    roles: Roles = ("after.attn", "after.ffn", "after.conv")
    bottleneck: ByRole[Count] = 16
    position: Literal["after", "before", "parallel"] = "after"
    scale: float = 1.0
    dropout: Dropped = 0.0
    activation: Literal["gelu", "relu"] = "gelu"
    down_bias: Literal["zero", "random"] = "zero"
    layer_norms: bool = True

    def norms(self, backbone: Backbone) -> list[Site]:
        """The norms that are trained too."""
        return self.choose(backbone, ("norm",)) if self.layer_norms else []

    def parts(self, backbone: Backbone) -> list[tuple[Site, Part]]:
        """A bottleneck for each sublayer, a change for each norm."""
        part, device = POSITIONS[self.position], next(backbone.parameters()).device
        found = []
        for site in self.sites(backbone):
            inner = self.at("bottleneck", site.role)
            shape = (site.dim_out, inner, self.scale, self.dropout, device)
            found.append((site, part(*shape, self.activation, self.down_bias == "zero")))
        return [*found, *((site, NormDelta(norm_module(backbone, site))) for site in self.norms(backbone))]

    def n_parameters(self, backbone: Backbone) -> int:
        """2 dim bottleneck + bottleneck + dim for each sublayer, 2 dim for each norm."""
        total = sum(2 * site.dim_out for site in self.norms(backbone))
        for site in self.sites(backbone):
            inner = self.at("bottleneck", site.role)
            total += 2 * site.dim_out * inner + inner + site.dim_out
        return total
