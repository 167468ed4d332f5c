"""Sites: the named places of a backbone, and the parts that methods attach there.

A backbone is never edited. Every site is a module that is there anyway (a Linear, a convolution, a norm) or a
parameter-free tap that the backbone calls at a place worth naming. A method supplies *parts*; an `Attachment`
(contracts/attachment.py) connects each to its site through forward hooks.

A role means the same on every backbone, with the same kind of module behind it (the contract tests compare them):
a backbone's layers say which roles they have in `sites`, docs/add_a_backbone.md says what stands behind each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True)
class Site:
    """One place of a backbone.

    Attributes:
        path: the module's path inside the backbone; the site's unique name.
        role: what the place is for, named alike on every architecture (`attn.q`, `after.ffn`, ...).
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
    """A place without a weight: gives back what it is given, unless a part is attached.

    What it is called with depends on its role: `tokens` (x, mask, n_prompt), what enters the encoder, before positions;
    `layer.tokens` (x, n_prompt), what enters one layer; `attn.kv` (keys, values, mask), the first two
    [batch head token dim]; `states` (states, mask), all hidden states, behind the last layer.
    """

    def forward(self, *values: Any) -> tuple[Any, ...]:
        """Return the values as they came."""
        return values


class Join(nn.Module):
    """Adds a sublayer's output to the residual stream: `residual + scale * update`; roles `after.attn`, `after.ffn`,
    `after.conv`.

    A part can change `update` before the sum (a pre-hook), see `source`, the sublayer's own input, for a parallel
    branch, or change the sum (a hook); `mask` tells it which tokens are padding.
    """

    def __init__(self, scale: float = 1.0):
        super().__init__()
        self.scale = scale

    def forward(self, residual: Tensor, update: Tensor, source: Tensor, mask: Tensor | None = None) -> Tensor:
        """Sum `residual` and the scaled `update`, all [batch token dim]; the layer's mask [batch token] passes by."""
        return residual + self.scale * update


class Norm(nn.Module, ABC):
    """A norm of a backbone's own kind: `weight * normed(x) + bias`, a weight and a bias for each channel (axis 1)."""

    weight: nn.Parameter
    bias: nn.Parameter

    @abstractmethod
    def normed(self, x: Tensor) -> Tensor:
        """What weight and bias are then applied to."""


class Part(nn.Module):
    """What a method attaches at one site; define `before`, `after`, or both. Keep nothing from one call to the next.

    Inside a layer a part works on each row of the batch for itself: the others may be another model's (`together.py`).
    What leaves a site is a new tensor, which is not kept: it may be written over.

    - `before(module, inputs) -> inputs`: changes the tuple of what enters the site.
    - `after(module, inputs, output) -> output`: changes what leaves it.
    - `merged(module, values) -> {name: tensor}`: what becomes of the site's weights when they are to do the part's
      work too. `values` (`weight`, and `bias` where there is one) hold the work of the parts before it, `module` the
      weights without any; only for parts with either `before` or `after` that can be merged.
    """

    before: Callable[..., tuple[Any, ...]] | None = None
    after: Callable[..., Any] | None = None
    merged: Callable[..., Mapping[str, Tensor]] | None = None

    def export(self) -> dict[str, Tensor]:
        """The tensors that go into the adapter file, by name; by default the part's whole state."""
        return self.state_dict()

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `export` gave."""
        self.load_state_dict(tensors)
