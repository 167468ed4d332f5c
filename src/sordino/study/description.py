"""What a class tells of itself, as plain data: for the catalogue, and once more for a room that is not in it."""

from __future__ import annotations

import inspect
from collections import Counter
from typing import Any

from sordino import contracts, registry
from sordino.settings import settings


def described(kind: str, name: str) -> dict[str, Any]:
    """Everything about a backbone, method, task or dataset that is the same on every machine.

    Args:
        kind: `backbone`, `method`, `task` or `dataset`.
        name: its name.

    Returns:
        `row`, by column of `sordino list`; and `more`, what `sordino show` tells beside it.
    """
    cls = registry.find(kind, name)
    row, more = {"backbone": _backbone, "method": _method, "task": _task, "dataset": _dataset}[kind](cls)
    options = {str(option): option.told for option in settings(registry.maker(kind, name)).values()}
    module = inspect.getmodule(cls)
    about = inspect.cleandoc((module and module.__doc__) or "")
    return {"row": {"name": name, "title": cls.title, **row}, "more": {**more, "options": options, "about": about}}


def _backbone(cls: type[contracts.Backbone]) -> tuple[dict[str, Any], dict[str, Any]]:
    import torch  # not above: a dataset tells of itself without it

    with torch.device("meta"):  # without storage: shapes, sites and counts
        model = cls.load("random")
    row = {
        "layers": model.n_layers,
        "dim": model.dim,
        "parameters": sum(p.numel() for p in model.parameters()),
        "sample_rate_hz": model.sample_rate_hz,
        "frame_rate_hz": model.frame_rate_hz,
        "licence": cls.licence,
        "paper": cls.paper,
    }
    sites = model.sites()
    first = {site.role: site.path for site in reversed(sites)}
    roles = Counter(site.role for site in sites)
    return row, {"sites": {role: f"{count:>3} x  {first[role]}" for role, count in roles.items()}}


def _method(cls: type[contracts.Method]) -> tuple[dict[str, Any], dict[str, Any]]:
    from sordino.petl import _table

    facts = _table.facts(cls.name)
    row = {
        "year": facts.year,
        **{f"trained_on_{title}": count for title, count in facts.trained.items()},
        "mergeable": facts.mergeable,
        "gradients_through_backbone": facts.through_backbone,
        "paper": facts.paper,
    }
    return row, {}


def _task(cls: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    task = cls()
    return {"level": cls.level, "metric": task.metric, "label": task.label}, {}


def _dataset(cls: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    n_tracks, hours = cls.size
    row = {
        "labels": list(cls.labels),
        "tracks": n_tracks or None,
        "hours": f"{hours:.1f}" if hours else None,
        "licence": cls.licence,
        "splits": cls.splits,
    }
    expected = {part: " or ".join(paths) for part, paths in getattr(cls, "places", {}).items()}
    return row, {"citation": cls.citation, "url": cls.url, "get": cls.get, "expected": expected}
