"""EVA: LoRA whose A starts with the directions in which a map's inputs vary most, found from the training data.

    y = W x + b + s B A x,   rows of A the first r principal axes of x, B = 0

Paper: Paischer et al., Parameter Efficient Fine-tuning via Explained Variance Adaptation, 2024, section 3
https://arxiv.org/abs/2410.07170
Differs: every map keeps its rank (the paper gives more to maps whose inputs vary more; its rho = 1); the axes are those
of the first four steps, at once and not batch by batch; convolutions wider than a frame start as LoRA's do.
Parameters: the sum over sites of r (in * kernel + out).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sordino.contracts import Attachment
from sordino.petl._maps import LinearMap
from sordino.petl.lora import LoRA, LowRank


class Spread:
    """Count, sum and sum of products of the vectors that enter a map; a hook before it.

    Attributes:
        total: of the vectors, [in].
        products: of all pairs of features, [in in].
    """

    def __init__(self, n_in: int, device: torch.device):
        self.count, self.total = 0, torch.zeros(n_in, device=device)
        self.products = torch.zeros(n_in, n_in, device=device)

    def __call__(self, module: LinearMap, inputs: tuple[Any, ...]) -> None:
        """Take in what enters."""
        (x,) = inputs
        rows = (x if isinstance(module, nn.Linear) else x.movedim(1, -1)).flatten(0, -2).float()
        self.count += len(rows)
        self.total += rows.sum(0)
        self.products += rows.T @ rows

    def axes(self, r: int) -> Tensor:
        """The first r principal axes, [r in]; fewer where there are fewer features."""
        mean = self.total / self.count
        _, vectors = torch.linalg.eigh(self.products / self.count - torch.outer(mean, mean))
        return vectors.T.flip(0)[:r]


@dataclass(kw_only=True)
class EVA(LoRA):
    """Explained variance adaptation; the options are LoRA's."""

    name: ClassVar[str] = "eva"
    title: ClassVar[str] = "EVA"
    paper: ClassVar[str] = "https://arxiv.org/abs/2410.07170"
    year: ClassVar[int] = 2024

    @torch.no_grad()
    def begin(self, attachment: Attachment, see: Callable[[], object]) -> None:
        """Turn A to the principal axes of what the maps are given, where nothing was trained yet."""
        spreads: list[tuple[LowRank, Spread, Any]] = []
        for site, part in attachment.placed():
            module: Any = attachment.backbone.get_submodule(site.path)
            n_in = module.weight.shape[1]
            if isinstance(part, LowRank) and part.A[0].numel() == n_in == site.dim_in and not part.B.any():
                spread = Spread(n_in, part.A.device)
                spreads.append((part, spread, module.register_forward_pre_hook(spread)))
        try:
            see()
        finally:
            for _, _, handle in spreads:
                handle.remove()
        for part, spread, _ in spreads:
            axes = spread.axes(len(part.A))
            part.A[: len(axes)] = axes.reshape(-1, *part.A.shape[1:])
