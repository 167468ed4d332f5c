"""LayerNorm tuning: the weights and biases of the norms are trained, LayerNorms or, in a convolutional network, others.

    y = (w + dw) * norm(x) + (b + db)

Paper: Zhao et al., Tuning LayerNorm in Attention: Towards Efficient Multi-Modal LLM Finetuning, 2023
https://arxiv.org/abs/2312.11420
Differs: dw and db are kept beside the backbone, whose own values stay. A BatchNorm keeps its statistics.
Parameters: the sum over norms of 2 dim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sordino.contracts import Backbone, Method, Part, Site
from sordino.petl._norms import NormDelta, norm_module


@dataclass(kw_only=True)
class LayerNormTuning(Method):
    """Train the norms."""

    name: ClassVar[str] = "layernorm"
    title: ClassVar[str] = "LayerNorm tuning"
    paper: ClassVar[str] = "https://arxiv.org/abs/2312.11420"
    year: ClassVar[int] = 2023
    roles: ClassVar[tuple[str, ...]] = ("norm",)
    mergeable: ClassVar[bool] = True

    def parts(self, backbone: Backbone) -> list[tuple[Site, Part]]:
        """A change of weight and bias for each norm."""
        return [(site, NormDelta(norm_module(backbone, site))) for site in self.choose(backbone, self.roles)]

    def n_parameters(self, backbone: Backbone) -> int:
        """2 dim for each norm."""
        return sum(2 * site.dim_out for site in self.choose(backbone, self.roles))
