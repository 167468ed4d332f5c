"""mir_eval, imported when something is scored: it brings half of SciPy, a second that no prediction needs."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    """The module `mir_eval.<name>`."""
    if name.startswith("__"):
        raise AttributeError(name)
    return globals().setdefault(name, import_module(f"mir_eval.{name}"))
