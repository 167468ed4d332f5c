"""Method: what is attached at which sites, and what is trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar

from torch import Tensor

from sordino.contracts.attachment import Attachment
from sordino.contracts.backbone import Backbone
from sordino.layers import Layers, parse_layers
from sordino.settings import Settings
from sordino.sites import Part, Site


@dataclass(kw_only=True)
class Method(Settings, ABC):
    """What is attached at which sites and what is trained. A subclass is a dataclass: its fields are its options.

    Attributes:
        layers: the layers it is attached to; `all` up to the highest hidden state that is read.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    paper: ClassVar[str]
    year: ClassVar[int]
    mergeable: ClassVar[bool] = False  # the trained part can be written into the backbone's weights
    identity: ClassVar[bool] = True  # before training, the model answers as the bare backbone does
    through_backbone: ClassVar[bool] = True  # training needs gradients through the backbone
    trains_backbone: ClassVar[bool] = False  # trains the backbone's own weights; the model then works on a copy
    head: ClassVar[Mapping[str, Any]] = {}  # defaults for the head, where the method wants other than the usual ones
    learning_rate: ClassVar[float] = 1e-4  # the usual one, when a config names none
    earlier: ClassVar[Mapping[str, Any]] = {}  # what adapter files mean that were written before an option was there

    layers: Annotated[str | int, Layers()] = "all"

    def chosen_layers(self, backbone: Backbone) -> list[int]:
        """The chosen layers; with `all`, those up to the highest hidden state that is read of this backbone.

        Raises:
            ValueError: none is left, or a layer that was named lies above that state, where nothing can be learned.
        """
        chosen = parse_layers(self.layers, backbone.n_layers)
        above = [layer for layer in chosen if layer > backbone.top]
        if above and (self.layers != "all" or above == chosen):
            raise ValueError(
                f'{self.name}: layers = "{self.layers}" names {", ".join(map(str, above))}, but no hidden state above '
                f"{backbone.top} is read, so no gradient gets there; name lower layers or let the head read higher ones"
            )
        return [layer for layer in chosen if layer <= backbone.top]

    def choose(self, backbone: Backbone, roles: Sequence[str]) -> list[Site]:
        """The backbone's sites of these roles in the chosen layers (`tokens` and `states` belong to none).

        Raises:
            ValueError: a role matches nothing on this backbone, or see `chosen_layers`.
        """
        chosen = {0, *self.chosen_layers(backbone), backbone.n_layers + 1}
        found = [site for site in backbone.sites() if site.layer in chosen and site.role in roles]
        missing = [role for role in roles if role not in {site.role for site in found}]
        if missing:
            known = sorted({site.role for site in backbone.sites()})
            raise ValueError(f"{self.name}: role {missing[0]} matches nothing on {backbone.name}; it has {known}")
        return found

    def reads(self, backbone: Backbone, wanted: AbstractSet[int]) -> set[int]:
        """The numbers of the hidden states from which those in `wanted` are made, by this method's part at `states`.

        Raises:
            ValueError: the part changes a state that is not wanted.
        """
        return set(wanted)

    @abstractmethod
    def parts(self, backbone: Backbone) -> list[tuple[Site, Part]]:
        """New parts for the sites it uses (random parts draw from torch's global generator)."""

    @abstractmethod
    def n_parameters(self, backbone: Backbone) -> int:
        """How many parameters are trained, by the method's own formula (the head not counted)."""

    def attach(self, backbone: Backbone) -> Attachment:
        """Attach new parts to the backbone and give back the sidecar."""
        return Attachment(backbone, self.parts(backbone), self.name)

    def begin(self, attachment: Attachment, see: Callable[[], object]) -> None:
        """Start from data, before the first step of a training; most methods need nothing.

        Args:
            attachment: the parts; the answers stay as they are where `identity` says so.
            see: passes the rows of the first steps through the model, without gradients.
        """

    def penalty(self, attachment: Attachment) -> Tensor | float:
        """What is added to the loss of every step, of the parts alone; most methods add nothing."""
        return 0.0

    def after_step(self, attachment: Attachment, step: int, steps: int) -> None:
        """Change the parts once the optimiser has taken a step, when its gradients are still there.

        What is remembered for later steps is a buffer of a part, so that a killed training goes on from it.

        Args:
            attachment: the parts.
            step: how many steps were taken, from 1.
            steps: how many there are at most.
        """

    def unfrozen(self, backbone: Backbone) -> Mapping[str, int]:
        """The backbone's own parameters that are trained (only with `trains_backbone`).

        Returns:
            By name, the first hidden state that the parameter touches; 0 for all that comes between the frontend and
            layer 1, -1 for the frontend.
        """
        return {}

    def parameter_groups(self, model: Any, lr: float) -> list[dict[str, Any]]:
        """Groups for the optimiser of what this method trains in `model`; one group with rate `lr` by default."""
        trained = [p for p in model.attachment_parameters(self) if p.requires_grad]
        return [{"params": trained, "lr": lr}] if trained else []

    def options(self) -> dict[str, Any]:
        """The options as they are written into configs and adapter files."""
        return {item.name: getattr(self, item.name) for item in fields(self)}
