"""Tasks: labels, losses, answers and metrics, one file each."""

from __future__ import annotations

import inspect
from typing import Any

from sordino import registry


def make_task(name: str, **options: Any):
    """Build a task by its name.

    Args:
        name: `key`, `tempo`, ... (`sordino list tasks`).
        **options: the arguments of its class.

    Returns:
        A `Task`.

    Raises:
        ValueError: no task has this name, or it has no such option; the message offers the nearest.
    """
    cls = registry.find("task", name)
    known = list(inspect.signature(cls).parameters)
    for option in options:
        if option not in known:
            raise ValueError(registry.unknown(f"option of {name}", option, known))
    return cls(**options)
