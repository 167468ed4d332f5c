"""What lives outside of the package: backbones, methods, tasks and datasets of other packages and of a user's files.

Three ways lead here, and each is the user's own word:

- a package is installed whose metadata have an entry point of the group `sordino.backbones`, `sordino.methods`,
  `sordino.tasks` or `sordino.datasets`: its name is then known as those of the package's own files are;
- a config names a place, `method = {name = "my_methods.py:MyLoRA"}` or `"my_package.methods:MyLoRA"`;
- `--plugin my_methods.py`, or the places in `$SORDINO_PLUGINS` (which other processes inherit), or `use` in Python.

An adapter file tells where its outside things came from (`origin`), so that loading says what is missing. What it tells
is never imported: it may come from a stranger. Nor is the code of a repository of the Hub run that an adapter names,
unless the user has named it too (`--remote-code`, `$SORDINO_REMOTE_CODE`, `trust` in Python).
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import os
import re
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points, packages_distributions, version
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from sordino.rules import shown

CONTRACTS = {kind.lower(): (f"sordino.contracts.{kind.lower()}", kind)
             for kind in ("Backbone", "Method", "Task", "Dataset")}  # fmt: skip
PLACE = re.compile(r"(?P<where>.+\.py|[A-Za-z_]\w*(\.[A-Za-z_]\w*)*):(?P<cls>[A-Za-z_]\w*)")
PLUGINS = "SORDINO_PLUGINS"  # places, joined as PATH is
REMOTE = "SORDINO_REMOTE_CODE"  # repositories and folders of models, likewise


class Found(NamedTuple):
    """A class from outside.

    Attributes:
        kind: `backbone`, `method`, `task` or `dataset`.
        name: its name.
        cls: the class.
    """

    kind: str
    name: str
    cls: Any


_used: dict[tuple[str, str], Found] = {}
_files: dict[Path, tuple[str, ModuleType]] = {}  # with the hash of what was imported
_read: set[str] = set()  # values of PLUGINS


def is_place(name: str) -> bool:
    """Whether a name says where a class is: `my_methods.py:MyLoRA`, `my_package.methods:MyLoRA`."""
    return PLACE.fullmatch(name) is not None


def use(place: str | Path, kind: str | None = None) -> list[Found]:
    """Import what the user names; from then on its classes are found by their names.

    Args:
        place: a file or a module, alone (all that it holds) or with a class: `my_methods.py:MyLoRA`.
        kind: what the class must be, where that is known.

    Raises:
        ValueError: there is no such file, module or class, it cannot be imported, it is of no or another kind, or
            another one has its name.
    """
    named = PLACE.fullmatch(str(place))
    where, wanted = (named["where"], named["cls"]) if named else (str(place), None)
    found = [each for each in _held(_module(where)) if wanted in (None, each.cls.__name__)]
    if not found or (kind and [each.kind for each in found] != [kind]):
        what = f"class {wanted}" if wanted else "class"
        a_kind = kind or "backbone, method, task or dataset"
        raise ValueError(f"{where} holds no {what} that is a finished {a_kind} with a name of its own")
    for each in found:
        other = _used.get((each.kind, each.name))
        if other and (other.cls.__module__, other.cls.__name__) != (each.cls.__module__, each.cls.__name__):
            raise ValueError(_clash(each.kind, each.name, _told(other.cls), _told(each.cls)))
        if is_place(each.name) or not re.fullmatch(r"[\w-]+", each.name):
            raise ValueError(f"{_told(each.cls)}: name = {shown(each.name, 40)} is no name; use letters, digits and _")
    _used.update({(each.kind, each.name): each for each in found})
    return found


def _held(module: ModuleType) -> list[Found]:
    """The finished classes of a module that have a name of their own."""
    own = [each for each in vars(module).values() if isinstance(each, type) and each.__module__ == module.__name__]
    named = [(kind_of(each), vars(each).get("name"), each) for each in own if not inspect.isabstract(each)]
    return [Found(kind, name, each) for kind, name, each in named if kind and isinstance(name, str)]


def named_by_user(places: Sequence[str]) -> None:
    """Take more places as the user's word, in this process and those that it starts."""
    _add(PLUGINS, [str(Path(place).resolve()) if Path(place).suffix == ".py" else place for place in places])


def trust(repositories: Sequence[str]) -> None:
    """Let adapters use models whose own code is run, from these repositories or folders, here and in processes to come.

    Args:
        repositories: as an adapter names them.
    """
    _add(REMOTE, repositories)


