"""What each method gains over another: a line for each, a column for each task, made of `report.json` alone.

Conventions: in brackets the ends of the 95 % interval of the paired difference to `against`; bold is what differs from
it after Holm's correction within its task (`comparison.py`). CPU seconds are those of training, mean over seeds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Told = Mapping[str, Any]


def markdown(report: Told) -> str:
    """As a Markdown table.

    Args:
        report: what `write_report` leaves in `report.json`.
    """
    rows, against = report["rows"], report["against"]
    tasks = {row["task"]: row["metric"] for row in rows}
    gains = {(each["task"], each["name"]): each for each in report["comparisons"]}
    lines = [f"| method | trained | CPU s | {' | '.join(f'{task}, {metric}' for task, metric in tasks.items())} |",
             "|---|---:|---:|" + "---|" * len(tasks)]  # fmt: skip
    for name in dict.fromkeys(row["name"] for row in rows):
        own = {row["task"]: row for row in rows if row["name"] == name}
        first = next(iter(own.values()))
        trained = "–" if first["share"] is None else f"{first['share']:.1%}"
        cost = "–" if first["train_cpu_s"] is None else f"{first['train_cpu_s']:,.0f}"
        cells = [_cell(own.get(task), gains.get((task, name))) for task in tasks]
        lines.append(f"| {name} | {trained} | {cost} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", _caption(rows, against)]) + "\n"


def page(folder: Path) -> str:
    """The tables of all reports in a folder, under their titles, in the order of their names; words where none is."""
    reports = {path: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    return "\n".join(f"### {found['title']}\n\n{markdown(found)}" for found in reports.values()) or "None yet.\n"


def _cell(row: Told | None, gain: Told | None) -> str:
    if row is None:
        return "–"
    defined = [score for score in row["scores"] if score is not None]
    if not defined:
        return "undefined"
    score = sum(defined) / len(defined)
    if gain is None:
        return f"{score:.3f}"
    bold = "**" if gain["differs"] else ""
    low, high = gain["interval"]
    return f"{bold}{score:.3f}{bold} ({low:+.3f} to {high:+.3f})"


def _caption(rows: Iterable[Told], against: str) -> str:
    """On how many tracks and seeds, and what computed it."""
    rows = list(rows)
    trained = [row for row in rows if row["config"]]
    tracks = ", ".join(f"{row['n_tracks']:,} ({row['task']})" for row in {r["task"]: r for r in rows}.values())
    seeds = " or ".join(map(str, sorted({len(row["scores"]) for row in trained}))) or "no"
    learned = " or ".join(f"{n:,}" for n in sorted({row["n_train"] for row in trained if row["n_train"]}))
    machines = {row["machine"] for row in trained if row["machine"]}
    told = "; ".join(sorted(", ".join(f"{k} {v}" for k, v in json.loads(each).items()) for each in machines))
    parts = [f"Test tracks: {tracks}", f"training tracks: {learned}" if learned else "", f"seeds: {seeds}",
             f"in brackets the paired difference to `{against}`", told]  # fmt: skip
    return "; ".join(part for part in parts if part) + "."
