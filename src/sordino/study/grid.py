"""A study: one run for every point of a grid.

    data = "demo"
    [training]
    steps = 60
    [grid]
    task = ["key", "tempo"]
    method = ["probe", {name = "lora", r = 4}, {method = "adapter", training = {lr = 1e-3}}]
    "training.lr" = [1e-3, 1e-4]
    seed = [0, 1, 2]

Conventions:
- The last key varies fastest; points that are equal are one point.
- A key with dots sets one thing in a table. A table is merged key by key into the one outside of the grid; a spec
  (a table with a `name`, of `task`, `backbone` or `method`) is whole and replaces it.
- A table that holds the grid's own key holds settings that go together: above, `adapter` with a rate of its own.

Every run lies in a folder named by its settings, so a study that was stopped goes on, and one that grew computes only
what is new.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sordino.config import Config, default_specs, make_config, override, parse_value, read_toml
from sordino.study.rows import same_but_for_seed


def read_study(path: str | Path, assignments: Iterable[str] = ()) -> list[Config]:
    """The configs of a study file, in the order of its grid, each once.

    Args:
        path: a TOML file.
        assignments: `key=value` for what stands outside of the grid; `grid.seed=[0]` for what stands in it.

    Raises:
        ValueError: the file is not TOML, has no `[grid]`, an assignment changes nothing, or a point of it is wrong
            (an unknown key, name or option, or a value of the wrong type).
    """
    assignments = list(assignments)
    plain = override(read_toml(path), assignments)
    plain.pop("search", None)  # see tuning.py
    axes = _axes(plain.pop("grid", None) or {}, str(path))
    if not axes:
        raise ValueError(f'{path} has no [grid]; it names what varies, for example method = ["probe", "lora"]')
    points = []
    for items in itertools.product(*axes.values()):
        values = copy.deepcopy(plain)
        for key, item in zip(axes, items, strict=True):
            put(values, key, item)
        points.append(values)
    _check_assignments(points, assignments, str(path))
    configs: dict[tuple[str, int], Config] = {}
    for values in points:
        config = make_config(values, path)
        plain = config.resolved()
        configs.setdefault((same_but_for_seed(plain), plain["seed"]), config)
    return list(configs.values())


def _axes(grid: Mapping[str, Any], where: str, prefix: str = "") -> dict[str, list[Any]]:
    """What varies, by dotted key."""
    found: dict[str, list[Any]] = {}
    for key, items in grid.items():
        if isinstance(items, Mapping):
            found |= _axes(items, where, f"{prefix}{key}.")
        elif isinstance(items, list) and items:
            found[prefix + key] = items
        else:
            raise ValueError(f"{where}: {prefix}{key} = {items!r} in [grid] is no list of values; write [...]")
    return found


def put(values: dict[str, Any], key: str, item: Any) -> None:
    """Set one thing of a point by its dotted key, or several that go together."""
    if isinstance(item, Mapping) and key in item:
        for inner, value in item.items():
            put(values, inner, value)
        return
    root, *path = key.split(".")
    for step in reversed(path):
        item = {step: item}
    if root in default_specs() and isinstance(item, Mapping) and "name" not in item:  # options of the spec outside
        spec = values.get(root, default_specs()[root])
        values[root] = {"name": spec} if isinstance(spec, str) else spec
    values[root] = _merged(values.get(root), item)


def _merged(old: Any, new: Any) -> Any:
    """A table merged key by key into another; anything else as it is."""
    if isinstance(old, Mapping) and isinstance(new, Mapping) and "name" not in new:
        return {**old, **{key: _merged(old.get(key), value) for key, value in new.items()}}
    return copy.deepcopy(new)


def _check_assignments(points: list[dict[str, Any]], assignments: Iterable[str], where: str) -> None:
    """Raise ValueError for a `key=value` that no point keeps."""
    for assignment in assignments:
        key, _, text = assignment.partition("=")
        path = key.strip().split(".")
        if path[0] not in ("grid", "search") and not any(_get(values, path) == parse_value(text) for values in points):
            raise ValueError(f"{assignment} changes nothing: [grid] of {where} sets it; write grid.{key}=[...]")


def _get(values: Any, path: list[str]) -> Any:
    for step in path:
        values = values.get(step) if isinstance(values, Mapping) else None
    return values