def trusted(repository: str) -> bool:
    """Whether the user has named this repository or folder."""
    return repository in _named(REMOTE)


def _named(variable: str) -> list[str]:
    return list(filter(None, os.environ.get(variable, "").split(os.pathsep)))


def _add(variable: str, values: Sequence[str]) -> None:
    os.environ[variable] = os.pathsep.join(dict.fromkeys([*_named(variable), *values]))


def kind_of(cls: type) -> str | None:
    """Which of the four nouns a class is; nothing is imported for it."""
    parents = {(parent.__module__, parent.__name__) for parent in cls.__mro__[1:]}
    return next((kind for kind, contract in CONTRACTS.items() if contract in parents), None)


def known(kind: str, own: set[str]) -> dict[str, EntryPoint | Found]:
    """What there is of a kind from outside, by name; entry points are not imported.

    Raises:
        ValueError: two have one name, or one has that of a file of the package (`own`).
    """
    if (places := os.environ.get(PLUGINS, "")) not in _read:
        _read.add(places)
        for place in _named(PLUGINS):
            use(place)
    found: dict[str, EntryPoint | Found] = {}
    for name, told, each in _all(kind):
        if name in own or name in found:
            raise ValueError(_clash(kind, name, "sordino" if name in own else "another package", told))
        found[name] = each
    return found


def _all(kind: str) -> list[tuple[str, str, EntryPoint | Found]]:
    installed = [(each.name, _package(each), each) for each in _installed(f"sordino.{kind}s")]
    places = {each.value for _, _, each in installed}
    used = [(each.name, _told(each.cls), each) for each in _used.values() if each.kind == kind]
    return [*installed, *(one for one in used if f"{one[2].cls.__module__}:{one[2].cls.__name__}" not in places)]


@cache
def _installed(group: str) -> tuple[EntryPoint, ...]:
    return tuple(dict.fromkeys(entry_points(group=group)))


def load(kind: str, name: str, found: EntryPoint | Found) -> Any:
    """The class itself.

    Raises:
        ValueError: what an entry point names cannot be imported, or is not what it says.
    """
    if isinstance(found, Found):
        return found.cls
    try:
        cls = found.load()
    except Exception as error:
        raise ValueError(f"{kind} {name} of {_package(found)} cannot be imported: {_short(error)}") from error
    if kind_of(cls) != kind or vars(cls).get("name") != name:
        raise ValueError(f'{_package(found)}: {found.value} is no {kind} with name = "{name}"; its entry point says so')
    return cls


def origin(cls: type, code: bool = True) -> dict[str, str] | None:
    """Where a class is from: its place, and for a file a hash of it, for a package its name and version.

    Args:
        cls: a backbone, method, task or dataset.
        code: tell of the code too, not of the place alone.

    Returns:
        None for what is part of sordino.
    """
    top = cls.__module__.partition(".")[0]
    if top == "sordino":
        return None
    for path, (sha256, module) in _files.items():
        if module.__name__ == cls.__module__:
            return {"from": f"{path.name}:{cls.__name__}", **({"sha256": sha256} if code else {})}
    packages = packages_distributions().get(top, []) if code else []
    told = {"package": f"{packages[0]} {version(packages[0])}"} if packages else {}
    return {"from": f"{cls.__module__}:{cls.__name__}", **told}


def _module(where: str) -> ModuleType:
    """A file or a module, imported; a file that has changed is imported again."""
    path = Path(where)
    try:
        if path.suffix != ".py":
            return importlib.import_module(where)
        path = path.resolve()
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        if path in _files and _files[path][0] == sha256:
            return _files[path][1]
        place = hashlib.sha256(str(path).encode()).hexdigest()[:8]
        spec = importlib.util.spec_from_file_location(f"{path.stem}_{place}", path)
        assert spec is not None and spec.loader is not None
        module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # there first: dataclasses look it up
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever a user's file may raise
        raise ValueError(f"{where} cannot be imported: {_short(error)}") from error
    _files[path] = (sha256, module)
    return module


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:150]}"


def _package(point: EntryPoint) -> str:
    return f"the package {point.dist.name}" if point.dist else point.value


def _told(cls: type) -> str:
    return (origin(cls, code=False) or {"from": cls.__name__})["from"]


def _clash(kind: str, name: str, one: str, other: str) -> str:
    return f'two {kind}s are called "{name}": that of {one} and that of {other}; rename one, or take it away'
