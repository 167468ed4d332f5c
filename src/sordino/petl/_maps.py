"""Linear maps of any kind seen alike: what LoRA and its relatives need of a Linear or a convolution (or a norm).

A convolution's weight is [out, in / groups, *kernel]; a Linear is the case without kernel and with one group.
A low-rank change of it has the factors A [groups * r, in / groups, *kernel], which reads the input as the
module itself does (stride, padding, dilation, groups), and B [out, r], pointwise; their product, group by
group, has the weight's shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sordino.contracts import Site
from sordino.sites import Norm

LinearMap = nn.Linear | nn.Conv1d | nn.Conv2d
AffineNorm = nn.LayerNorm | nn.BatchNorm1d | nn.BatchNorm2d | Norm
Affine = LinearMap | AffineNorm
CONVOLUTIONS: dict[int, Callable[..., Tensor]] = {3: F.conv1d, 4: F.conv2d}  # by the axes of their weight


def n_groups(module: LinearMap) -> int:
    """Groups of the map; 1 for a Linear."""
    return 1 if isinstance(module, nn.Linear) else module.groups


def linear_module(backbone: nn.Module, site: Site) -> LinearMap:
    """The Linear or convolution at a site.

    Raises:
        TypeError: something else stands there, or a convolution that does not pad with zeros.
    """
    module = backbone.get_submodule(site.path)
    if not isinstance(module, LinearMap):
        kind = type(module).__name__
        raise TypeError(f"{site.path} ({site.role}) is a {kind}; this method needs a Linear or a convolution")
    if getattr(module, "padding_mode", "zeros") != "zeros":
        raise TypeError(f"{site.path} pads with {module.padding_mode}; only zero padding is supported")
    return module


def affine_module(backbone: nn.Module, site: Site) -> Affine:
    """The Linear, convolution or norm at a site.

    Raises:
        TypeError: something else stands there.
    """
    module = backbone.get_submodule(site.path)
    return module if isinstance(module, AffineNorm) else linear_module(backbone, site)


def apply(module: LinearMap, x: Tensor, weight: Tensor) -> Tensor:
    """The module's map of `x` with another weight of the same shape (or fewer outputs), without bias."""
    if isinstance(module, nn.Linear):
        return F.linear(x, weight)
    convolve = CONVOLUTIONS[weight.dim()]
    return convolve(x, weight, None, module.stride, module.padding, module.dilation, module.groups)


def along_output(module: Affine, values: Tensor, output: Tensor) -> Tensor:
    """Values by output feature, shaped to be multiplied with or added to the module's output."""
    if isinstance(module, nn.Linear | nn.LayerNorm):  # features are its last axis
        return values
    return values.reshape(-1, *[1] * (output.dim() - 2))


def along_rows(module: Affine, values: Tensor) -> Tensor:
    """Values by output feature, shaped to be multiplied with the module's weight."""
    return values.reshape(-1, *[1] * (module.weight.dim() - 1))


def low_rank_shapes(module: LinearMap, r: int) -> tuple[tuple[int, ...], tuple[int, int]]:
    """Shapes of A and B for rank `r` (in each group)."""
    weight = module.weight
    return (n_groups(module) * r, *weight.shape[1:]), (weight.shape[0], r)


def n_low_rank(module: LinearMap, r: int) -> int:
    """Parameters of A and B together: r (in * kernel + out)."""
    return sum(math.prod(shape) for shape in low_rank_shapes(module, r))


def low_rank(module: LinearMap, x: Tensor, a: Tensor, b: Tensor, scale: float = 1.0) -> Tensor:
    """scale B A x, read with the module's stride, padding and groups; it is scaled where it is narrow."""
    inner = apply(module, x, a)
    inner = inner if scale == 1.0 else scale * inner
    if isinstance(module, nn.Linear):
        return F.linear(inner, b)
    pointwise = b.reshape(*b.shape, *[1] * (module.weight.dim() - 2))
    return CONVOLUTIONS[pointwise.dim()](inner, pointwise, groups=module.groups)


def add_low_rank(module: LinearMap, output: Tensor, x: Tensor, a: Tensor, b: Tensor, scale: float) -> Tensor:
    """output + scale B A x; for a matrix product in one go, without a second tensor as wide as the output, which is
    written over where no gradient is wanted."""
    add = _AddLowRank.apply if torch.is_grad_enabled() else _added_in_place
    if isinstance(module, nn.Linear):
        return add(output, x, a, b, scale)
    if _is_pointwise(module):
        turned = output.transpose(1, 2)
        changed = add(turned, x.transpose(1, 2), a[:, :, 0], b, scale)
        return output if changed is turned else changed.transpose(1, 2)
    return output + low_rank(module, x, a, b, scale).to(output.dtype)


def _is_pointwise(module: LinearMap) -> bool:
    """A Conv1d that mixes the channels of each frame, and nothing else."""
    one = (module.kernel_size, module.stride, module.padding, module.groups) == ((1,), (1,), (0,), 1)
    return isinstance(module, nn.Conv1d) and one


def _added_in_place(output: Tensor, x: Tensor, a: Tensor, b: Tensor, scale: float) -> Tensor:
    rows = output.flatten(0, -2)
    inner = x.flatten(0, -2).to(output.dtype) @ a.to(output.dtype).T
    rows.addmm_(inner, b.to(output.dtype).T, alpha=scale)
    return output if output.is_contiguous() else rows.view(output.shape)


class _AddLowRank(torch.autograd.Function):
    """output + scale B A x over the last axis, [... out] and [... in], in the output's precision.

    Autograd's own gradient of B multiplies a wide, turned matrix by a narrow one, ten times as slow on a processor as
    the same product with the narrow one in front, which is what is done here.
    """

    @staticmethod
    def forward(ctx: Any, output: Tensor, x: Tensor, a: Tensor, b: Tensor, scale: float) -> Tensor:
        """The sum."""
        rows, a, b = x.flatten(0, -2).to(output.dtype), a.to(output.dtype), b.to(output.dtype)
        inner = rows @ a.T
        ctx.save_for_backward(rows, inner, a, b)
        ctx.scale, ctx.x_dtype = scale, x.dtype
        return torch.addmm(output.flatten(0, -2), inner, b.T, alpha=scale).view(output.shape)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  # the decorator hides the first name
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Of output, x, A and B."""
        (of_sum,) = gradients
        rows, inner, a, b = ctx.saved_tensors
        wide = of_sum.flatten(0, -2)
        narrow = ctx.scale * (wide @ b)
        of_x = (narrow @ a).view(*of_sum.shape[:-1], -1).to(ctx.x_dtype) if ctx.needs_input_grad[1] else None
        of_b = (inner.T @ wide).T.mul(ctx.scale)
        return of_sum, of_x, narrow.T @ rows, of_b, None


def low_rank_weight(module: LinearMap, a: Tensor, b: Tensor) -> Tensor:
    """B A in the shape of the module's weight."""
    groups = n_groups(module)
    by_group = torch.bmm(b.reshape(groups, -1, b.shape[1]), a.reshape(groups, b.shape[1], -1))
    return by_group.reshape(module.weight.shape)
