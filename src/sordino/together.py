"""Several models on one frozen backbone answered together: what they have in common is computed once.

1. The frontend, and the hidden states below the lowest layer that a model changes, are the same for all of them (for
   one with weights of its own too): they are computed once, up to the highest state that is constant for anyone. Probes
   need nothing more.
2. Above that a batch may hold the rows of several models, one model behind the other. At each site the frozen module is
   applied to all rows at once, and each model's parts to its own rows.

The rule for 2: inside a layer, a part maps each row for itself, whatever it is, so models go together that go through
the same layers. Alone goes a model that has backbone weights of its own, or parts at a site where the number of tokens
may change (`RESHAPING`), since the rows of a batch are of one length. With a frontend of its own it shares nothing.

Together pays where segments alone do not fill a batch (one short recording, many adapters). Where they do, it would
only be more memory: then each model takes the whole batch in its turn.

Related: Chen et al., Punica: Multi-Tenant LoRA Serving, 2023 https://arxiv.org/abs/2310.18547
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sordino.contracts import Backbone, Frames, Part, Site
from sordino.memory import in_room
from sordino.model import FRONTEND, WAVEFORM, Model

RESHAPING = ("tokens", "layer.tokens", "attn.kv")  # roles whose parts may change the number of tokens

Parts = Sequence[Sequence[Part]]  # by model, its parts at one site in the order of attachment


class Together:
    """Models ready to answer the same segments. Nothing of one call is kept for the next: any thread may call it.

    Args:
        backbone: the frozen one that all of them were made from.
        models: what answers.
        n_rows: how many rows a batch may hold where several models share it.
    """

    def __init__(self, backbone: Backbone, models: Sequence[Model], n_rows: int):
        self.backbone, self.models, self.n_rows = backbone.share(), list(models), n_rows
        groups: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
        self._apart = [number for number, model in enumerate(models) if model.start == WAVEFORM]
        for number, model in enumerate(models):
            span = (model.start, model.backbone.top)
            if number not in self._apart:
                groups[span if _by_rows(model) else (*span, number)].append(number)
        self._groups = list(groups.values())
        self._joint = cache(lambda numbers: joint([self.models[number] for number in numbers]))

    @torch.inference_mode()
    def __call__(
        self, waveform: Float[Tensor, "batch time"], n_samples: Int[Tensor, " batch"] | None = None
    ) -> list[dict[str, Tensor]]:
        """Each model's logits by task, as its own `predict` gives them (to 1e-5; the same bits where it goes alone).

        Args:
            waveform: mono at the backbone's rate, padded at the end.
            n_samples: true lengths; None when nothing is padded.
        """
        found = {number: self.models[number].predict(waveform, n_samples) for number in self._apart}
        if self._groups:
            found |= self._on_one_frontend(self.backbone.frontend(waveform, n_samples))
        return [found[number] for number in range(len(self.models))]

    def _on_one_frontend(self, frames: Frames) -> dict[int, dict[str, Tensor]]:
        """The logits of all models that hear through the frozen frontend, by number."""
        constant = {FRONTEND: frames.x}
        highest = max(self.models[number].start for group in self._groups for number in group)
        if highest > FRONTEND:
            constant |= dict(enumerate(self.backbone.encode(frames, stop=highest)))
        at_once = max(1, self.n_rows // len(frames.x))
        found: dict[int, dict[str, Tensor]] = {}
        for group in self._groups:
            for first in range(0, len(group), at_once):
                ask = partial(self._logits, constant=constant, mask=frames.mask)
                for numbers, logits in in_room(ask, tuple(group[first : first + at_once])):
                    found.update(zip(numbers, logits, strict=True))
        return found

    def _logits(
        self, numbers: Sequence[int], constant: dict[int, Tensor], mask: Tensor | None
    ) -> list[dict[str, Tensor]]:
        models = [self.models[number] for number in numbers]
        first, n = models[0], len(models)
        if n == 1 or first.start == first.backbone.top:
            return [model(constant, mask) for model in models]
        rows = constant[first.start].repeat(n, 1, 1)
        masks = None if mask is None else mask.repeat(n, 1)
        states = self._joint(tuple(numbers)).encode(Frames(rows, masks), {first.start: rows}, stop=first.backbone.top)
        below = [constant.get(number) for number in range(first.start + 1)]
        above = zip(*(state.chunk(n) for state in states[first.start + 1 :]), strict=True)
        return [model.read([*below, *own], mask) for model, own in zip(models, above, strict=True)]


def _by_rows(model: Model) -> bool:
    """Whether its rows can stand in a batch with those of other models."""
    roles = {site.role for attachment in model.backbone.attached for site, _ in attachment.placed()}
    return not model.unfrozen and not roles & {*RESHAPING}


def joint(models: Sequence[Model]) -> Backbone:
    """A share of their backbone whose batches are [model row]; what is attached at `states` is left to each model."""
    backbone = models[0].backbone.share(top=models[0].backbone.top)
    sites: dict[str, Site] = {}
    parts: defaultdict[str, list[list[Part]]] = defaultdict(lambda: [[] for _ in models])
    for number, model in enumerate(models):
        for attachment in model.backbone.attached:
            for site, part in attachment.placed():
                sites[site.path] = site
                parts[site.path][number].append(part)
    for path, site in sites.items():
        module = backbone.get_submodule(path)
        if site.role != "states":
            module.register_forward_pre_hook(partial(_before, parts[path]))
            module.register_forward_hook(partial(_after, parts[path]))
    return backbone


def _before(parts: Parts, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """What enters a site, each model's rows changed by its own parts."""
    given = _rows(inputs, len(parts))
    changed = list(given)
    for number, own in enumerate(parts):
        for part in own:
            if part.before is not None:
                changed[number] = part.before(module, changed[number])
    pairs = zip(inputs, zip(*given, strict=True), zip(*changed, strict=True), strict=True)
    return tuple(
        value if all(old is new for old, new in zip(before, after, strict=True)) else torch.cat(after)
        for value, before, after in pairs
    )


def _after(parts: Parts, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
    """What leaves a site, each model's rows changed by its own parts; written over what the module made.

    (A new tensor for all rows would cost a quarter of a small model's whole step.)
    """
    for own, entered, left in zip(parts, _rows(inputs, len(parts)), output.chunk(len(parts)), strict=True):
        changed = left
        for part in own:
            if part.after is not None:
                changed = part.after(module, entered, changed)
        if changed is not left:
            left.copy_(changed)
    return output


def _rows(values: tuple[Any, ...], n: int) -> list[tuple[Any, ...]]:
    """Each model's rows of a site's inputs; what is no tensor is the same for all."""
    return list(zip(*(value.chunk(n) if isinstance(value, Tensor) else [value] * n for value in values), strict=True))
