"""Prompt tuning: trained tokens in front of the frames.

    layer 1 reads [p_1 .. p_n, x_1 .. x_T];   deep: in front of each further layer, fresh tokens take their
    place

Paper: Lester et al., The Power of Scale for Parameter-Efficient Prompt Tuning, 2021
https://arxiv.org/abs/2104.08691; Jia et al., Visual Prompt Tuning, 2022, section 3.2 (deep)
https://arxiv.org/abs/2203.12119
Differs: the prompts enter before positions are computed, and leave before the head and every hidden state
that is read.
Parameters: n_tokens dim; deep: n_tokens dim for the input and for each chosen layer but the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from sordino.contracts import Backbone, Method, Part, Site
from sordino.rules import Count


class Tokens(Part):
    """Trained tokens.

    Args:
        n_tokens: how many.
        dim: width of the stream.
        device: where they are built.
    """

    def __init__(self, n_tokens: int, dim: int, device: torch.device):
        super().__init__()
        self.tokens = nn.Parameter(0.02 * torch.randn(n_tokens, dim, device=device))

    def expanded(self, x: Tensor) -> Tensor:
        """The tokens for each clip of the batch."""
        return self.tokens.to(x.dtype).expand(x.shape[0], -1, -1)


class InputTokens(Tokens):
    """They enter in front of the frames."""

    def before(self, module: nn.Module, inputs: tuple) -> tuple:
        """Prepend them; they are never masked."""
        x, mask, n_prompt = inputs
        n_tokens = self.tokens.shape[0]
        if mask is not None:
            mask = torch.cat([mask.new_ones(mask.shape[0], n_tokens), mask], dim=1)
        return torch.cat([self.expanded(x), x], dim=1), mask, n_prompt + n_tokens


class LayerTokens(Tokens):
    """They take the place of the prompts in front of a layer."""

    def before(self, module: nn.Module, inputs: tuple) -> tuple:
        """Replace the first tokens."""
        x, n_prompt = inputs
        return torch.cat([self.expanded(x), x[:, self.tokens.shape[0] :]], dim=1), n_prompt


@dataclass(kw_only=True)
class Prompt(Method):
    """Prompt tokens.

    Attributes:
        n_tokens: how many.
        deep: fresh tokens in front of each chosen layer.
    """

    name: ClassVar[str] = "prompt"
    title: ClassVar[str] = "Prompt tuning"
    paper: ClassVar[str] = "https://arxiv.org/abs/2104.08691"
    year: ClassVar[int] = 2021
    roles: ClassVar[tuple[str, ...]] = ("tokens", "layer.tokens")
    identity: ClassVar[bool] = False

    n_tokens: Count = 32
    deep: bool = False

    def sites(self, backbone: Backbone) -> list[Site]:
        """The encoder's input; with `deep`, the inputs of the chosen layers from the second on."""
        found = self.choose(backbone, self.roles if self.deep else ("tokens",))
        return [site for site in found if site.role == "tokens" or site.layer > 1]

    def parts(self, backbone: Backbone) -> list[tuple[Site, Part]]:
        """Tokens for each site."""
        device = next(backbone.parameters()).device
        return [
            (
                site,
                (InputTokens if site.role == "tokens" else LayerTokens)(self.n_tokens, site.dim_in, device),
            )
            for site in self.sites(backbone)
        ]

    def n_parameters(self, backbone: Backbone) -> int:
        """n_tokens dim for each site."""
        return sum(self.n_tokens * site.dim_in for site in self.sites(backbone))
