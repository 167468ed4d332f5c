"""Model: backbone + attachments + heads, the only composition.

The model knows which part of itself is constant for a given clip: everything below the lowest layer that a method
touches. `constant` computes that part once (and a cache may keep it), `forward` goes on from there, up to the highest
hidden state that is read.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sordino.contracts import Attachment, Backbone, Frames, Method, States, Task, merge
from sordino.heads import Head, HeadConfig
from sordino.settings import build

FRONTEND = -1  # the key of the frontend's output among the constant states,
WAVEFORM = -2  # and of the waveform itself, where nothing else is constant because the frontend is trained
HEAD_RATE = 1e-3  # learning rate of heads, when a config names none


class Model(nn.Module):
    """A backbone with something clipped on, and a head for each task.

    Args:
        backbone: frozen here; the model takes a share of it (`Backbone.share`), and a copy if a method trains the
            backbone itself, so that others can use it at the same time.
        tasks: what is predicted; tasks are told apart by their names.
        methods: what is attached, in this order.
        head: options of the heads; what a method wants otherwise than usual comes first.
        seed: of the new parameters.
        n_frozen: so many of the methods, from the first, are taken as they are and not trained.

    Raises:
        ValueError: two tasks of one name, an unknown option of the head, or a method at layers that nobody reads.
    """

    def __init__(
        self,
        backbone: Backbone,
        tasks: Sequence[Task],
        methods: Sequence[Method],
        head: Mapping[str, Any] | None = None,
        seed: int = 0,
        n_frozen: int = 0,
    ):
        super().__init__()
        self.tasks: dict[str, Task] = {task.name: task for task in tasks}
        if len(self.tasks) != len(tasks):
            raise ValueError("two tasks of one name; a model holds each task once")
        self.methods: list[Method] = list(methods)
        self.n_frozen: int = n_frozen
        self.head_config: HeadConfig = _head_config(self.methods, head or {})
        needed = set(self.head_config.needed_states(backbone.n_layers))
        for method in reversed(self.methods):
            needed = method.reads(backbone, needed)
        self.needed_states: list[int] = sorted(needed)
        self.backbone: Backbone = backbone.freeze().share(top=max(needed))
        if any(method.trains_backbone for method in methods):
            self.backbone = copy.deepcopy(self.backbone)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.attachments: nn.ModuleList = nn.ModuleList(method.attach(self.backbone) for method in self.methods)
            self.heads: nn.ModuleDict = nn.ModuleDict(
                {name: Head(backbone.dim, task.n_outputs, backbone.n_layers, task.level, self.head_config)
                 for name, task in self.tasks.items()}
            )  # fmt: skip
        layers = {name: layer for method in self.own_methods for name, layer in method.unfrozen(self.backbone).items()}
        given = {name for method in self.methods[:n_frozen] for name in method.unfrozen(self.backbone)}
        self.unfrozen: list[str] = sorted({*layers, *given})
        for name in layers:
            self.backbone.get_parameter(name).requires_grad_(True)
        for attachment in self.attachments[:n_frozen]:
            attachment.requires_grad_(False)
        touched = [*layers.values(), *(attachment.first_layer for attachment in self.backbone.attached[n_frozen:])]
        if any(attachment.gives_tokens for attachment in self.backbone.attached):  # they go on through every layer
            touched.append(0)
        self.start: int = min([self.backbone.top, *(layer - 1 for layer in touched)])
        self._trained = self._trained_modules()
        self.eval()

    def _trained_modules(self) -> list[nn.Module]:
        """The parts of the backbone, layer by layer, that training changes; the others always stay in evaluation."""
        parts = {name: child for name, child in self.backbone.named_children() if child is not self.backbone.layers}
        parts |= {f"layers.{number}": layer for number, layer in enumerate(self.backbone.layers)}
        trained = [name for name in self.unfrozen if self.backbone.get_parameter(name).requires_grad]
        found = [part for name, part in parts.items() if any(own.startswith(f"{name}.") for own in trained)]
        if self.start <= FRONTEND and found:  # what comes before layer 1 and has no weights: dropout
            found += [part for part in self.backbone.children() if not any(True for _ in part.parameters())]
        return found

    def train(self, mode: bool = True) -> Model:
        """Training mode for what is trained; frozen parts, and every BatchNorm of the backbone, stay in evaluation."""
        if mode == self.training:
            return self
        self.training = mode
        self.attachments.train(mode)
        for attachment in self.attachments[: self.n_frozen] if mode else ():
            attachment.eval()
        self.heads.train(mode)
        for part in self._trained:
            part.train(mode)
            for module in part.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    @property
    def own_methods(self) -> list[Method]:
        """The methods that are trained."""
        return self.methods[self.n_frozen :]

    @property
    def own_attached(self) -> list[tuple[Method, Attachment]]:
        """The methods that are trained, each with its parts."""
        return list(zip(self.own_methods, self.backbone.attached[self.n_frozen :], strict=True))

    def optimiser(self, lr: float | None = None, weight_decay: float = 0.0) -> torch.optim.AdamW:
        """What trains it, each method's part with its own rate; all values in one pass (`fused`): a step of heads alone
        is little else."""
        return torch.optim.AdamW(self.parameter_groups(lr), weight_decay=weight_decay, fused=True)

    def penalty(self) -> Tensor | float:
        """What the trained methods add to the loss."""
        return sum(method.penalty(attachment) for method, attachment in self.own_attached)

    def after_step(self, step: int, steps: int) -> None:
        """Let the trained methods change their parts, `step` of `steps` being taken."""
        for method, attachment in self.own_attached:
            method.after_step(attachment, step, steps)

    @property
    def constant_states(self) -> list[int]:
        """Keys of what `constant` gives: the hidden states (or FRONTEND, WAVEFORM) that `forward` needs from below."""
        return sorted({self.start, *(k for k in self.needed_states if k <= self.start)})

    @torch.no_grad()
    def constant(
        self, waveform: Float[Tensor, "batch time"], n_samples: Int[Tensor, " batch"] | None = None
    ) -> tuple[dict[int, Tensor], Tensor | None]:
        """The part that training cannot change.

        Args:
            waveform: mono at the backbone's rate, padded at the end.
            n_samples: true lengths; None when nothing is padded.

        Returns:
            The states by key, each [batch frame dim], and the mask [batch frame] or None; where the frontend is
            trained, the waveform and the mask of its samples [batch time].
        """
        if self.start == WAVEFORM:
            time = torch.arange(waveform.shape[1], device=waveform.device)
            return {WAVEFORM: waveform}, None if n_samples is None else time < n_samples[:, None]
        return self.constant_from(self.backbone.frontend(waveform, n_samples))

    @torch.no_grad()
    def constant_from(self, frames: Frames) -> tuple[dict[int, Tensor], Tensor | None]:
        """As `constant`, from what a frontend gave that stays frozen."""
        if self.start == FRONTEND:
            return {FRONTEND: frames.x}, frames.mask
        states = self.backbone.encode(frames, stop=self.start)
        return {k: states[k] for k in self.constant_states}, frames.mask

    def forward(self, constant: dict[int, Tensor], mask: Tensor | None = None) -> dict[str, Tensor]:
        """Logits by task, from what `constant` gave: [batch label] (clip) or [batch frame label] (frame)."""
        known = {k: constant[k] for k in self.constant_states if k > FRONTEND}
        frames = Frames(constant[self.start], mask)
        if self.start == WAVEFORM:
            frames = self.backbone.hear(frames.x, None if mask is None else mask.sum(1))
        return self.read(self.backbone.encode(frames, known=known, stop=self.backbone.top), frames.mask)

    def read(self, states: States, mask: Tensor | None = None) -> dict[str, Tensor]:
        """Logits by task, as `forward` gives them, from the hidden states up to `backbone.top`."""
        above = [None] * (self.backbone.n_layers - self.backbone.top)
        states = self.backbone.told([*states, *above], mask)
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
        yield from (self.backbone.get_parameter(name) for name in method.unfrozen(self.backbone))

    def trained(self) -> dict[str, Tensor]:
        """All that training changes, by name: the sidecars, the heads, the unfrozen backbone parameters."""
        own = dict(self.backbone.named_parameters())
        return {
            **{f"attachments.{name}": p for name, p in self.attachments.named_parameters() if p.requires_grad},
            **{f"heads.{name}": p for name, p in self.heads.named_parameters()},
            **{f"backbone.{name}": own[name] for name in self.unfrozen if own[name].requires_grad},
        }

    def trained_state(self) -> dict[str, Tensor]:
        """What a checkpoint needs, on the host: `trained`, what was trained before and is frozen, and all buffers."""
        return {name: value.detach().to("cpu", copy=True) for name, value in self._state().items()}

    @torch.no_grad()
    def load_trained_state(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `trained_state` gave, all of it or nothing.

        Raises:
            ValueError: a name is missing or unknown, or a tensor has another shape or type; nothing is changed.
        """
        own = self._state()
        self.check_state(state)
        for name, value in state.items():
            own[name].copy_(value)

    def check_state(self, state: Mapping[str, Tensor]) -> None:
        """Raise ValueError unless a state has this model's names, each tensor with its shape and type."""
        own = self._state()
        wrong = [f"{name} is missing" for name in own if name not in state]
        wrong += [f"{name} is unknown" for name in state if name not in own]
        for name in own.keys() & state.keys():
            had, found = (f"{tuple(value.shape)} {value.dtype}" for value in (own[name], state[name]))
            wrong += [f"{name} is {found}, not {had}"] if found != had else []
        if wrong:
            raise ValueError(f"the state is of another model: {'; '.join(sorted(wrong)[:3])} ({len(wrong)} in all)")

    def _state(self) -> dict[str, Tensor]:
        """The tensors behind `trained_state` themselves."""
        own = self.backbone.state_dict()
        return {
            **{f"attachments.{name}": value for name, value in self.attachments.state_dict().items()},
            **{f"heads.{name}": value for name, value in self.heads.state_dict().items()},
            **{f"backbone.{name}": own[name] for name in self.unfrozen},
        }

    def count(self) -> dict[str, Any]:
        """Parameters: of the backbone, of what the methods train (and as a share of the backbone's), of the heads."""
        n_backbone = sum(p.numel() for p in self.backbone.parameters())
        n_method = sum(p.numel() for method in self.own_methods for p in self.attachment_parameters(method))
        n_head = sum(p.numel() for p in self.heads.parameters())
        return {"backbone": n_backbone, "method": n_method, "head": n_head, "share": n_method / max(n_backbone, 1)}

    def parameter_groups(self, lr: float | None) -> list[dict[str, Any]]:
        """Groups for the optimiser: the heads, then what each method says of its own.

        Args:
            lr: the rate; None for each method's usual one (and HEAD_RATE for the heads).
        """
        groups = [{"params": list(self.heads.parameters()), "lr": HEAD_RATE if lr is None else lr}]
        for method in self.own_methods:
            groups += method.parameter_groups(self, method.learning_rate if lr is None else lr)
        return groups

    def merge(self) -> None:
        """Write all attachments into the weights of this model's share of the backbone; others do not notice.

        Raises:
            TypeError: a method cannot be merged.
            RuntimeError: it is merged already.
        """
        if self.backbone.attached:
            merge(self.backbone.attached)

    def unmerge(self) -> None:
        """Undo `merge`, bit for bit."""
        for attachment in self.backbone.attached[-1:]:
            attachment.unmerge()

    def detach(self) -> None:
        """Take everything off the backbone."""
        for attachment in reversed(self.backbone.attached):
            attachment.detach()


def _head_config(methods: Sequence[Method], options: Mapping[str, Any]) -> HeadConfig:
    wanted: dict[str, Any] = {}
    for method in methods:
        wanted.update(method.head)
    return build(HeadConfig, {**wanted, **options}, "head")
