"""Probe: only the head is trained, on the hidden states of the frozen backbone.

Paper: Alain and Bengio, Understanding intermediate layers using linear classifier probes, 2016, section 3
https://arxiv.org/abs/1610.01644
Differs: the head may have a hidden layer, as in the probing of Ding and Lerch, 2024 https://arxiv.org/abs/2411.19371
Parameters: none (the head's own).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sordino.contracts import Backbone, Method, Part, Site


@dataclass(kw_only=True)
class Probe(Method):
    """Nothing is attached."""

    name: ClassVar[str] = "probe"
    title: ClassVar[str] = "Probing"
    paper: ClassVar[str] = "https://arxiv.org/abs/1610.01644"
    year: ClassVar[int] = 2016
    through_backbone: ClassVar[bool] = False

    def parts(self, backbone: Backbone) -> list[tuple[Site, Part]]:
        """None."""
        return []

    def n_parameters(self, backbone: Backbone) -> int:
        """None."""
        return 0
