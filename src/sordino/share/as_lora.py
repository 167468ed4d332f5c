"""What any additive method does to weights, as LoRA in peft's format.

A method that can be merged changes a weight W to W + D. The singular values of D say which rank a LoRA of the same work
has: B A = D, exactly where D has no higher rank than asked for.

Conventions: only weights of linear maps and convolutions can be held; a method that changes biases or norms is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from sordino.adapter_file import backbone_of, load_adapter, read_card
from sordino.contracts import Backbone, Site
from sordino.petl._maps import linear_module, n_groups
from sordino.petl._peft_format import to_peft
from sordino.petl.lora import LINEARS, LoRA

EXACT = 1e-5  # of the largest singular value: what lies below is rounding


class AsLoRA(NamedTuple):
    """What was written.

    Attributes:
        folder: of peft's two files.
        rank: the highest.
        error: the largest share of a weight's change that was lost, as a ratio of Frobenius norms.
    """

    folder: Path
    rank: int
    error: float


def save_as_lora(adapter: str | Path, out: str | Path, rank: int | None = None) -> AsLoRA:
    """Write an adapter's work on the weights as an adapter of peft; the heads are not in it.

    Args:
        adapter: its folder.
        out: where peft's two files go.
        rank: the highest rank; None for as much as the change has.

    Raises:
        TypeError: a method cannot be merged into weights.
        ValueError: it changes what LoRA cannot hold, or nothing.
    """
    backbone = backbone_of(read_card(adapter), adapter)
    model = load_adapter(adapter, backbone)
    if model.backbone.attached:
        model.merge()
    after = dict(model.backbone.named_parameters())
    changes = {name: (after[name] - value).detach() for name, value in backbone.named_parameters() if name in after}
    changes = {name: change for name, change in changes.items() if change.abs().max() > 0}
    sites = {f"{site.path}.weight": site for site in backbone.sites() if site.role in LINEARS}
    _check(changes, sites, backbone, str(adapter))
    parts = {name: _low_rank(change.flatten(1), rank) for name, change in changes.items()}
    ranks: dict[str, int] = {}
    for name, (a, _, _) in parts.items():
        ranks[sites[name].role] = max(ranks.get(sites[name].role, 1), len(a))
    layers = ",".join(str(layer) for layer in sorted({sites[name].layer for name in changes}))
    method = LoRA(roles=tuple(ranks), r=ranks, layers=layers)
    attachment = method.attach(backbone.share())
    attachment.load_tensors(_tensors(attachment.tensors(), parts, backbone))
    return AsLoRA(to_peft(method, attachment, out), max(ranks.values()), max(error for _, _, error in parts.values()))


def _check(changes: Mapping[str, Tensor], sites: Mapping[str, Site], backbone: Backbone, where: str) -> None:
    if not changes:
        raise ValueError(f"{where}: changes no weight of the backbone, so there is nothing to write")
    for name in changes:
        if name not in sites:
            raise ValueError(f"{where}: changes {name}, which LoRA in peft's format cannot hold (only linear weights)")
        if n_groups(linear_module(backbone, sites[name])) > 1:
            raise ValueError(f"{where}: {name} has groups, whose ranks peft counts otherwise")


def _low_rank(change: Tensor, rank: int | None) -> tuple[Tensor, Tensor, float]:
    """A [rank in], B [out rank], and what is lost."""
    u, s, v = torch.linalg.svd(change.double(), full_matrices=False)
    n = int((s > EXACT * s[0]).sum())
    n = n if rank is None else min(n, rank)
    root = s[:n].sqrt()
    return root[:, None] * v[:n], u[:, :n] * root, float(s[n:].norm() / s.norm())


def _tensors(
    own: Mapping[str, Tensor], parts: Mapping[str, tuple[Tensor, Tensor, float]], backbone: Backbone
) -> dict[str, Tensor]:
    """A LoRA's tensors with these parts in them, zeros where a rank is lower than its role's."""
    found = {}
    for full, like in own.items():
        key, _, name = full.partition(":")
        value = torch.zeros(like.shape, dtype=torch.float32)
        part = parts.get(f"{key.replace('/', '.')}.weight")
        if part is not None:
            a, b, _ = part
            if name == "A":
                value.flatten(1)[: len(a)] = a.float()
            else:
                value[:, : b.shape[1]] = b.float()
        found[full] = value
    return found
