"""A choice of layers: `all`, `last`, `6`, `4-6`, `1,3,5-6`; they count from 1, and hidden state 0 enters layer 1."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sordino.rules import Rule, shown

MEAN = "mean:"  # in front of a head's choice: no weights are learned
FORM = "all, last, 6, 4-6 or 1,3,5-6"


def parse_layers(choice: str | int, n_layers: int, lowest: int = 1) -> list[int]:
    """The numbers that a choice of layers means, in order.

    Args:
        choice: text, or one number.
        n_layers: how many layers the backbone has.
        lowest: 1 where layers are chosen, 0 where hidden states are.

    Raises:
        ValueError: it is no choice of layers, or names one that the backbone does not have.
    """
    if choice in ("all", "last"):
        return list(range(1 if choice == "all" else n_layers, n_layers + 1))
    try:
        ranges = _ranges(choice, lowest)
        if ranges[-1][1] > n_layers:
            raise ValueError(f"there is no layer {ranges[-1][1]}, the backbone has {lowest} to {n_layers}")
    except ValueError as error:
        raise ValueError(f"layers = {shown(choice)}; {error}") from error
    return [layer for low, high in ranges for layer in range(low, high + 1)]


@dataclass(frozen=True)
class Layers(Rule):
    """A choice of layers, as far as it can be judged without a backbone; a number becomes text.

    Attributes:
        lowest: 1 where layers are chosen, 0 where hidden states are.
        mean: whether `mean:` may stand in front.
    """

    lowest: int = 1
    mean: bool = False

    def check(self, value: Any, where: str, wanted: str) -> str:
        """The choice as text."""
        plain = str(value).removeprefix(MEAN) if self.mean else str(value)
        if plain not in ("all", "last"):
            try:
                _ranges(plain, self.lowest)
            except ValueError as error:
                raise ValueError(f"{where} = {shown(value)}; {error}") from error
        return str(value)

    def wants(self, base: str) -> str:
        """The forms it has."""
        return f"{FORM}{f', perhaps behind {MEAN}' if self.mean else ''}"


def _ranges(choice: str | int, lowest: int) -> list[tuple[int, int]]:
    """First and last number of each piece, in order."""
    ranges = []
    for piece in str(choice).split(","):
        found = re.fullmatch(r"\s*([0-9]+)\s*(?:-\s*([0-9]+)\s*)?", piece)
        if found is None:
            raise ValueError(f"it wants {FORM}")
        low, high = int(found[1]), int(found[2] or found[1])
        if low > high:
            raise ValueError(f"{low}-{high} runs backwards; write {high}-{low}")
        if low < lowest:
            raise ValueError(f"{low} is no layer; they count from {lowest}")
        ranges.append((low, high))
    ranges.sort()
    for (_, high), (low, _) in pairwise(ranges):
        if low <= high:
            raise ValueError(f"layer {low} is named twice")
    return ranges
