"""Tables of rows: on the terminal and as Markdown.

Costs stand as ratios to full fine-tuning on the same backbone, data and machine with the same segments, where the
table has it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from sordino.config import Config
from sordino.study.names import flat, own_settings, short
from sordino.study.rows import Row

COSTS = ("trained parameters", "share", "s / step", "step time", "peak memory")


def header(rows: Sequence[Row]) -> tuple[str, ...]:
    """What stands over the columns of one task's table, other metrics by their names behind the interval."""
    return ("method", "score", "95 % interval", *_beside(rows), *COSTS)


def _beside(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row.beside))


def cells(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """The body of one task's table as text, one tuple for each row, under `header`."""
    full = [next((other for other in rows if other.is_full and other.costs_like(row)), None) for row in rows]
    return [
        (
            row.name + (" †" if row.kept_start else ""),
            f"{row.score:.3f}" + (f" ± {_deviation(row.scores):.3f}" if len(row.scores) > 1 else ""),
            f"{row.interval[0]:.3f} – {row.interval[1]:.3f}",
            *(f"{row.metrics[name]:.3f}" if name in row.metrics else "–" for name in _beside(rows)),
            "–" if row.parameters is None else f"{row.parameters:,}",
            "–" if row.share is None else f"{row.share:.2%}",
            "–" if row.step_s is None else f"{row.step_s:.3f}",
            _ratio(row.step_s, like and like.step_s),
            _ratio(row.peak_memory_bytes, like and like.peak_memory_bytes),
        )
        for row, like in zip(rows, full, strict=True)
    ]


def caption(rows: Sequence[Row]) -> str:
    """What the numbers are: task, metric, tracks, seeds, and where the backbone's weights come from."""
    trained = [row for row in rows if row.config]
    weights = sorted({row.weights for row in trained})
    seeds = counted(len(row.scores) for row in trained)
    told = "" if seeds in ("", "1") else f", mean ± standard deviation of {seeds} seeds"
    parts = [
        f"{rows[0].task}: {' or '.join(dict.fromkeys(row.metric for row in rows))} on "
        f"{counted(row.n_tracks for row in rows)} test tracks{told}",
        f"backbone weights: {'; '.join(weights)}" if weights else "",
        "the rows were tested on different tracks" if len({row.tracks for row in trained}) > 1 else "",
    ]
    return "; ".join(part for part in parts if part)


def notes(rows: Sequence[Row]) -> list[str]:
    """What the marks mean, what all trained rows have in common and is not the usual, what some have of their own."""
    kept = "† kept the probe's head it began with: no later step was better on the validation tracks"
    usual = dict(flat(Config().resolved()))
    tables = [{k: v for k, v in row.config.items() if k not in ("task", "method")} for row in rows if row.config]
    settings = [dict(flat(table)) for table in tables]
    common = [
        f"{key.removesuffix('.name')}={short(value)}"
        for key, value in (settings[0] if settings else {}).items()
        if all(key in other and other[key] == value for other in settings)
        and (key in ("data", "backbone.name") or value != usual.get(key, settings))
    ]
    lines = [kept] if any(row.kept_start for row in rows) else []
    lines += [f"All trained rows: {', '.join(common)}"] if common else []
    trained = [row for row in rows if row.config]
    for row, own in zip(trained, own_settings([row.config for row in trained]), strict=True):
        has = dict(flat(row.config))
        # Where a row lacks a whole table, that is said once.
        said = {key if key in has else key.rpartition(".")[0]: value for key, value in own.items()}
        words = [f"{key}={short(value)}" for key, value in said.items() if f" {key}=" not in row.name]
        lines += [f"{row.name}: {', '.join(words)}"] if words else []
    return lines


def by_task(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each task."""
    return {task: [row for row in rows if row.task == task] for task in dict.fromkeys(row.task for row in rows)}


def markdown(rows: Sequence[Row]) -> str:
    """One Markdown table for each task."""
    parts = []
    for own in by_task(rows).values():
        lines = [
            f"**{caption(own)}**",
            "",
            "| " + " | ".join(header(own)) + " |",
            "|---" + "|---:" * (len(header(own)) - 1) + "|",
        ]
        lines += ["| " + " | ".join(row) + " |" for row in cells(own)]
        lines += [line for note in notes(own) for line in ("", note)]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def print_table(rows: Sequence[Row]) -> None:
    """The tables on stdout."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if Console().is_terminal else 140)
    for own in by_task(rows).values():
        below = "\n".join(notes(own)) or None
        table = Table(title=caption(own), title_justify="left", caption=below, caption_justify="left")
        for number, title in enumerate(header(own)):
            table.add_column(title, justify="left" if number == 0 else "right")
        for row in cells(own):
            table.add_row(*row)
        console.print(table)


def counted(counts: Iterable[int]) -> str:
    """A count, or the lowest and the highest where they differ."""
    found = sorted(set(counts))
    return " to ".join(f"{count}" for count in dict.fromkeys([*found[:1], *found[-1:]]))


def _ratio(value: float | None, reference: float | None) -> str:
    return "–" if not value or not reference else f"{value / reference:.2f} x"


def _deviation(scores: Sequence[float]) -> float:
    mean = sum(scores) / len(scores)
    return math.sqrt(sum((score - mean) ** 2 for score in scores) / (len(scores) - 1))
