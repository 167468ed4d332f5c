"""Soft mixture of adapters: several small adapters, each fed with a few soft mixtures of the clip's frames.

    f'(X) = f(X) + C E(D' X),   L = X P,   D softmax of L over frames, C softmax of L over slots,
    E the adapter of each slot's expert, U gelu(V z + b) + c;   X the sublayer's own input

Paper: Cappellazzo et al., Efficient Fine-tuning of Audio Spectrogram Transformers via Soft Mixture of Adapters, 2024,
section 2 https://arxiv.org/abs/2402.00828; Puigcerver et al., From Sparse to Soft Mixtures of Experts, 2023
https://arxiv.org/abs/2308.00951
Differs: U and c alone start at zero (in the public code V too, and then no gradient reaches it at first); frames of
padding are in no mixture; norms are not trained.
Parameters: the sum over sites of dim experts slots + experts (2 dim bottleneck + bottleneck + dim).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from sordino.contracts import Backbone, Part, Site
from sordino.petl._roles import RoleMethod, Roles
from sordino.rules import ByRole, Count


class Mixture(Part):
    """P and the adapters beside one sublayer.

    Args:
        dim: width of the stream.
        n_experts: adapters.
        n_slots: mixtures that each adapter is fed with.
        bottleneck: inner width of an adapter.
        device: where it is built.
    """

    def __init__(self, dim: int, n_experts: int, n_slots: int, bottleneck: int, device: torch.device):
        super().__init__()
        self.n_experts = n_experts
        self.P = nn.Parameter(torch.empty(dim, n_experts * n_slots, device=device))
        self.V = nn.Parameter(torch.empty(n_experts, bottleneck, dim, device=device))
        self.b = nn.Parameter(torch.zeros(n_experts, bottleneck, device=device))
        self.U = nn.Parameter(torch.zeros(n_experts, dim, bottleneck, device=device))
        self.c = nn.Parameter(torch.zeros(n_experts, dim, device=device))
        nn.init.xavier_normal_(self.P)
        for matrix in self.V:
            nn.init.xavier_uniform_(matrix)

    def before(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Add the branch to the sublayer's output."""
        residual, update, source, mask = inputs
        logits = (source @ self.P.to(source.dtype)).float()
        over_frames = logits if mask is None else logits.masked_fill(~mask[..., None], float("-inf"))
        dispatch, combine = over_frames.softmax(1).to(source.dtype), logits.softmax(2).to(source.dtype)
        slots = (dispatch.mT @ source).unflatten(1, (self.n_experts, -1))
        inner = F.gelu(torch.einsum("...esd,ehd->...esh", slots, self.V.to(slots.dtype)) + self.b[:, None])
        given = torch.einsum("...esh,edh->...esd", inner, self.U.to(inner.dtype)) + self.c[:, None]
        return residual, update + (combine @ given.flatten(1, 2).to(combine.dtype)).to(update.dtype), source, mask


@dataclass(kw_only=True)
class SoftMoA(RoleMethod):
    """Soft mixture of adapters.

    Attributes:
        roles: the sublayers that get one.
        n_experts: adapters in a mixture.
        n_slots: mixtures of frames that each adapter is fed with.
        bottleneck: inner width of an adapter.
    """

    name: ClassVar[str] = "soft_moa"
    title: ClassVar[str] = "Soft mixture of adapters"
    paper: ClassVar[str] = "https://arxiv.org/abs/2402.00828"
    year: ClassVar[int] = 2024

    roles: Roles = ("after.attn", "after.ffn")
    n_experts: Count = 4
    n_slots: Count = 2
    bottleneck: ByRole[Count] = 4

    def parts(self, backbone: Backbone) -> list[tuple[Site, Part]]:
        """One mixture for each sublayer."""
        device = next(backbone.parameters()).device
        found: list[tuple[Site, Part]] = []
        for site in self.sites(backbone):
            shape = (site.dim_out, self.n_experts, self.n_slots, self.at("bottleneck", site.role), device)
            found.append((site, Mixture(*shape)))
        return found

    def n_parameters(self, backbone: Backbone) -> int:
        """dim experts slots + experts (2 dim bottleneck + bottleneck + dim) for each sublayer."""
        total = 0
        for site in self.sites(backbone):
            dim, inner = site.dim_out, self.at("bottleneck", site.role)
            total += self.n_experts * (dim * self.n_slots + 2 * dim * inner + inner + dim)
        return total
