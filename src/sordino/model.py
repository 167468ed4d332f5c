"""Model: backbone + attachments + heads, the only composition.

The model knows which part of itself is constant for a given clip: everything below the lowest layer that a method
touches. `constant` computes that part once (and a cache may keep it), `forward` goes on from there.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sordino.contracts import Backbone, Frames, Method, Task
from sordino.heads import Head, HeadConfig
from sordino.settings import build

FRONTEND = -1  # the key of the frontend's output among the constant states


class Model(nn.Module):
    """A backbone with something clipped on, and a head for each task.

    Args:
        backbone: frozen here; a method that trains the backbone itself works on a copy, so that others can share it.
        tasks: what is predicted; tasks are told apart by their names.
        methods: what is attached, in this order.
        head: options of the heads; what a method wants otherwise than usual comes first.
        seed: of the new parameters.

    Raises:
        ValueError: two tasks of one name, or an unknown option of the head.
    """

    def __init__(
        self,
        backbone: Backbone,
        tasks: Sequence[Task],
        methods: Sequence[Method],
        head: Mapping[str, Any] | None = None,
        seed: int = 0,
    ):
        super().__init__()
        self.tasks = {task.name: task for task in tasks}
        if len(self.tasks) != len(tasks):
            raise ValueError("two tasks of one name; a model holds each task once")
        self.methods = list(methods)
        if any(method.trains_backbone for method in methods):
            backbone = copy.deepcopy(backbone)
        self.backbone = backbone.freeze()
        self.head_config = _head_config(self.methods, head or {})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.attachments = nn.ModuleList(method.attach(backbone) for method in self.methods)
            self.heads = nn.ModuleDict(
                {name: Head(backbone.dim, task.n_outputs, backbone.n_layers, task.level, self.head_config)
                 for name, task in self.tasks.items()}
            )  # fmt: skip
        own = dict(backbone.named_parameters())
        self.unfrozen = sorted({name for method in methods for name in method.unfrozen(backbone)})
        for name in self.unfrozen:
            own[name].requires_grad_(True)
        self.start = self._start()
        self.eval()

    def _start(self) -> int:
        """The highest hidden state that training cannot change, or FRONTEND."""
        layers = [attachment.first_layer for attachment in self.attachments]
        for name in self.unfrozen:
            head, _, rest = name.partition(".")
            layers.append(int(rest.partition(".")[0]) + 1 if head == "layers" else 0)
        return min([self.backbone.n_layers + 1, *layers]) - 1

    def train(self, mode: bool = True) -> Model:
        """Training mode for what is trained; frozen parts, and every BatchNorm of the backbone, stay in evaluation."""
        super().train(mode)
        self.backbone.train(mode and bool(self.unfrozen))
        for module in self.backbone.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    @property
    def constant_states(self) -> list[int]:
        """Keys of what `constant` gives: the hidden states (or FRONTEND) that `forward` needs from below."""
        needed = {k for head in self.heads.values() for k in head.needed_states()}
        if any(site.role == "states" for a in self.attachments for site in a.sites.values()):
            needed |= set(range(self.backbone.n_layers + 1))
        below = {k for k in needed if k <= self.start}
        return sorted(below if self.start == self.backbone.n_layers else below | {self.start})

    @torch.no_grad()
    def constant(
        self, waveform: Float[Tensor, "batch time"], n_samples: Int[Tensor, " batch"] | None = None
    ) -> tuple[dict[int, Tensor], Tensor | None]:
        """The part that training cannot change.

        Args:
            waveform: mono at the backbone's rate, padded at the end.
            n_samples: true lengths; None when nothing is padded.

        Returns:
            The states by key, each [batch frame dim], and the mask [batch frame] or None.
        """
        return self.constant_from(self.backbone.frontend(waveform, n_samples))

    @torch.no_grad()
    def constant_from(self, frames: Frames) -> tuple[dict[int, Tensor], Tensor | None]:
        """As `constant`, from what the frontend gave."""
        if self.start == FRONTEND:
            return {FRONTEND: frames.x}, frames.mask
        states = self.backbone.encode(frames, stop=self.start)
        return {k: states[k] for k in self.constant_states}, frames.mask

    def forward(self, constant: dict[int, Tensor], mask: Tensor | None = None) -> dict[str, Tensor]:
        """Logits by task, from what `constant` gave: [batch label] (clip) or [batch frame label] (frame)."""
        with ExitStack() as stack:
            for attachment in self.attachments:
                stack.enter_context(attachment.active())
            if FRONTEND in constant:
                states = self.backbone.encode(Frames(constant[FRONTEND], mask))
            else:
                any_state = next(iter(constant.values()))
                states = self.backbone.encode(Frames(any_state, mask), known=constant)
        return {name: head(states, mask) for name, head in self.heads.items()}

    def predict(
        self, waveform: Float[Tensor, "batch time"], n_samples: Int[Tensor, " batch"] | None = None
    ) -> dict[str, Tensor]:
        """Logits by task of a batch of waveforms."""
        return self(*self.constant(waveform, n_samples))

    def attachment_parameters(self, method: Method) -> Iterator[nn.Parameter]:
        """What `method`, one of this model's methods, trains (head not counted)."""
        index = next(i for i, own in enumerate(self.methods) if own is method)
        yield from self.attachments[index].parameters()
        own = dict(self.backbone.named_parameters())
        yield from (own[name] for name in method.unfrozen(self.backbone))

    def trained(self) -> dict[str, Tensor]:
        """All that training changes, by name: the sidecars, the heads, the unfrozen backbone parameters."""
        own = dict(self.backbone.named_parameters())
        return {
            **{f"attachments.{name}": p for name, p in self.attachments.named_parameters()},
            **{f"heads.{name}": p for name, p in self.heads.named_parameters()},
            **{f"backbone.{name}": own[name] for name in self.unfrozen},
        }

    def trained_state(self) -> dict[str, Tensor]:
        """What a checkpoint needs: `trained` and the buffers of sidecars and heads, detached copies."""
        own = self.backbone.state_dict()
        state = {
            **{f"attachments.{name}": value for name, value in self.attachments.state_dict().items()},
            **{f"heads.{name}": value for name, value in self.heads.state_dict().items()},
            **{f"backbone.{name}": own[name] for name in self.unfrozen},
        }
        return {name: value.detach().clone() for name, value in state.items()}

    @torch.no_grad()
    def load_trained_state(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `trained_state` gave."""
        grouped: dict[str, dict[str, Tensor]] = {"attachments": {}, "heads": {}, "backbone": {}}
        for name, value in state.items():
            home, _, rest = name.partition(".")
            grouped[home][rest] = value
        self.attachments.load_state_dict(grouped["attachments"])
        self.heads.load_state_dict(grouped["heads"])
        own = dict(self.backbone.named_parameters())
        for name, value in grouped["backbone"].items():
            own[name].copy_(value)

    def count(self) -> dict[str, Any]:
        """Parameters: of the backbone, of what the methods train, of the heads, and the trained share of all."""
        n_backbone = sum(p.numel() for p in self.backbone.parameters())
        n_method = sum(p.numel() for method in self.methods for p in self.attachment_parameters(method))
        n_head = sum(p.numel() for p in self.heads.parameters())
        return {"backbone": n_backbone, "method": n_method, "head": n_head, "share": n_method / max(n_backbone, 1)}

    def parameter_groups(self, lr: float | None) -> list[dict[str, Any]]:
        """Groups for the optimiser: the heads, then what each method says of its own.

        Args:
            lr: the rate; None for each method's usual one (and 1e-4 for the heads).
        """
        groups = [{"params": list(self.heads.parameters()), "lr": 1e-4 if lr is None else lr}]
        for method in self.methods:
            groups += method.parameter_groups(self, method.learning_rate if lr is None else lr)
        return groups

    def detach(self) -> None:
        """Take everything off the backbone."""
        for attachment in self.attachments:
            attachment.detach()


def _head_config(methods: Sequence[Method], options: Mapping[str, Any]) -> HeadConfig:
    wanted: dict[str, Any] = {}
    for method in methods:
        wanted.update(method.head)
    return build(HeadConfig, {**wanted, **options}, "head")
