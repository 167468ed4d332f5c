"""Conformer adapter: the convolution module of a conformer, narrow, beside attention and feed-forward.

    f'(x) = f(x) + U swish(C (g * sigmoid(h))) + c,   [g, h] = D norm(x) + b, C a depthwise convolution over frames,
    x the sublayer's own input

Paper: Cappellazzo et al., Parameter-Efficient Transfer Learning of Audio Spectrogram Transformers, 2023, section 3.2
https://arxiv.org/abs/2312.03694; the module is that of Gulati et al., Conformer, 2020 https://arxiv.org/abs/2005.08100
Differs: no BatchNorm behind the convolution, whose statistics would follow padding and the other rows of a batch; U and
c start at zero; frames of padding are zero before the convolution. Written from the papers' description, not held
against the authors' code.
Parameters: the sum over sites of 3 dim bottleneck + 3 dim + bottleneck (kernel_size + 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from sordino.contracts import Part
from sordino.petl._roles import Roles
from sordino.petl.conv_adapter import ConvAdapter
from sordino.rules import ByRole, Range


class ConvolutionModule(Part):
    """Norm, down with a gate, depthwise convolution, up.

    Args:
        dim: width of the stream.
        bottleneck: inner width.
        kernel_size: frames of the convolution, odd.
        device: where it is built.
    """

    def __init__(self, dim: int, bottleneck: int, kernel_size: int, device: torch.device):
        super().__init__()
        self.norm = nn.LayerNorm(dim, device=device)
        self.down = nn.Linear(dim, 2 * bottleneck, device=device)
        self.conv = nn.Conv1d(
            bottleneck, bottleneck, kernel_size, padding=kernel_size // 2, groups=bottleneck, device=device
        )
        self.up = nn.Linear(bottleneck, dim, device=device)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def before(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Add the branch to the sublayer's output."""
        residual, update, source, mask = inputs
        inner = F.glu(self.down(self.norm(source)), -1)
        if mask is not None:
            inner = inner * mask[..., None]
        inner = F.silu(self.conv(inner.transpose(1, 2)).transpose(1, 2))
        return residual, update + self.up(inner).to(update.dtype), source, mask


@dataclass(kw_only=True)
class ConformerAdapter(ConvAdapter):
    """Adapter with a conformer's convolution module.

    Attributes:
        roles: the sublayers that get one.
        bottleneck: inner width.
        kernel_size: frames of the convolution.
    """

    name: ClassVar[str] = "conformer_adapter"
    title: ClassVar[str] = "Conformer adapter"
    paper: ClassVar[str] = "https://arxiv.org/abs/2312.03694"
    year: ClassVar[int] = 2023

    roles: Roles = ("after.attn", "after.ffn")
    kernel_size: ByRole[Annotated[int, Range(1, odd=True)]] = 31

    def part(self, dim: int, bottleneck: int, kernel_size: int, device: torch.device) -> Part:
        """A new part for a sublayer."""
        return ConvolutionModule(dim, bottleneck, kernel_size, device)

    def n_in_part(self, dim: int, bottleneck: int, kernel_size: int) -> int:
        """3 dim bottleneck + 3 dim + bottleneck (kernel_size + 3)."""
        return 3 * dim * (bottleneck + 1) + bottleneck * (kernel_size + 3)
