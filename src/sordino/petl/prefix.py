"""Prefix tuning: trained keys and values in front of those of the frames, in each layer.

    attention(q, [P_k; k], [P_v; v]),   [P_k, P_v] = W2 tanh(W1 E + b1) + b2 while training

Paper: Li and Liang, Prefix-Tuning: Optimizing Continuous Prompts for Generation, 2021, section 4
https://arxiv.org/abs/2101.00190
Differs: the MLP of each layer is its own, as in Ding and Lerch, 2024; saving folds it away, so that the file
holds plain keys and values, and a model loaded from it holds and trains just these. Keys carry no position.
Parameters: for each layer, in the file 2 n_tokens dim; trained, with the MLP of width m, n_tokens dim + dim m + m
+ 2 m dim + 2 dim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from einops import rearrange
from torch import Tensor, nn

from sordino.contracts import Backbone, Method, Part, Site
from sordino.rules import Count, Range


class Prefix(Part):
    """Keys and values for one layer.

    Args:
        n_tokens: how many of each.
        dim: their width, all heads together.
        mlp: width of the MLP that makes them; 0 for none.
        device: where it is built.
    """

    def __init__(self, n_tokens: int, dim: int, mlp: int, device: torch.device):
        super().__init__()
        self.table = nn.Parameter(torch.randn(n_tokens, dim if mlp else 2 * dim, device=device))
        self.mlp = nn.Identity()
        if mlp:
            self.mlp = nn.Sequential(
                nn.Linear(dim, mlp, device=device), nn.Tanh(), nn.Linear(mlp, 2 * dim, device=device)
            )

    def keys_and_values(self) -> tuple[Tensor, Tensor]:
        """Both as [n_tokens, dim]."""
        keys, values = self.mlp(self.table).chunk(2, dim=1)
        return keys, values

    def before(self, module: nn.Module, inputs: tuple) -> tuple:
        """Put them in front; they are never masked."""
        keys, values, mask = inputs
        batch, n_heads = keys.shape[:2]
        more = [rearrange(x, "token (head dim) -> head token dim", head=n_heads) for x in self.keys_and_values()]
        more_keys, more_values = (x.to(keys.dtype).expand(batch, -1, -1, -1) for x in more)
        if mask is not None:
            mask = torch.cat([mask.new_ones(batch, self.table.shape[0]), mask], dim=1)
        return torch.cat([more_keys, keys], dim=2), torch.cat([more_values, values], dim=2), mask

    @torch.no_grad()
    def export(self) -> dict[str, Tensor]:
        """Plain keys and values."""
        keys, values = self.keys_and_values()
        return {"keys": keys.contiguous(), "values": values.contiguous()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Hold plain keys and values from now on; the MLP is gone."""
        if set(tensors) != {"keys", "values"}:
            raise KeyError(f"keys and values are wanted, not {sorted(tensors)}")
        table = torch.cat([tensors["keys"], tensors["values"]], dim=1)
        wanted = tuple(x.shape for x in self.keys_and_values())
        if (tensors["keys"].shape, tensors["values"].shape) != wanted:
            raise RuntimeError(f"keys and values have the shape {tuple(tensors['keys'].shape)}, not {tuple(wanted[0])}")
        self.table = nn.Parameter(table.to(self.table), requires_grad=self.table.requires_grad)
        self.mlp = nn.Identity()


@dataclass(kw_only=True)
class PrefixTuning(Method):
    """Prefix keys and values.

    Attributes:
        n_tokens: how many in each layer.
        mlp: width of the MLP that makes them while training; 0 to train them directly.
    """

    name: ClassVar[str] = "prefix"
    title: ClassVar[str] = "Prefix tuning"
    paper: ClassVar[str] = "https://arxiv.org/abs/2101.00190"
    year: ClassVar[int] = 2021
    roles: ClassVar[tuple[str, ...]] = ("attn.kv",)
    identity: ClassVar[bool] = False

    n_tokens: Count = 32
    mlp: Annotated[int, Range(0)] = 512

    def parts(self, backbone: Backbone) -> list[tuple[Site, Part]]:
        """Keys and values for each chosen layer."""
        device = next(backbone.parameters()).device
        return [
            (site, Prefix(self.n_tokens, site.dim_in, self.mlp, device)) for site in self.choose(backbone, self.roles)
        ]

    def n_parameters(self, backbone: Backbone) -> int:
        """Those trained, the MLPs included."""
        sizes = [site.dim_in for site in self.choose(backbone, self.roles)]
        if not self.mlp:
            return sum(2 * self.n_tokens * dim for dim in sizes)
        return sum(self.n_tokens * dim + (dim + 1) * self.mlp + (self.mlp + 1) * 2 * dim for dim in sizes)
