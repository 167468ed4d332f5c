"""A trained change of a norm's own weight and bias."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sordino.contracts import Backbone, Part, Site
from sordino.petl._maps import AffineNorm, along_output
from sordino.sites import Norm


class NormDelta(Part):
    """y + dw * norm(x) + db: the same norm with weight w + dw and bias b + db."""

    def __init__(self, module: AffineNorm):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(module.weight.shape, device=module.weight.device))
        self.bias = nn.Parameter(torch.zeros(module.weight.shape, device=module.weight.device))

    def after(self, module: AffineNorm, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Add what the change of weight and bias makes."""
        weight, bias = along_output(module, self.weight, output), along_output(module, self.bias, output)
        return output + (normed(module, inputs[0]) * weight + bias).to(output.dtype)

    def merged(self, module: AffineNorm, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The changed weight and bias."""
        return {"weight": values["weight"] + self.weight, "bias": values["bias"] + self.bias}


def normed(module: AffineNorm, x: Tensor) -> Tensor:
    """`x` as the norm leaves it before its own weight and bias; a BatchNorm by its stored statistics."""
    if isinstance(module, Norm):
        return module.normed(x)
    if isinstance(module, nn.LayerNorm):
        return F.layer_norm(x, module.normalized_shape, None, None, module.eps)
    return F.batch_norm(x, module.running_mean, module.running_var, None, None, False, 0.0, module.eps)


def norm_module(backbone: Backbone, site: Site) -> AffineNorm:
    """The norm at a site.

    Raises:
        TypeError: something else stands there.
    """
    module = backbone.get_submodule(site.path)
    if not isinstance(module, AffineNorm):
        kind = type(module).__name__
        raise TypeError(f"{site.path} ({site.role}) is a {kind}; this method needs a norm")
    return module
