"""A method on a tiny backbone, ready to be checked."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from sordino import registry
from sordino.contracts import Attachment, Backbone, Frames, Method
from sordino.model import Model
from sordino.petl import make_method
from sordino.tasks import make_task


class MethodCase:
    """A method on a tiny backbone whose weights all checks share.

    Args:
        method: it.
        backbone: the backbone's name.

    Attributes:
        frames: two clips, the second padded.
        alone: the second clip alone.
        bare: the hidden states with nothing attached.
    """

    def __init__(self, method: Method, backbone: str):
        self.method = method
        self.backbone, self.frames, self.alone, self.bare, self.fingerprint = _prepared(backbone)

    def attach(self, trained: bool = False, seed: int = 0) -> Attachment:
        """New parts on a share of the backbone; `trained`: as if some training had moved them."""
        torch.manual_seed(seed)
        attachment = self.method.attach(self.backbone.share()).eval()
        if trained:
            disturb(attachment.parameters())
        return attachment

    def states(self, attachment: Attachment, frames: Frames | None = None) -> list[Any]:
        """The hidden states with an attachment."""
        return attachment.backbone.encode(frames or self.frames)

    def model(self) -> Model:
        """A model for keys, without dropout in the head."""
        task = make_task("key")
        task.fit([])
        return Model(self.backbone, [task], [self.method], {"dropout": 0.0})

    def again(self, **options: Any) -> Method:
        """The method with other options."""
        return make_method(self.method.name, **{**self.method.options(), **options})


@functools.cache
def _prepared(name: str) -> tuple[Backbone, Frames, Frames, list[Any], str]:
    tiny = registry.find("backbone", name).tiny().freeze()
    waveform = 0.1 * torch.randn(2, int(0.5 * tiny.sample_rate_hz), generator=torch.Generator().manual_seed(1))
    n_samples = torch.tensor([waveform.shape[1], waveform.shape[1] * 3 // 5])
    waveform[1, n_samples[1] :] = 0
    frames, alone = tiny.frontend(waveform, n_samples), tiny.frontend(waveform[1:, : n_samples[1]])
    with torch.no_grad():
        return tiny, frames, alone, tiny.encode(frames), tiny.fingerprint()


@torch.no_grad()
def disturb(parameters: Iterable[Tensor]) -> None:
    """Move parameters as some training would."""
    for value in parameters:
        value.add_(0.05 * torch.randn_like(value))
