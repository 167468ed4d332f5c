"""Attachment: the sidecar of one method on one backbone, and its work written into the weights for a while.

The parts live beside the backbone, connected through forward hooks, so that its own parameter names, values and buffers
stay what they were. There is no switch: what is attached to a backbone works whenever that backbone is called, in any
thread, while a checkpointed layer is computed again, and under a compiler. Who wants the same network without it, or
with something else on it, calls `Backbone.share`, which gives other modules around the same weights.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from sordino.contracts.backbone import Backbone
from sordino.sites import Part, Site


class Attachment(nn.Module):
    """The parts of one method, and the hooks that connect them.

    The backbone is referred to but not owned: it is no submodule of the sidecar.

    Args:
        backbone: what it is attached to; it answers with the parts from now on.
        parts: each with its site; behind the parts that are there already.
        name: the method's, for messages.

    Raises:
        ValueError: two parts at one site.
    """

    def __init__(self, backbone: Backbone, parts: Sequence[tuple[Site, Part]], name: str = "attachment"):
        super().__init__()
        self.name: str = name
        self.sites: dict[str, Site] = {site.key: site for site, _ in parts}
        if len(self.sites) != len(parts):
            raise ValueError(f"{name}: two parts of one method at one site")
        self.parts: nn.ModuleDict = nn.ModuleDict({site.key: part for site, part in parts})
        self._backbone = [backbone]
        self._handles: list[RemovableHandle] = []
        backbone.attached.append(self)
        self.connect()

    @property
    def backbone(self) -> Backbone:
        """The backbone this is attached to."""
        return self._backbone[0]

    @property
    def first_layer(self) -> int:
        """The lowest layer that a part touches; every hidden state below it is constant for a given clip."""
        return min((site.layer for site in self.sites.values()), default=self.backbone.n_layers + 1)

    @property
    def gives_tokens(self) -> bool:
        """Whether a part puts tokens in front of the encoder, which then go through every layer."""
        return any(site.role == "tokens" for site in self.sites.values())

    def placed(self) -> Iterator[tuple[Site, Part]]:
        """Each part with its site."""
        return ((self.sites[key], cast(Part, part)) for key, part in self.parts.items())

    def connect(self) -> None:
        """Let the parts work through hooks."""
        for site, part in self.placed():
            module = self.backbone.get_submodule(site.path)
            if part.before is not None:
                self._handles.append(module.register_forward_pre_hook(part.before))
            if part.after is not None:
                self._handles.append(module.register_forward_hook(part.after))

    def disconnect(self) -> None:
        """Take the hooks off."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def merge(self) -> None:
        """Write the parts into the weights; see `merge`."""
        merge([self])

    def unmerge(self) -> None:
        """Undo the merge that this was part of; the weights are the same bits as before.

        Raises:
            RuntimeError: it is not merged, or something was merged or attached on top of it.
        """
        merges = self.backbone.merges
        if not any(self in merged.members for merged in merges):
            raise RuntimeError(f"{self.name} is not merged")
        if self not in merges[-1].members:
            last = " + ".join(member.name for member in merges[-1].members)
            raise RuntimeError(f"{self.name} was not merged last; unmerge {last} first")
        _alone(merges[-1].members, "was attached to the merged weights; detach it first")
        merges.pop().undo()

    def detach(self) -> None:
        """Take everything off the backbone (a merge that this is part of is undone); it is as it was."""
        if any(self in merged.members for merged in self.backbone.merges):
            self.unmerge()
        self.disconnect()
        self.backbone.attached = [other for other in self.backbone.attached if other is not self]

    def tensors(self) -> dict[str, Tensor]:
        """What the adapter file holds, as `site path/name`."""
        return {f"{site.key}:{name}": value for site, part in self.placed() for name, value in part.export().items()}

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
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
        for site, part in self.placed():
            try:
                part.restore(grouped[site.key])
            except (RuntimeError, KeyError) as error:
                raise ValueError(f"the part at {site.path} does not fit its tensors: {error}") from error


@dataclass(frozen=True)
class Merged:
    """Attachments that were merged together.

    Attributes:
        members: them, in the order in which they were attached.
        kept: the modules that got other weights, with their parameters from before.
    """

    members: list[Attachment]
    kept: list[tuple[nn.Module, dict[str, Any]]]

    def undo(self) -> None:
        """Put the former parameters back (on the device where the network is now), and the hooks on."""
        for module, parameters in self.kept:
            for name, value in parameters.items():
                if value is not None:
                    value.data = value.data.to(module.get_parameter(name).device)
            module._parameters = parameters
        for member in self.members:
            member.connect()


@torch.no_grad()
def merge(attachments: Sequence[Attachment]) -> None:
    """Let a backbone do the work of attachments with weights of its own, without hooks.

    The weights that it had are not written to: others that share them keep them, and `Attachment.unmerge` puts the very
    same ones back. Attachments with parts at one site depend on each other and are merged together: at each site, what
    changes the output comes first, in the order of attachment, and what changes the input last, in the reverse order,
    since every part behind the site reads the changed input.

    Args:
        attachments: of one backbone.

    Raises:
        TypeError: a part cannot be merged.
        RuntimeError: one is merged already, or another attachment works at one of their sites.
    """
    backbone = attachments[0].backbone
    members = [attachment for attachment in backbone.attached if attachment in attachments]
    for member in members:
        if any(member in merged.members for merged in backbone.merges):
            raise RuntimeError(f"{member.name} is merged already; call unmerge() first")
    by_path: defaultdict[str, list[Part]] = defaultdict(list)
    for member in members:
        for site, part in member.placed():
            if part.merged is None:
                raise TypeError(f"{type(part).__name__} at {site.path} cannot be merged into weights")
            by_path[site.path].append(part)
    _alone(members, "works at the same site; merge both at once")
    changes = [(backbone.get_submodule(path), parts) for path, parts in by_path.items()]
    changed = [(module, _values(module, parts)) for module, parts in changes]  # all of them, before any is changed
    kept = [(module, module._parameters) for module, _ in changed]
    for module, values in changed:
        new = {name: nn.Parameter(values[name], old.requires_grad) for name, old in module.named_parameters()}
        module._parameters = {**module._parameters, **new}
    for member in members:
        member.disconnect()
    backbone.merges.append(Merged(members, kept))


def _values(module: nn.Module, parts: Iterable[Part]) -> Mapping[str, Tensor]:
    """The module's weights with the work of its parts (in the order of attachment) in them."""
    values: Mapping[str, Tensor] = {name: value.detach() for name, value in module.named_parameters()}
    outward = [part for part in parts if part.before is None]
    inward = [part for part in parts if part.before is not None]
    for part in [*outward, *reversed(inward)]:
        assert part.merged is not None
        values = {**values, **part.merged(module, values)}
    return values


def _alone(members: Sequence[Attachment], otherwise: str) -> None:
    """Check that no other attachment has hooks at the sites of these.

    Raises:
        RuntimeError: one has; its name, the site, and what to do.
    """
    backbone = members[0].backbone
    bound = {id(member) for merged in backbone.merges for member in merged.members} | {id(m) for m in members}
    paths = {site.path for member in members for site, _ in member.placed()}
    for other in backbone.attached:
        shared = [site.path for site, _ in other.placed() if site.path in paths]
        if shared and id(other) not in bound:
            names = " + ".join(member.name for member in members)
            raise RuntimeError(f"{names}: {other.name} at {shared[0]} {otherwise}")
