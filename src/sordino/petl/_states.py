"""Reading hidden states behind the last layer, for the methods that never go through the backbone."""

from __future__ import annotations

from torch import Tensor


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
