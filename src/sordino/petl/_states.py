"""Reading hidden states behind the last layer, for the methods that never go through the backbone."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from torch import Tensor

from sordino.contracts import Backbone


def behind_last(name: str, backbone: Backbone, wanted: AbstractSet[int]) -> set[int]:
    """The wanted states without the last one, which the method `name` makes.

    Raises:
        ValueError: the last one is not wanted.
    """
    last = backbone.n_layers
    if last not in wanted:
        raise ValueError(f"{name} works on hidden state {last}, but {sorted(wanted)} are read; set head.layers = last")
    return set(wanted) - {last}


def pick(states: list[Tensor | None], numbers: list[int]) -> list[Tensor]:
    """The states of these numbers.

    Raises:
        ValueError: one was neither computed nor read from a cache.
    """
    found = []
    for number in numbers:
        state = states[number]
        if state is None:
            raise ValueError(f"hidden state {number} is not there; compute or cache states {numbers}")
        found.append(state)
    return found
