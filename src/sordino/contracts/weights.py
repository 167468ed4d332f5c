"""Weights: sets of them as they were published, which know where they are on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable


@runtime_checkable
class Weights(Protocol):
    """A set of weights as it was published."""

    def where(self) -> str:
        """Where it is on this machine, or how to get it, in one line."""
        ...


def whereabouts(published: Mapping[str, Weights]) -> str:
    """Where each variant's weights are, or how to get them, one line each."""
    return "\n".join(f"{variant}: {weights.where()}" for variant, weights in published.items()) or "random or built in"
