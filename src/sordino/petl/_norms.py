"""A trained change of a LayerNorm's own weight and bias."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sordino.contracts import Backbone, Part, Site


class NormDelta(Part):
    """y + dw * norm(x) + db: the same norm with weight w + dw and bias b + db."""

    def __init__(self, module: nn.LayerNorm):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(module.normalized_shape, device=module.weight.device))
        self.bias = nn.Parameter(torch.zeros(module.normalized_shape, device=module.weight.device))

    def after(self, module: nn.LayerNorm, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Add what the change of weight and bias makes."""
        normed = F.layer_norm(inputs[0], module.normalized_shape, None, None, module.eps)
        return output + (normed * self.weight + self.bias).to(output.dtype)

    def merged(self, module: nn.LayerNorm, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The changed weight and bias."""
        return {"weight": values["weight"] + self.weight, "bias": values["bias"] + self.bias}


def norm_module(backbone: Backbone, site: Site) -> nn.LayerNorm:
    """The LayerNorm at a site.

    Raises:
        TypeError: something else stands there.
    """
    module = backbone.get_submodule(site.path)
    if not isinstance(module, nn.LayerNorm):
        kind = type(module).__name__
        raise TypeError(f"{site.path} ({site.role}) is a {kind}; this method needs a LayerNorm")
    return module
