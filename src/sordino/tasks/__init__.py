"""Tasks: labels, losses, answers and metrics, one file each."""

from __future__ import annotations

from typing import Any

from sordino import registry
from sordino.contracts import Task


def make_task(name: str, **options: Any) -> Task:
    """Build a task by its name.

    Args:
        name: `key`, `tempo`, ... (`sordino list tasks`).
        **options: the arguments of its class.

    Returns:
        A `Task`.

    Raises:
        ValueError: no task has this name, or it has no such option; the message offers the nearest.
    """
    return registry.make("task", name, options)
