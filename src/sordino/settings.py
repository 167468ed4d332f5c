"""Settings: what a field may hold stands beside it, and is checked however the object is made.

    @dataclass
    class Schedule(Settings):
        '''How the rate falls.

        Attributes:
            steps: optimiser steps.
            shape: of the fall.
        '''

        steps: Annotated[int, Range(1)] = 1000
        shape: Literal["cosine", "constant"] = "cosine"

The annotation says what is allowed, the docstring what is meant; errors, help and the generated pages are made of both.
The same holds for the parameters of a function, with `Args:`.
"""

from __future__ import annotations

import copy
import inspect
import math
import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from functools import cache
from numbers import Integral, Real
from typing import Annotated, Any, Literal, TypeVar

from sordino.rules import LISTS, TABLES, UNIONS, Rule, choices, join, shown, unknown, wants, wrong

T = TypeVar("T")
MOST = 2**63 - 1  # the largest whole number that all libraries take


@dataclass(frozen=True)
class KeysOf(Rule):
    """A table that holds some of the settings of a class, each as the class wants it."""

    owner: Any
    but: tuple[str, ...] = ()

    def check(self, value: Any, where: str, wanted: str) -> Any:
        """The table, checked; a table within it holds some settings too."""
        known = settings(self.owner)
        inner = {key: known[key].hint for key in value if key in known and is_dataclass(known[key].hint)}
        outer = fit_keys(self.owner, {key: item for key, item in value.items() if key not in inner}, where, self.but)
        for key, hint in inner.items():
            table = fit(value[key], dict[str, Any], join(where, key), wants(hint))
            outer[key] = fit_keys(hint, table, join(where, key))
        return outer

    def wants(self, base: str) -> str:
        """Whose settings."""
        return f"a table with settings of {self.owner.__name__}"


@dataclass(frozen=True)
class Setting:
    """One setting: what it is called, what it may hold, and what it means.

    Attributes:
        name: its name.
        hint: its annotation.
        default: its value when none is given; MISSING where one must be.
        help: what the docstring says of it.
    """

    name: str
    hint: Any
    default: Any
    help: str

    def __str__(self) -> str:
        return self.name if self.default is MISSING else f"{self.name} = {shown(self.default, 40)}"

    @property
    def told(self) -> str:
        """What it means and what it wants, in words."""
        return f"{self.help}  [{wants(self.hint)}]".lstrip()

    def marks(self, kind: type[T]) -> list[T]:
        """The rules or marks of this kind in its annotation."""
        return [mark for mark in getattr(self.hint, "__metadata__", ()) if isinstance(mark, kind)]


class Settings:
    """A dataclass of settings: whoever makes one, its fields are checked and its lists and tables are its own."""

    def __post_init__(self) -> None:
        owner: Any = type(self)
        for name, setting in settings(owner).items():
            value = fit(getattr(self, name), setting.hint, f"{getattr(owner, 'name', owner.__name__)}.{name}")
            object.__setattr__(self, name, value)


@cache
def settings(owner: Any) -> dict[str, Setting]:
    """The settings of a dataclass, of another class, or of a function; `**options` of a `load` are its class's."""
    if is_dataclass(owner):
        made = {item.name: item.default if item.default_factory is MISSING else item.default_factory()
                for item in fields(owner) if item.init}  # fmt: skip
        hints, meanings = typing.get_type_hints(owner, include_extras=True), _meanings(owner)
        return {name: Setting(name, hints[name], value, meanings.get(name, "")) for name, value in made.items()}
    signature = inspect.signature(owner).parameters.values()
    hints = typing.get_type_hints(owner.__init__ if isinstance(owner, type) else owner, include_extras=True)
    meanings, found = _meanings(owner), {}
    for item in signature:
        if item.kind is item.VAR_KEYWORD and isinstance(getattr(owner, "__self__", None), type):
            found.update(settings(owner.__self__))
        elif item.kind not in (item.VAR_KEYWORD, item.VAR_POSITIONAL):
            default = MISSING if item.default is item.empty else item.default
            found[item.name] = Setting(item.name, hints.get(item.name, Any), default, meanings.get(item.name, ""))
    return found


def _meanings(owner: Any) -> dict[str, str]:
    """What docstrings say of settings, under `Attributes:` or `Args:`; a class inherits what its parents say."""
    meanings: dict[str, str] = {}
    for each in reversed(owner.__mro__) if isinstance(owner, type) else [owner]:
        _, *section = re.split(r"(?m)^(?:Attributes|Args):\n", inspect.cleandoc(each.__doc__ or ""), maxsplit=1)
        entries = re.findall(r"(?m)^    (\w+): (.*(?:\n {8}.*)*)", "".join(section))
        meanings.update({name: re.sub(r"\s+", " ", meaning) for name, meaning in entries})
    return meanings


