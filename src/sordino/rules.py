"""Rules that stand beside a field's type, and how types, rules and errors are put in words.

    steps: Annotated[int, Range(1)]

is told as "a whole number (1 or more)", in errors, in help and on the generated pages.
"""

from __future__ import annotations

import difflib
import json
import math
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

T = TypeVar("T")
UNIONS = (typing.Union, types.UnionType)
LISTS = (list, tuple, Sequence)
TABLES = (dict, Mapping)
WORDS = {
    int: "a whole number", float: "a number", bool: "true or false", str: "a text", Path: "a path", Any: "anything",
    type(None): "none", **dict.fromkeys(LISTS, "a list"), **dict.fromkeys(TABLES, "a table"),
}  # fmt: skip


class Rule:
    """Something beyond the type that a value must obey; stands in an `Annotated`."""

    def check(self, value: Any, where: str, wanted: str) -> Any:
        """The value, perhaps in its usual form.

        Args:
            value: of the right type already.
            where: the setting's path, for the error.
            wanted: what the setting wants, for the error.

        Raises:
            ValueError: it is against the rule.
        """
        return value

    def wants(self, base: str) -> str:
        """What is wanted, in words, from the words for the type."""
        return base


@dataclass(frozen=True)
class Range(Rule):
    """Bounds of a number: `least` and `most` are allowed themselves, `above` and `below` are not."""

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    below: float = math.inf
    odd: bool = False

    def check(self, value: Any, where: str, wanted: str) -> Any:
        """The number, if it lies within."""
        within = self.least <= value <= self.most and self.above < value < self.below
        if value is not None and not (within and (not self.odd or value % 2)):
            raise wrong(where, value, wanted)
        return value

    def wants(self, base: str) -> str:
        """The type and the bounds."""
        if math.isfinite(self.least) and math.isfinite(self.most):
            return f"{base} ({self.least:g} to {self.most:g})"
        low = f"{self.least:g} or more" if math.isfinite(self.least) else f"more than {self.above:g}"
        high = f"{self.most:g} or less" if math.isfinite(self.most) else f"less than {self.below:g}"
        told = [text for text in (low, high) if "inf" not in text]
        return f"{'an odd' + base.removeprefix('a') if self.odd else base} ({' and '.join(told)})"


@dataclass(frozen=True)
class OneOf(Rule):
    """A text that is one of some names known elsewhere."""

    names: tuple[str, ...]

    def check(self, value: Any, where: str, wanted: str) -> Any:
        """The name, if it is known."""
        if value not in self.names:
            raise wrong(where, value, wanted, self.names)
        return value

    def wants(self, base: str) -> str:
        """The names."""
        return either(self.names)


class Filled(Rule):
    """A list that is not empty."""

    def check(self, value: Any, where: str, wanted: str) -> Any:
        """The list, if something is in it."""
        if not value:
            raise wrong(where, value, wanted)
        return value

    def wants(self, base: str) -> str:
        """The type, and this."""
        return f"{base}, not empty"


Count = Annotated[int, Range(1)]
LayerCount = Annotated[int, Range(1, 1000)]
Seed = Annotated[int, Range(0)]
Share = Annotated[float, Range(0, 1)]
Dropped = Annotated[float, Range(0, below=1)]
Positive = Annotated[float, Range(above=0)]
NotNegative = Annotated[float, Range(0)]
ByRole: TypeAlias = T | dict[str, T]  # one value, or a table of values by a site's role


def wants(hint: Any) -> str:
    """What an annotation wants, in words."""
    kind, inner = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind is Annotated:
        text = wants(inner[0])
        for rule in inner[1:]:
            text = rule.wants(text) if isinstance(rule, Rule) else text
        return text
    if kind is Literal:
        return either(inner)
    if kind in UNIONS:
        told = [wants(option) for option in inner]
        return either(dict.fromkeys(text.replace(f", each {told[0]}", " of these") for text in told))
    if kind is tuple and inner and Ellipsis not in inner:
        return f"{len(inner)} in a list, {', '.join(map(wants, inner))}"
    each = inner[-1] if kind in TABLES else inner[0] if inner else Any
    told = WORDS.get(kind, "a table" if is_dataclass(hint) else getattr(kind, "__name__", str(kind)))
    return told if kind not in (*LISTS, *TABLES) or each is Any or not inner else f"{told}, each {wants(each)}"


def choices(hint: Any) -> list[str]:
    """The texts that an annotation lists."""
    if typing.get_origin(hint) is Literal:
        return [choice for choice in typing.get_args(hint) if isinstance(choice, str)]
    return [choice for inner in typing.get_args(hint) for choice in choices(inner)]


def wrong(where: str, value: Any, wanted: str, known: Iterable[str] = ()) -> ValueError:
    """The error for a value that its setting does not want, in one line, with the nearest choice."""
    return ValueError(f"{where} = {shown(value)}; it wants {wanted}{_nearest(str(value), list(known))}")


def unknown(what: str, name: str, known: list[str], prefix: str = "") -> str:
    """One line for a name nobody knows: what it was meant as, the nearest name, the whole list."""
    return f'unknown {what} "{prefix}{name}"{_nearest(name, known, prefix) or "."} Known: {", ".join(known)}'


def _nearest(name: str, known: list[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f'; did you mean "{prefix}{near[0]}"?' if near else ""


def join(where: str, key: str) -> str:
    """The path of a key of a table, as TOML writes it."""
    key = key if re.fullmatch(r"[\w-]+", key) else f'"{key}"'
    return f"{where}.{key}" if where else key


def either(names: Iterable[Any]) -> str:
    """Several things of which one is wanted."""
    *others, last = map(str, names)
    return f"{', '.join(others)} or {last}" if others else last


def shown(value: Any, longest: int = 80) -> str:
    """A value as TOML and the command line write it, on one line of at most `longest` characters."""
    try:
        text = json.dumps(value, default=str, ensure_ascii=False)
    except (ValueError, TypeError, RecursionError):  # a number of thousands of digits, a key that is no text
        text = f"a {type(value).__name__}"
    text = {"null": "none", "NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}.get(text, text)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
