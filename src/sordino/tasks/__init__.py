"""Tasks: labels, losses, answers and metrics, one file each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sordino import registry
from sordino.contracts import Task, Track
from sordino.contracts.cells import plain_name
from sordino.rules import unknown


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


def choose_tasks(named: Sequence[dict[str, Any]], tracks: Sequence[Track]) -> list[Task]:
    """The tasks of a config; one that may read any label and whose own is not there reads the only one there is, or
    a folder's class. A label is found without regard to case, spaces and underscores.

    Raises:
        ValueError: a name or option is unknown, or no track carries a task's label; says which there are.
    """
    known, tasks = label_names(tracks), []
    for spec in named:
        task = make_task(**spec)
        if task.label not in known and "label" in task.config():
            alike = [name for name in known if plain_name(name) == plain_name(task.label)]
            only = known if len(known) == 1 else [name for name in known if name == "label"]
            if found := alike or ([] if "label" in spec else only):
                task = make_task(**{**spec, "label": found[0]})
        if task.label not in known:
            raise ValueError(
                f"task {task.name}: {unknown('label', task.label, known) if known else 'no track is labelled'}"
            )
        tasks.append(task)
    return tasks


def label_names(tracks: Sequence[Track]) -> list[str]:
    """Names of the labels that any track carries."""
    return sorted({name for track in tracks for name, value in track.labels.items() if value is not None})
