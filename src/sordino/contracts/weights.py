"""Weights: sets of them as they were published, which know where they are on this machine, and heads beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor


@runtime_checkable
class Weights(Protocol):
    """A set of weights as it was published."""

    def where(self) -> str:
        """Where it is on this machine, or how to get it, in one line."""
        ...


class OwnHead(NamedTuple):
    """Output layers that were published with a backbone's weights, as the head of a task.

    Attributes:
        name: what the adapter made of it is called behind the backbone's name.
        task: the task's name.
        task_config: what the task is restored from.
        head: options of the head.
        tensors: the head's tensors, by its own names.
        segment_s: the length of the segments that it answers.
        notice: what the licence wants to be said wherever the layers go.
    """

    name: str
    task: str
    task_config: Mapping[str, Any]
    head: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    segment_s: float
    notice: str


def whereabouts(published: Mapping[str, Weights]) -> str:
    """Where each variant's weights are, or how to get them, one line each."""
    return "\n".join(f"{variant}: {weights.where()}" for variant, weights in published.items()) or "random or built in"
