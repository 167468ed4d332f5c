"""A name is a file: `petl/lora.py` is the method `lora`, `tasks/key.py` the task `key`.

A file of one of the four folders is found by its name, without being listed anywhere. It holds one class whose `name`
is the file's name. Files that begin with `_` are shared parts and have no name here.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDERS = {"backbone": "backbones", "method": "petl", "task": "tasks", "dataset": "datasets"}


def names(kind: str) -> list[str]:
    """All names of a kind (`backbone`, `method`, `task`, `dataset`), sorted; nothing is imported."""
    folder = Path(__file__).parent / FOLDERS[kind]
    return sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))


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


def make(kind: str, name: str, options: Mapping[str, Any]) -> Any:
    """An object of the class of this name, with its options.

    Raises:
        ValueError: no file has the name, or the class no such option; the message offers the nearest.
    """
    cls = find(kind, name)
    known = list(inspect.signature(cls).parameters)
    for option in options:
        if option not in known:
            raise ValueError(unknown(f"option of {name}", option, known))
    return cls(**options)


def unknown(what: str, name: str, known: list[str]) -> str:
    """One line for a name nobody knows: what it was meant as, the nearest name, the whole list."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f'; did you mean "{near[0]}"?' if near else ""
    return f'unknown {what} "{name}"{hint} Known: {", ".join(known)}'
