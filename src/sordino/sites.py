"""Sites: the named places of a backbone where a method can attach something, and what attaching means.

A backbone is never edited. Every site is a module that is already there (a Linear, a Conv1d, a LayerNorm) or a
parameter-free tap that the backbone calls at a place worth naming. A method supplies *parts*; an `Attachment` holds
the parts in a sidecar and connects each to its site through forward hooks, so the backbone's own parameter names,
values and buffers stay what they were.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

ROLES = (
    "tokens",  # Tap(x, mask, n_prompt): what enters the encoder, before positions
    "layer.tokens",  # Tap(x, n_prompt): what enters one layer
    "attn.q",
    "attn.k",
    "attn.v",
    "attn.out",
    "attn.kv",  # Tap(keys, values, mask): [batch head token dim] twice, and the mask over tokens or None
    "ffn.in",
    "ffn.out",
    "conv.in",  # pointwise convolutions of a conformer's convolution module
    "conv.out",
    "norm",  # the LayerNorms of a block
    "after.attn",  # Join(residual, update, source): the residual stream behind a sublayer
    "after.ffn",
    "states",  # Tap(states, mask): all hidden states, behind the last layer
)


@dataclass(frozen=True)
class Site:
    """One place of a backbone.

    Attributes:
        path: the module's path inside the backbone; the site's unique name.
        role: one of `ROLES`, the same for every architecture.
        layer: the number of the layer, from 1; 0 for `tokens`, n_layers + 1 for `states`. Hidden state k is the
            output of layer k, so everything up to state `layer - 1` is untouched by a part at this site.
        dim_in: width of what comes in (the stream's width for taps).
        dim_out: width of what goes out.
    """

    path: str
    role: str
    layer: int
    dim_in: int
    dim_out: int

    @property
    def key(self) -> str:
        """The path as a key of a ModuleDict (which may not contain dots)."""
        return self.path.replace(".", "/")


class Tap(nn.Module):
    """A place without a weight: gives back what it is given, unless a part is attached."""

    def forward(self, *values):
        """Return the values as they came (a single value bare)."""
        return values if len(values) > 1 else values[0]


class Join(nn.Module):
    """Adds a sublayer's output to the residual stream: `residual + scale * update`.

    A part can change `update` before the sum (a pre-hook), see `source`, the sublayer's own input, for a parallel
    branch, or change the sum (a hook).
    """

    def __init__(self, scale: float = 1.0):
        super().__init__()
        self.scale = scale

    def forward(self, residual: Tensor, update: Tensor, source: Tensor) -> Tensor:
        """Sum `residual` and the scaled `update`, all [batch frame dim]."""
        return residual + self.scale * update


class Part(nn.Module):
    """What a method attaches at one site; define `before`, `after`, or both.

    - `before(module, inputs) -> inputs`: changes the tuple of what enters the site.
    - `after(module, inputs, output) -> output`: changes what leaves it.
    - `merged(module) -> {parameter name: tensor}`: the site's new own weights that do the same as the part; only for
      parts that can be merged.
    """

    before = None
    after = None
    merged = None

    def export(self) -> dict[str, Tensor]:
        """The tensors that go into the adapter file, by name; by default the part's whole state."""
        return self.state_dict()

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `export` gave."""
        self.load_state_dict(tensors)


class Attachment(nn.Module):
    """The sidecar of one method on one backbone: its parts, and the hooks that connect them.

    The hooks do something only inside `with attachment.active():`, so that several attachments can share one frozen
    backbone. The backbone is referred to but not owned: it is no submodule of the sidecar.
    """

    def __init__(self, backbone: nn.Module, parts: Sequence[tuple[Site, Part]]):
        super().__init__()
        self.parts = nn.ModuleDict()
        self.sites = {site.key: site for site, _ in parts}
        self._backbone = [backbone]
        self._handles = []
        self._kept: dict[str, Tensor] = {}
        self._on = False
        for site, part in parts:
            if site.key in self.parts:
                raise ValueError(f"two parts of one method at site {site.path}")
            self.parts[site.key] = part
            self._connect(backbone.get_submodule(site.path), part)

    def _connect(self, module: nn.Module, part: Part) -> None:
        if part.before is not None:
            hook = lambda module, inputs: part.before(module, inputs) if self._on else None  # noqa: E731
            self._handles.append(module.register_forward_pre_hook(hook))
        if part.after is not None:
            hook = lambda module, inputs, output: part.after(module, inputs, output) if self._on else None  # noqa: E731
            self._handles.append(module.register_forward_hook(hook))

    @property
    def backbone(self) -> nn.Module:
        """The backbone this is attached to."""
        return self._backbone[0]

    @property
    def first_layer(self) -> int:
        """The lowest layer that a part touches; every hidden state below it is constant for a given clip."""
        return min((site.layer for site in self.sites.values()), default=self.backbone.n_layers + 1)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Within this context the parts do their work (unless they are merged)."""
        before, self._on = self._on, not self._kept
        try:
            yield
        finally:
            self._on = before

    @torch.no_grad()
    def merge(self) -> None:
        """Write the parts into the backbone's own weights; the originals are kept for `unmerge`.

        Raises:
            TypeError: a part of this method cannot be merged.
            RuntimeError: it is merged already.
        """
        if self._kept:
            raise RuntimeError("this attachment is merged already; call unmerge() first")
        changes = {}
        for key, part in self.parts.items():
            if part.merged is None:
                raise TypeError(f"{type(part).__name__} at {self.sites[key].path} cannot be merged into weights")
            module = self.backbone.get_submodule(self.sites[key].path)
            for name, value in part.merged(module).items():
                changes[f"{self.sites[key].path}.{name}"] = value
        own = dict(self.backbone.named_parameters())
        for name, value in changes.items():
            self._kept[name] = own[name].detach().clone()
            own[name].copy_(value)

    @torch.no_grad()
    def unmerge(self) -> None:
        """Put the kept originals back, bit for bit."""
        own = dict(self.backbone.named_parameters())
        for name, value in self._kept.items():
            own[name].copy_(value)
        self._kept = {}

    def detach(self) -> None:
        """Take everything off the backbone; it is as it was."""
        self.unmerge()
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def tensors(self) -> dict[str, Tensor]:
        """What the adapter file holds, as `site path/name`."""
        return {f"{key}:{name}": value for key, part in self.parts.items() for name, value in part.export().items()}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `tensors` gave.

        Raises:
            ValueError: a tensor is missing, or one belongs to no part.
        """
        grouped: dict[str, dict[str, Tensor]] = {key: {} for key in self.parts}
        for full, value in tensors.items():
            key, _, name = full.partition(":")
            if key not in grouped:
                raise ValueError(f"tensor {full} belongs to no part of this attachment")
            grouped[key][name] = value
        for key, part in self.parts.items():
            try:
                part.restore(grouped[key])
            except (RuntimeError, KeyError) as error:
                raise ValueError(f"the part at {self.sites[key].path} does not fit its tensors: {error}") from error
