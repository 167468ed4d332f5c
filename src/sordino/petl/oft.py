"""OFT: the input features of a weight are rotated, in blocks, by trained orthogonal matrices.

    y = W R' x + b,   R block by block (I - Q) (I + Q)^-1, Q skew-symmetric, starts at 0

Paper: Qiu et al., Controlling Text-to-Image Diffusion by Orthogonal Finetuning, 2023, section 3
https://arxiv.org/abs/2306.07280; Qiu et al., Orthogonal Finetuning Made Scalable, 2025 (the input is rotated, not the
weight) https://arxiv.org/abs/2506.19847
Differs: the inverse is exact, where the second paper sums five terms of a series; a block is the largest divisor of the
number of inputs that is no larger than `block`; a convolution's input channels are rotated.
Parameters: the sum over sites of in (block - 1) / 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn

from sordino.contracts import Backbone, Part, Site
from sordino.petl._maps import LinearMap, linear_module, n_groups
from sordino.petl._roles import RoleMethod, Roles
from sordino.petl.lora import LINEARS
from sordino.rules import ByRole, Range


class Rotation(Part):
    """Q of each block, by its entries above the diagonal.

    Args:
        module: the Linear or convolution it belongs to.
        block: features in a block.
    """

    upper: Tensor

    def __init__(self, module: LinearMap, block: int):
        super().__init__()
        device = module.weight.device
        self.block, n_blocks = block, module.weight.shape[1] // block
        self.skew = nn.Parameter(torch.zeros(n_blocks, block * (block - 1) // 2, device=device))
        self.register_buffer("upper", torch.triu_indices(block, block, 1, device=device), persistent=False)

    def rotations(self) -> Tensor:
        """R, [block feature feature]."""
        row, column = self.upper
        q = self.skew.new_zeros(len(self.skew), self.block, self.block)
        q = q.index_put((torch.arange(len(q), device=q.device)[:, None], row, column), self.skew)
        q = q - q.mT
        eye = torch.eye(self.block, device=q.device, dtype=q.dtype)
        return torch.linalg.solve(eye + q, eye - q, left=False)

    def before(self, module: LinearMap, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Rotate the input's features, or its channels."""
        (x,) = inputs
        features = x if isinstance(module, nn.Linear) else x.movedim(1, -1)
        blocks = features.unflatten(-1, (-1, self.block))
        turned = torch.einsum("...bi,bio->...bo", blocks, self.rotations().to(x.dtype)).flatten(-2).to(x.dtype)
        return (turned if isinstance(module, nn.Linear) else turned.movedim(-1, 1).contiguous(),)

    def merged(self, module: LinearMap, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """W R', which turns the weight's inputs back."""
        weight = values["weight"].movedim(1, -1).unflatten(-1, (-1, self.block))
        turned = torch.einsum("...bo,bio->...bi", weight, self.rotations().to(weight.dtype))
        return {"weight": turned.flatten(-2).movedim(-1, 1).contiguous()}


@dataclass(kw_only=True)
class OFT(RoleMethod):
    """Orthogonal fine-tuning.

    Attributes:
        roles: the linear maps that get one.
        block: features that are rotated together, at most; a map with one input feature is left as it is.
    """

    name: ClassVar[str] = "oft"
    title: ClassVar[str] = "OFT"
    paper: ClassVar[str] = "https://arxiv.org/abs/2306.07280"
    year: ClassVar[int] = 2023
    mergeable: ClassVar[bool] = True

    roles: Roles = LINEARS
    block: ByRole[Annotated[int, Range(2)]] = 32

    def blocks(self, backbone: Backbone) -> list[tuple[Site, LinearMap, int]]:
        """Each site with its module and the size of its blocks.

        Raises:
            TypeError: a convolution has groups.
        """
        found = []
        for site in self.sites(backbone):
            module = linear_module(backbone, site)
            if n_groups(module) > 1:
                raise TypeError(f"oft: {site.path} has {n_groups(module)} groups; leave {site.role} out")
            n_in, most = module.weight.shape[1], self.at("block", site.role)
            found.append((site, module, max(size for size in range(1, most + 1) if n_in % size == 0)))
        return [(site, module, size) for site, module, size in found if size > 1]

    def parts(self, backbone: Backbone) -> list[tuple[Site, Part]]:
        """The rotations of each site."""
        return [(site, Rotation(module, size)) for site, module, size in self.blocks(backbone)]

    def n_parameters(self, backbone: Backbone) -> int:
        """in (block - 1) / 2 for each site."""
        return sum(module.weight.shape[1] * (size - 1) // 2 for _, module, size in self.blocks(backbone))
