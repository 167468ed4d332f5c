"""A name is a file: `petl/lora.py` is the method `lora`, `tasks/key.py` the task `key`.

A file of one of the four folders is found by its name, without being listed anywhere. It holds one class whose `name`
is the file's name. Files that begin with `_` are shared parts and have no name here. What comes from outside of the
package (`outside.py`) has its names beside these.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sordino import outside
from sordino.rules import Rule, shown, unknown, wrong
from sordino.settings import fit_keys

FOLDERS = {"backbone": "backbones", "method": "petl", "task": "tasks", "dataset": "datasets"}
FROM = "from"  # the key of a spec that says from which place its class is


def names(kind: str) -> list[str]:
    """All names of a kind (`backbone`, `method`, `task`, `dataset`), sorted; nothing of the package is imported.

    Raises:
        ValueError: two have one name.
    """
    return sorted([*own_names(kind), *outside.known(kind, set(own_names(kind)))])


def own_names(kind: str) -> list[str]:
    """The names of the package's own files, sorted."""
    return sorted(path.stem for path in _folder(kind).glob("*.py") if not path.stem.startswith("_"))


def file(kind: str, name: str) -> Path:
    """The file of a name of the package's own."""
    return _folder(kind) / f"{name}.py"


def _folder(kind: str) -> Path:
    return Path(__file__).parent / FOLDERS[kind]


def find(kind: str, name: str) -> Any:
    """The class that stands in the file of this name, or that comes from outside with it.

    Raises:
        ValueError: nothing has the name (the message offers the nearest), or two have it.
    """
    own = own_names(kind)
    others = outside.known(kind, set(own))
    if name in others:
        return outside.load(kind, name, others[name])
    if name not in own:
        raise ValueError(unknown(kind, name, sorted([*own, *others])))
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


def told_outside(kind: str, cls: type) -> dict[str, str] | None:
    """A class that is no part of sordino, as adapter files and runs name it; None for one that is."""
    told = outside.origin(cls)
    return told and {"kind": kind, "name": str(vars(cls)["name"]), **told}


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
    return owner(**fit_keys(owner, {key: value for key, value in options.items() if key != FROM}, where or name))


def specs(value: Any, what: str) -> list[dict[str, Any]]:
    """The long form of a spec: a list of tables with a `name`; a text may join names with `+`.

    A place (`my_methods.py:MyLoRA`) in the place of a name is imported: it is the user who writes specs. Its own name
    then stands there, and the place under `from`.

    Raises:
        ValueError: it is no name, table with a name, or list of these, or a name stands there twice or not at all, or
            a place holds no such class.
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
        return [_placed(name.strip(), what) for name in value.split("+")]
    if isinstance(value, Mapping) and "name" in value:
        first, *others = _specs(value["name"], what)
        if FROM in value and _placed(str(value[FROM]), what)["name"] != first["name"]:
            raise ValueError(f"{what} {first['name']}: from = {shown(value[FROM], 80)} holds another one")
        return [{**value, **first}, *others]
    if isinstance(value, Iterable) and not isinstance(value, Mapping):
        return [spec for item in value for spec in _specs(item, what)]
    if isinstance(value, Mapping):
        raise ValueError(f'the {what} table {dict(value)} has no name; write {{name = "...", ...}}')
    raise ValueError(f'{what} = {value!r} is not understood; write a name, or a table like {{name = "..."}}')


def _placed(name: str, what: str) -> dict[str, Any]:
    """A spec of a name, or of a place."""
    return {"name": outside.use(name, what)[0].name, FROM: name} if outside.is_place(name) else {"name": name}


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
            options = {key: option for key, option in spec.items() if key not in ("name", FROM)}
            options = fit_keys(owner, options, where if len(found) == 1 else f"{where}[{number}]")
            if isinstance(owner, type):  # it costs nothing, and some rules need all options at once
                owner(**options)
        return value

    def wants(self, base: str) -> str:
        """The forms it has."""
        one = f"a {self.kind}'s name, or a table of its name and options"
        return f"{one}, or several of these" if self.several else one
