"""Linear maps of any kind seen alike: what LoRA and its relatives need of a Linear or a convolution.

A convolution's weight is [out, in / groups, *kernel]; a Linear is the case without kernel and with one group.
A low-rank change of it has the factors A [groups * r, in / groups, *kernel], which reads the input as the
module itself does (stride, padding, dilation, groups), and B [out, r], pointwise; their product, group by
group, has the weight's shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sordino.contracts import Site

LinearMap = nn.Linear | nn.Conv1d | nn.Conv2d
Affine = LinearMap | nn.LayerNorm
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
    """The Linear, convolution or LayerNorm at a site.

    Raises:
        TypeError: something else stands there.
    """
    module = backbone.get_submodule(site.path)
    return module if isinstance(module, nn.LayerNorm) else linear_module(backbone, site)


def apply(module: LinearMap, x: Tensor, weight: Tensor) -> Tensor:
    """The module's map of `x` with another weight of the same shape (or fewer outputs), without bias."""
    if isinstance(module, nn.Linear):
        return F.linear(x, weight)
    convolve = CONVOLUTIONS[weight.dim()]
    return convolve(x, weight, None, module.stride, module.padding, module.dilation, module.groups)


def along_output(module: Affine, values: Tensor) -> Tensor:
    """Values by output feature, shaped to be multiplied with or added to the module's output."""
    return values.reshape(-1, *[1] * (module.weight.dim() - 2))


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
    """output + scale B A x; for a Linear in one go, without a second tensor as wide as the output."""
    if not isinstance(module, nn.Linear):
        return output + low_rank(module, x, a, b, scale).to(output.dtype)
    inner = apply(module, x, a)
    sum_ = torch.addmm(output.flatten(0, -2), inner.flatten(0, -2), b.T, alpha=scale)
    return sum_.reshape(output.shape).to(output.dtype)


def low_rank_weight(module: LinearMap, a: Tensor, b: Tensor) -> Tensor:
    """B A in the shape of the module's weight."""
    groups = n_groups(module)
    by_group = torch.bmm(b.reshape(groups, -1, b.shape[1]), a.reshape(groups, b.shape[1], -1))
    return by_group.reshape(module.weight.shape)
