"""What there is, as plain data: for `sordino list` and `sordino show`."""

from __future__ import annotations

import inspect
from collections import Counter
from typing import Any

import torch

from sordino import registry
from sordino.contracts import Backbone
from sordino.petl import _table
from sordino.settings import settings


def catalogue(kind: str) -> list[dict[str, Any]]:
    """One row for each backbone, method, task or dataset.

    Args:
        kind: `backbone`, `method`, `task` or `dataset`.
    """
    rows = {"backbone": _backbone, "task": _task, "dataset": _dataset}
    if kind == "method":
        return [_method(row) for row in _table.rows()]
    return [rows[kind](registry.find(kind, name)) for name in registry.names(kind)]


def describe(name: str) -> dict[str, Any]:
    """Everything about one name; `about` is the head of its file.

    Raises:
        ValueError: nothing has this name; the nearest is offered.
    """
    kinds = [kind for kind in registry.FOLDERS if name in registry.names(kind)]
    if not kinds:
        known = [each for kind in registry.FOLDERS for each in registry.names(kind)]
        raise ValueError(registry.unknown("name", name, known))
    kind = kinds[0]
    cls = registry.find(kind, name)
    row = {"kind": kind, **next(row for row in catalogue(kind) if row["name"] == name)}
    if kind == "backbone":
        row.update(_architecture(cls))
    elif kind == "dataset":
        row.update(citation=cls.citation, url=cls.url, root=str(cls.default_root()), labels=", ".join(cls.labels))
    row["options"] = {str(option): option.told for option in settings(registry.maker(kind, name)).values()}
    module = inspect.getmodule(cls)
    return {**row, "about": inspect.cleandoc((module and module.__doc__) or "")}


def built(cls: type[Backbone]) -> Backbone:
    """The backbone without storage: shapes, sites and counts."""
    with torch.device("meta"):
        return cls.load("random")


def _backbone(cls: type[Backbone]) -> dict[str, Any]:
    model = built(cls)
    return {
        "name": cls.name,
        "title": cls.title,
        "layers": model.n_layers,
        "dim": model.dim,
        "parameters": sum(p.numel() for p in model.parameters()),
        "sample_rate_hz": model.sample_rate_hz,
        "frame_rate_hz": model.frame_rate_hz,
        "licence": cls.licence,
        "paper": cls.paper,
    }


def _architecture(cls: type[Backbone]) -> dict[str, Any]:
    model = built(cls)
    roles = Counter(site.role for site in model.sites())
    examples = {role: next(site.path for site in model.sites() if site.role == role) for role in roles}
    return {
        "weights": cls.where(),
        "sites": {role: f"{count:>3} x  {examples[role]}" for role, count in roles.items()},
    }


def _method(row: _table.Facts) -> dict[str, Any]:
    return {
        "name": row.name,
        "title": row.title,
        "year": row.year,
        **{f"trained_on_{title}": count for title, count in row.trained.items()},
        "mergeable": row.mergeable,
        "gradients_through_backbone": row.through_backbone,
        "paper": row.paper,
    }


def _task(cls: Any) -> dict[str, Any]:
    task = cls()
    return {"name": cls.name, "title": cls.title, "level": cls.level, "metric": task.metric, "label": task.label}


def _dataset(cls: Any) -> dict[str, Any]:
    n_tracks, hours = cls.size
    return {
        "name": cls.name,
        "title": cls.title,
        "labels": list(cls.labels),
        "tracks": n_tracks or None,
        "hours": f"{hours:.1f}" if hours else None,
        "licence": cls.licence,
        "splits": cls.splits,
        "here": _is_here(cls),
    }


def _is_here(cls: Any) -> bool:
    try:
        return cls().available()
    except (TypeError, FileNotFoundError):
        return False  # a user's own data has no usual place
