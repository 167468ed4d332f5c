"""What a run begins with: parts that other runs have trained, and the head of a probe.

Taking over a trained head: Kumar et al., Fine-Tuning can Distort Pretrained Features and Underperform Out-of-
Distribution, 2022 (arXiv 2202.10054). The mean of several trained parts: Wortsman et al., Model soups, 2022
(arXiv 2203.05482). Parts left beneath, frozen: Pfeiffer et al., MAD-X, 2020 (arXiv 2005.00052).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sordino.adapter_file import load_adapter
from sordino.config import Config
from sordino.model import Model
from sordino.petl import parse_methods, whole_methods
from sordino.training.plan import Plan, Run, probe_before, untrained

AS_USUAL: dict[str, Any] = {"steps": None, "patience": None, "lr": None, "validate_every": None}  # as nobody says


def usual_probe(config: Config) -> dict[str, Any] | None:
    """`head_first` of a run if nobody says: a probe as it usually is, where one costs next to nothing.

    That is where more than heads is trained, as long as the data want, and the states that a probe reads are stored.
    """
    settings = config.training
    stored = settings.cache not in ("waveform", "off") and not settings.augment
    more = any(method.through_backbone for method in parse_methods(config.resolved()["method"]))
    open_ = settings.head_first is None and settings.steps is None and not config.after
    return AS_USUAL if open_ and stored and more else settings.head_first


@dataclass
class Beginning:
    """The model of a run before its first step.

    Attributes:
        model: on a share of the plan's backbone.
        fingerprint: of the backbone with what lies frozen on it; decides hidden states.
        cpu_s: what the probe has cost, whose head it begins with.
        trained: something of the model was trained before.
    """

    model: Model
    fingerprint: str
    cpu_s: float = 0.0
    trained: bool = False


def begin(plan: Plan, carry_out: Callable[[Plan], Run]) -> Beginning:
    """Build the model of a run, with what was trained before it.

    Args:
        plan: the run.
        carry_out: trains what has to go first, unless it is finished.

    Raises:
        ValueError: training is to start from the parts of another method.
    """
    begun = Beginning(untrained(plan), plan.fingerprint)
    firsts = [_load(first, carry_out(first)) for first in plan.before]
    if plan.beneath:
        _put_beneath(begun.model, firsts)
        begun.fingerprint = _with_beneath(plan.fingerprint, firsts)
    elif firsts:
        _start_from(plan, begun.model, firsts)
        begun.trained = True
    for first in firsts:
        first.detach()
    if probe := probe_before(plan):
        run = carry_out(probe)
        with torch.no_grad():
            trained = load_adapter(run.adapter, plan.backbone, plan.fingerprint)
            begun.model.heads.load_state_dict(trained.heads.state_dict())
            trained.detach()
        begun.cpu_s, begun.trained = run.result["train_cpu_s"], True
    return begun


def _load(plan: Plan, run: Run) -> Model:
    return load_adapter(run.adapter, plan.backbone, plan.fingerprint)


@torch.no_grad()
def _put_beneath(model: Model, firsts: Sequence[Model]) -> None:
    """Give the frozen parts of a model the values of those that were trained."""
    theirs = [attachment for first in firsts for attachment in first.backbone.attached]
    for own, trained in zip(model.backbone.attached, theirs, strict=False):  # the model's own come behind
        own.load_tensors(trained.tensors())
    for first in firsts:
        for name in first.unfrozen:
            model.backbone.get_parameter(name).copy_(first.backbone.get_parameter(name))


@torch.no_grad()
def _start_from(plan: Plan, model: Model, firsts: Sequence[Model]) -> None:
    """Let training start from the mean of what the same method has learned in other runs."""
    own = whole_methods(plan.config.resolved()["method"])
    for before in plan.before:
        other = whole_methods(before.config.resolved()["method"])
        if other != own:
            names = [" + ".join(spec["name"] for spec in specs) for specs in (own, other)]
            raise ValueError(
                f'after_as = "start": {names[0]} cannot start from the parts of {names[1]} with its options; '
                'train both with one method, or set after_as = "frozen"'
            )
    for number, attachment in enumerate(model.backbone.attached):
        trained = [first.backbone.attached[number].tensors() for first in firsts]
        attachment.load_tensors({name: _mean([own[name] for own in trained]) for name in trained[0]})
    for name in model.unfrozen:
        mean = _mean([first.backbone.get_parameter(name) for first in firsts])
        model.backbone.get_parameter(name).copy_(mean)
    for name, task in model.tasks.items():
        heads = [first.heads[name] for first in firsts
                 if name in first.tasks and first.tasks[name].config() == task.config()]  # fmt: skip
        if heads and all(_shapes(head) == _shapes(model.heads[name]) for head in heads):
            states = [head.state_dict() for head in heads]
            model.heads[name].load_state_dict({key: _mean([own[key] for own in states]) for key in states[0]})


def _mean(values: Sequence[Tensor]) -> Tensor:
    return values[0] if len(values) == 1 else torch.stack(list(values)).mean(0)


def _shapes(module: nn.Module) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in module.state_dict().items()}


def _with_beneath(fingerprint: str, firsts: Sequence[Model]) -> str:
    """A name for a backbone and what lies frozen on it."""
    found = hashlib.sha256(fingerprint.encode())
    for first in firsts:
        for name, value in sorted(first.trained_state().items()):
            if not name.startswith("heads."):
                found.update(name.encode() + value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()[:16]