def flat(owner: Any, prefix: str = "") -> list[Setting]:
    """The settings of a class under their full paths, those of tables within it one by one."""
    found = []
    for setting in settings(owner).values():
        tables = [mark.owner for mark in setting.marks(KeysOf)] or [setting.hint]
        path = f"{prefix}{setting.name}"
        if is_dataclass(tables[0]) and tables[0] is not owner:
            found += flat(tables[0], f"{path}.")
        else:
            found.append(replace(setting, name=path))
    return found


def options_table(options: Iterable[Setting]) -> str:
    """Settings as a Markdown table."""
    lines = ["| option | default | wants | |", "|---|---|---|---|"]
    for option in options:
        default = "" if option.default is MISSING else f"`{shown(option.default, 1000)}`"
        lines.append(f"| `{option.name}` | {default} | {wants(option.hint)} | {option.help} |")
    return "\n".join(lines) + "\n"


def build(cls: type[T], values: Mapping[str, Any], where: str = "") -> T:
    """Fill a dataclass from plain data.

    Args:
        cls: the dataclass.
        values: by field; left unchanged, and what is built shares nothing with it.
        where: path of the table, for errors.

    Raises:
        ValueError: an unknown key (the nearest is offered), a value that a field does not want, or a missing one.
    """
    fitted = fit_keys(cls, values, where)
    for name, setting in settings(cls).items():
        if setting.default is MISSING and name not in fitted:
            raise ValueError(f"{join(where, name)} is missing; it wants {wants(setting.hint)}")
    return cls(**fitted)


def fit_keys(owner: Any, values: Mapping[str, Any], where: str = "", but: Sequence[str] = ()) -> dict[str, Any]:
    """Values of some settings of a class or function, checked.

    Args:
        owner: the class or function.
        values: by name.
        where: path of the table, for errors.
        but: settings that may not stand here.

    Raises:
        ValueError: an unknown name, or a wrong value.
    """
    known = {name: setting for name, setting in settings(owner).items() if name not in but}
    for key in values:
        if key not in known:
            raise ValueError(unknown("setting", str(key), list(known), f"{where}." if where else ""))
    return {key: fit(value, known[key].hint, join(where, key)) for key, value in values.items()}


def fit(value: Any, hint: Any, where: str, wanted: str = "") -> Any:
    """A value as its annotation wants it: a whole number made a float, one text made a list, containers copied.

    Args:
        value: plain data.
        hint: the annotation.
        where: the setting's path.
        wanted: what the setting wants, where that is more than `hint` says.

    Raises:
        ValueError: it does not fit; says where, what it is, and what is wanted.
    """
    wanted, kind, inner = wanted or wants(hint), typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind is Annotated:
        value = fit(value, inner[0], where, wanted)
        for rule in inner[1:]:
            value = rule.check(value, where, wanted) if isinstance(rule, Rule) else value
        return value
    if not _has_shape(value, hint):
        raise wrong(where, value, wanted, choices(hint))
    if kind in UNIONS:
        return fit(value, next(option for option in inner if _has_shape(value, option)), where, wanted)
    if kind in LISTS:
        return _fit_list(value, kind, inner, where)
    if kind in TABLES:
        key_hint, hint = inner or (Any, Any)
        return {fit(key, key_hint, where): fit(item, hint, join(where, str(key))) for key, item in value.items()}
    if is_dataclass(hint):
        return build(hint, value, where) if isinstance(value, Mapping) else replace(value)  # type: ignore[arg-type]
    return {int: int, float: float, Any: copy.deepcopy}.get(kind, lambda same: same)(value)


def _fit_list(value: Any, kind: Any, inner: tuple[Any, ...], where: str) -> Any:
    """Each item as it is wanted, as a list where a list is wanted and otherwise as a tuple."""
    items = [value] if isinstance(value, str) else list(value)
    hints = list(inner) if kind is tuple and Ellipsis not in inner else [*inner, Any][:1] * len(items)
    fitted = [fit(item, hint, f"{where}[{i}]") for i, (item, hint) in enumerate(zip(items, hints, strict=True))]
    return fitted if kind is list else tuple(fitted)


def _has_shape(value: Any, hint: Any) -> bool:
    """Whether the outermost type is right."""
    kind, inner = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind is Annotated:
        return _has_shape(value, inner[0])
    if kind in UNIONS:
        return any(_has_shape(value, option) for option in inner)
    if kind is Any or hint is None:
        return kind is Any or value is None
    if kind is Literal:
        return any(type(value) is type(choice) and value == choice for choice in inner)
    if kind in LISTS:
        if kind is tuple and Ellipsis not in inner:
            return isinstance(value, (list, tuple)) and len(value) == len(inner)
        return isinstance(value, (list, tuple, str))
    if kind in TABLES or (is_dataclass(hint) and isinstance(value, Mapping)):
        return isinstance(value, Mapping)
    if kind in (int, float):
        right = isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
        return right and (abs(int(value)) <= MOST if isinstance(value, Integral) else math.isfinite(value))
    return isinstance(value, kind)
