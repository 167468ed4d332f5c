"""Short names for the rows of a table: the method, and the backbone and the task where they differ.

Other settings are told where two rows would have one name without them; what else a row has of its own is told below
the table (`own_settings`).
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sordino.petl import whole_methods
from sordino.registry import FROM

Spec = Mapping[str, Any]


def row_names(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """A name for each row: `lora`, `lora r=4`, `lora r=4 on mert depth=6`, `lora training.lr=1e-3`.

    Args:
        configs: resolved configs without their seeds, no two alike.

    Returns:
        Names in the order of the configs; no two alike.
    """
    usual = {name: whole_methods([{"name": name}])[0] for config in configs for name in _names(config["method"])}
    names = _told([whole_methods(config["method"]) for config in configs], usual)
    backbones = _told([[config["backbone"]] for config in configs], {})
    if len(set(backbones)) > 1:
        names = [f"{name} on {where}" for name, where in zip(names, backbones, strict=True)]
    tasks = _told([config["task"] for config in configs], {})
    if len(set(tasks)) > 1:
        names = [f"{name} task={task}" for name, task in zip(names, tasks, strict=True)]
    others = [_others(config) for config in configs]
    alike: dict[str, list[int]] = defaultdict(list)
    for number, name in enumerate(names):
        alike[name].append(number)
    for numbers in alike.values():
        for key in dict.fromkeys(key for number in numbers for key in others[number]):
            if len({json.dumps(others[number].get(key)) for number in numbers}) > 1:
                for number in numbers:
                    names[number] += f" {key}={short(others[number][key])}" if key in others[number] else ""
    return names


def own_settings(configs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each row, the settings (but method, backbone and task) in which it is not like most others.

    Of equally many the first are most.
    """
    others = [_others(config) for config in configs]
    found: list[dict[str, Any]] = [{} for _ in others]
    for key in dict.fromkeys(key for row in others for key in row):
        values = [json.dumps(row.get(key)) for row in others]
        usual = Counter(values).most_common(1)[0][0]
        for own, row, value in zip(found, others, values, strict=True):
            if value != usual:
                own[key] = row.get(key)
    return found


def _others(config: Mapping[str, Any]) -> dict[str, Any]:
    return dict(flat({key: value for key, value in config.items() if key not in ("method", "backbone", "task")}))


def flat(table: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Everything in a table of tables, by dotted key."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def short(value: Any) -> str:
    """A value in as few characters as say it: `1e-3`, `none`, `pitch_shift+gain`, `task=chord,seed=1`."""
    if value is None or value == []:
        return "none"
    if isinstance(value, Mapping):
        return ",".join(short(item) if key == "name" else f"{key}={short(item)}" for key, item in value.items())
    if isinstance(value, list):
        return "+".join(map(short, value))
    if isinstance(value, float):
        digits, _, power = f"{value:e}".partition("e")
        powered = f"{digits.rstrip('0').rstrip('.')}e{int(power)}" if power else digits
        return min(f"{value:.12g}", powered, key=len) if float(powered) == value else repr(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _told(rows: Sequence[Sequence[Spec]], usual: Mapping[str, Spec]) -> list[str]:
    """Each row's specs in words: their names, and the options in which specs of one name differ.

    An option that is the same wherever its name stands is told if it is not the usual one and the rows differ.
    """
    differ = any(row != rows[0] for row in rows)

    def words(spec: Spec) -> str:
        same_name = [other for row in rows for other in row if other["name"] == spec["name"]]
        told = [spec["name"]]
        for key, value in spec.items():
            odd = value != usual.get(spec["name"], {}).get(key) or any(other.get(key) != value for other in same_name)
            if key not in ("name", FROM) and differ and odd:
                told.append(f"{key}={short(_apart(value, [other.get(key) for other in same_name]))}")
        return " ".join(told)

    return [" + ".join(words(spec) for spec in row) for row in rows]


def _apart(value: Any, others: Sequence[Any]) -> Any:
    """Of a path what is not the same in all paths beside it: of `arms/a/mini.safetensors`, `a`."""
    paths = [other.split("/") for other in others if isinstance(other, str) and "/" in other]
    if not isinstance(value, str) or "/" not in value:
        return value
    least = min(map(len, paths))
    front = next((n for n in range(least) if len({path[n] for path in paths}) > 1), least)
    back = next((n for n in range(least - front) if len({path[-1 - n] for path in paths}) > 1), least - front)
    parts = value.split("/")
    return "/".join(parts[front : len(parts) - back]) or value


def _names(specs: Iterable[Spec]) -> list[str]:
    return [spec["name"] for spec in specs]
