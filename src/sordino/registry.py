"""A name is a file: `petl/lora.py` is the method `lora`, `tasks/key.py` the task `key`.

A file of one of the four folders is found by its name, without being listed anywhere. It holds one class whose `name`
is the file's name. Files that begin with `_` are shared parts and have no name here.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sordino.rules import Rule, unknown, wrong
from sordino.settings import fit_keys

FOLDERS = {"backbone": "backbones", "method": "petl", "task": "tasks", "dataset": "datasets"}


def names(kind: str) -> list[str]:
    """All names of a kind (`backbone`, `method`, `task`, `dataset`), sorted; nothing is imported."""
    return sorted(path.stem for path in _folder(kind).glob("*.py") if not path.stem.startswith("_"))


def file(kind: str, name: str) -> Path:
    """The file of a name."""
    return _folder(kind) / f"{name}.py"


def _folder(kind: str) -> Path:
    return Path(__file__).parent / FOLDERS[kind]


def find(kind: str, name: str) -> Any:
    """The class that stands in the file of this name.

    Raises:
        ValueError: no file has the name; the message offers the nearest.
    """
    known = names(kind)
    if name not in known:
        raise ValueError(unknown(kind, name, known))
    module = importlib.import_module(f"sordino.{FOLDERS[kind]}.{name}")
    for value in vars(module).values():
        if isinstance(value, type) and value.__module__ == module.__name__ and value.__dict__.get("name") == name:
            return value
    raise ValueError(f'{FOLDERS[kind]}/{name}.py holds no class with name = "{name}"')


def maker(kind: str, name: str) -> Any:
    """What makes an object of this name: the class, or its `load` where it has one. Its parameters are the options.

    Raises:
        ValueError: no file has the name.
    """
    cls = find(kind, name)
    return getattr(cls, "load", cls)


def make(kind: str, name: str, options: Mapping[str, Any], where: str = "") -> Any:
    """An object of the class of this name, with its options.

    Args:
        kind: `backbone`, `method`, `task` or `dataset`.
        name: the file's name.
        options: by name; they are checked and copied.
        where: the path of the options, for errors; the name when empty.

    Raises:
        ValueError: no file has the name, the class has no such option, or wants another value; says what and where.
    """
    owner = maker(kind, name)
    return owner(**fit_keys(owner, options, where or name))


def specs(value: Any, what: str) -> list[dict[str, Any]]:
    """The long form of a spec: a list of tables with a `name`; a text may join names with `+`.

    Raises:
        ValueError: it is no name, table with a name, or list of these, or a name stands there twice or not at all.
    """
    found = _specs(value, what)
    named = [spec["name"] for spec in found]
    twice = [name for name in named if named.count(name) > 1]
    if twice:
        raise ValueError(f"{what} {twice[0]} is named twice; one model can hold it once")
    if not found:
        raise ValueError(f"no {what} is named; known: {', '.join(names(what))}")
    return found


def _specs(value: Any, what: str) -> list[dict[str, Any]]:
    if isinstance(value, str):
        return [{"name": name.strip()} for name in value.split("+")]
    if isinstance(value, Mapping) and "name" in value:
        first, *others = _specs(value["name"], what)
        return [{**value, **first}, *others]
    if isinstance(value, Iterable) and not isinstance(value, Mapping):
        return [spec for item in value for spec in _specs(item, what)]
    if isinstance(value, Mapping):
        raise ValueError(f'the {what} table {dict(value)} has no name; write {{name = "...", ...}}')
    raise ValueError(f'{what} = {value!r} is not understood; write a name, or a table like {{name = "..."}}')


@dataclass(frozen=True)
class SpecOf(Rule):
    """A spec: a name, a table of a name and options, or (`several`) a list of these; each checked, nothing loaded."""

    kind: str
    several: bool = True

    def check(self, value: Any, where: str, wanted: str) -> Any:
        """The spec as it was written.

        Raises:
            ValueError: a name or an option is unknown, or a value is wrong; says which.
        """
        found = specs(value, self.kind)
        if len(found) > 1 and not self.several:
            raise wrong(where, value, wanted)
        for number, spec in enumerate(found):
            owner = maker(self.kind, spec["name"])
            options = {key: option for key, option in spec.items() if key != "name"}
            options = fit_keys(owner, options, where if len(found) == 1 else f"{where}[{number}]")
            if isinstance(owner, type):  # it costs nothing, and some rules need all options at once
                owner(**options)
        return value

    def wants(self, base: str) -> str:
        """The forms it has."""
        one = f"a {self.kind}'s name, or a table of its name and options"
        return f"{one}, or several of these" if self.several else one
