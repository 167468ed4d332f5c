"""Convolution adapter: its bottleneck also looks at neighbouring frames, since music is local in time.

    z = h + U relu(C relu(D h + b)) + c,   C a depthwise convolution over frames

Paper: Jie and Deng, Convolutional Bypasses Are Better Vision Transformer Adapters, 2022, section 3.2
https://arxiv.org/abs/2207.07039
Differs: depthwise and in one dimension, behind the sublayer's sum; C starts as the identity and U at zero;
frames of padding are zero before the convolution.
Parameters: the sum over sites of 2 dim bottleneck + dim + bottleneck (kernel_size + 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sordino.contracts import Backbone, Part, Site
from sordino.petl._roles import RoleMethod, Roles
from sordino.rules import ByRole, Count, Range


class MaskReader(Part):
    """Keeps the mask that a layer is called with, `layer(x, mask, n_prompt)`, for the parts inside it."""

    mask: Tensor | None = None

    def before(self, module: nn.Module, inputs: tuple) -> tuple:
        """Read it, change nothing."""
        self.mask = inputs[1] if len(inputs) > 1 else None
        return inputs


class ConvBottleneck(Part):
    """Down, depthwise convolution, up.

    Args:
        dim: width of the stream.
        bottleneck: inner width.
        kernel_size: frames of the convolution, odd.
        reader: knows the mask of the layer.
        device: where it is built.
    """

    def __init__(self, dim: int, bottleneck: int, kernel_size: int, reader: MaskReader, device: torch.device):
        super().__init__()
        self.down = nn.Linear(dim, bottleneck, device=device)
        self.conv = nn.Conv1d(
            bottleneck, bottleneck, kernel_size, padding=kernel_size // 2, groups=bottleneck, device=device
        )
        self.up = nn.Linear(bottleneck, dim, device=device)
        nn.init.dirac_(self.conv.weight, groups=bottleneck)
        nn.init.zeros_(self.conv.bias)  # pyright: ignore[reportArgumentType]
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)
        self._reader = [reader]  # in a list, so that it is no submodule of this part

    def after(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Change the summed stream."""
        mask = self._reader[0].mask
        inner = F.relu(self.down(output)).transpose(1, 2)
        if mask is not None:
            inner = inner * mask[:, None, :]
        inner = F.relu(self.conv(inner)).transpose(1, 2)
        return output + self.up(inner).to(output.dtype)


@dataclass(kw_only=True)
class ConvAdapter(RoleMethod):
    """Adapter with a depthwise convolution.

    Attributes:
        roles: the sublayers that get one: `after.attn`, `after.ffn`.
        bottleneck: inner width.
        kernel_size: frames of the convolution.
    """

    name: ClassVar[str] = "conv_adapter"
    title: ClassVar[str] = "Convolution adapter"
    paper: ClassVar[str] = "https://arxiv.org/abs/2207.07039"
    year: ClassVar[int] = 2022

    roles: Roles = ("after.attn", "after.ffn")
    bottleneck: ByRole[Count] = 16
    kernel_size: ByRole[Annotated[int, Range(1, odd=True)]] = 9

    def parts(self, backbone: Backbone) -> list[tuple[Site, Part]]:
        """A bottleneck for each sublayer, and in front of each layer a reader of its mask."""
        device = next(backbone.parameters()).device
        sites = self.sites(backbone)
        readers = {layer: MaskReader() for layer in sorted({site.layer for site in sites})}
        found: list[tuple[Site, Part]] = [
            (Site(f"layers.{layer - 1}", "layer.tokens", layer, backbone.dim, backbone.dim), reader)
            for layer, reader in readers.items()
        ]
        for site in sites:
            inner, kernel_size = self.at("bottleneck", site.role), self.at("kernel_size", site.role)
            found.append((site, ConvBottleneck(site.dim_out, inner, kernel_size, readers[site.layer], device)))
        return found

    def n_parameters(self, backbone: Backbone) -> int:
        """2 dim bottleneck + dim + bottleneck (kernel_size + 2) for each sublayer."""
        total = 0
        for site in self.sites(backbone):
            inner = self.at("bottleneck", site.role)
            total += 2 * site.dim_out * inner + site.dim_out + inner * (self.at("kernel_size", site.role) + 2)
        return total
