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
from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sordino.contracts import Backbone, Part, Site
from sordino.petl._roles import RoleMethod, Roles
from sordino.rules import ByRole, Count, Range


class ConvBottleneck(Part):
    """Down, depthwise convolution, up.

    Args:
        dim: width of the stream.
        bottleneck: inner width.
        kernel_size: frames of the convolution, odd.
        device: where it is built.
    """

    def __init__(self, dim: int, bottleneck: int, kernel_size: int, device: torch.device):
        super().__init__()
        self.down = nn.Linear(dim, bottleneck, device=device)
        self.conv = nn.Conv1d(
            bottleneck, bottleneck, kernel_size, padding=kernel_size // 2, groups=bottleneck, device=device
        )
        self.up = nn.Linear(bottleneck, dim, device=device)
        nn.init.dirac_(self.conv.weight, groups=bottleneck)
        assert self.conv.bias is not None
        nn.init.zeros_(self.conv.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def after(self, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        """Change the summed stream."""
        _, _, _, mask = inputs  # of the Join: residual, update, source, mask
        inner = F.relu(self.down(output)).transpose(1, 2)
        if mask is not None:
            inner = inner * mask[:, None, :]
        inner = F.relu(self.conv(inner)).transpose(1, 2)
        return output + self.up(inner).to(output.dtype)


@dataclass(kw_only=True)
class ConvAdapter(RoleMethod):
    """Adapter with a depthwise convolution.

    Attributes:
        roles: the sublayers that get one: `after.attn`, `after.ffn`, `after.conv`.
        bottleneck: inner width.
        kernel_size: frames of the convolution.
    """

    name: ClassVar[str] = "conv_adapter"
    title: ClassVar[str] = "Convolution adapter"
    paper: ClassVar[str] = "https://arxiv.org/abs/2207.07039"
    year: ClassVar[int] = 2022

    roles: Roles = ("after.attn", "after.ffn", "after.conv")
    bottleneck: ByRole[Count] = 16
    kernel_size: ByRole[Annotated[int, Range(1, odd=True)]] = 9

    def part(self, dim: int, bottleneck: int, kernel_size: int, device: torch.device) -> Part:
        """A new part for a sublayer."""
        return ConvBottleneck(dim, bottleneck, kernel_size, device)

    def n_in_part(self, dim: int, bottleneck: int, kernel_size: int) -> int:
        """2 dim bottleneck + dim + bottleneck (kernel_size + 2)."""
        return 2 * dim * bottleneck + dim + bottleneck * (kernel_size + 2)

    def shape(self, site: Site) -> tuple[int, int, int]:
        """Width of the stream, inner width, and frames of the convolution at a site."""
        return site.dim_out, self.at("bottleneck", site.role), self.at("kernel_size", site.role)

    def parts(self, backbone: Backbone) -> list[tuple[Site, Part]]:
        """One for each sublayer."""
        device = next(backbone.parameters()).device
        return [(site, self.part(*self.shape(site), device)) for site in self.sites(backbone)]

    def n_parameters(self, backbone: Backbone) -> int:
        """The sum over sublayers."""
        return sum(self.n_in_part(*self.shape(site)) for site in self.sites(backbone))
