"""Mix: learned weights over all layers, then attentive pooling; the strongest of the cheap probes.

    h = sum_k softmax(w)_k norm(h_k)

Paper: Yang et al., SUPERB: Speech processing Universal PERformance Benchmark, 2021, section 3
https://arxiv.org/abs/2105.01051
Differs: each state is normed first (without parameters), since the layers differ in size; the head pools by
attention.
Parameters: one for each state: the chosen layers, and the encoder's input when `layers = "all"`.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from sordino.contracts import Backbone, Method, Part, Site, parse_layers
from sordino.petl._states import behind_last, pick


class Weights(Part):
    """Weights of hidden states.

    Args:
        numbers: the numbers of the states.
        device: where they are kept.
    """

    def __init__(self, numbers: list[int], device: torch.device):
        super().__init__()
        self.numbers = numbers
        self.weights = nn.Parameter(torch.zeros(len(numbers), device=device))

    def before(self, module: nn.Module, inputs: tuple) -> tuple:
        """Put the weighted mean in the place of the last state."""
        states, mask = inputs
        normed = [F.layer_norm(state, state.shape[-1:]) for state in pick(states, self.numbers)]
        weighted = [w * x for w, x in zip(self.weights.softmax(0), normed, strict=True)]
        mixed = reduce(torch.add, weighted)
        return [*states[:-1], mixed.to(normed[-1].dtype)], mask


@dataclass(kw_only=True)
class Mix(Method):
    """Learned layer weights.

    Attributes:
        layers: the layers whose outputs are mixed; `all` has the encoder's input too.
    """

    name: ClassVar[str] = "mix"
    title: ClassVar[str] = "Layer mix"
    paper: ClassVar[str] = "https://arxiv.org/abs/2105.01051"
    year: ClassVar[int] = 2021
    roles: ClassVar[tuple[str, ...]] = ("states",)
    identity: ClassVar[bool] = False
    through_backbone: ClassVar[bool] = False
    head: ClassVar[Mapping[str, Any]] = {"pool": "attention", "layers": "last"}
    learning_rate: ClassVar[float] = 1e-3

    def numbers(self, backbone: Backbone) -> list[int]:
        """The numbers of the mixed states."""
        chosen = parse_layers(self.layers, backbone.n_layers)
        return [0, *chosen] if self.layers == "all" else chosen

    def reads(self, backbone: Backbone, wanted: AbstractSet[int]) -> set[int]:
        """The mixed states in the place of the last one."""
        return behind_last(self.name, backbone, wanted) | set(self.numbers(backbone))

    def parts(self, backbone: Backbone) -> list[tuple[Site, Part]]:
        """The weights, at the hidden states."""
        device = next(backbone.parameters()).device
        part = Weights(self.numbers(backbone), device)
        return [(site, part) for site in backbone.sites() if site.role in self.roles]

    def n_parameters(self, backbone: Backbone) -> int:
        """One for each state."""
        return len(self.numbers(backbone))
