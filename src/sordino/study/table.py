"""Tables of rows: on the terminal, as Markdown, and as a picture.

Costs stand as ratios to full fine-tuning in the same table, where it is there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from sordino.study.grid import Row

HEADER = ("method", "score", "95 % interval", "trained parameters", "share", "s / step", "step time", "peak memory")


def cells(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """The table's body as text, one tuple for each row, under `HEADER`."""
    full = next((row for row in rows if row.name.startswith("finetune") and row.step_s), None)
    return [
        (
            row.name + (" †" if row.kept_start else ""),
            f"{row.score:.3f}" + (f" ± {_deviation(row.scores):.3f}" if len(row.scores) > 1 else ""),
            f"{row.interval[0]:.3f} – {row.interval[1]:.3f}",
            "–" if row.parameters is None else f"{row.parameters:,}",
            "–" if row.share is None else f"{row.share:.2%}",
            "–" if row.step_s is None else f"{row.step_s:.3f}",
            _ratio(row.step_s, full and full.step_s),
            _ratio(row.peak_memory_bytes, full and full.peak_memory_bytes),
        )
        for row in rows
    ]


def caption(rows: Sequence[Row]) -> str:
    """What the numbers are: task, metric, tracks, seeds, and where the backbone's weights come from."""
    first = rows[0]
    weights = sorted({row.weights for row in rows if row.weights})
    n_seeds = max(len(row.scores) for row in rows)
    seeds = f", mean ± standard deviation of {n_seeds} seeds" if n_seeds > 1 else ""
    return (
        f"{first.task}: {first.metric} on {first.n_tracks} test tracks{seeds}; backbone weights: {'; '.join(weights)}"
    )


def legend(rows: Sequence[Row]) -> str:
    """What the marks in the table mean; empty where it has none."""
    kept = any(row.kept_start for row in rows)
    return "† kept the probe's head it began with: no later step was better on the validation tracks" if kept else ""


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
            "| " + " | ".join(HEADER) + " |",
            "|---" + "|---:" * (len(HEADER) - 1) + "|",
        ]
        lines += ["| " + " | ".join(row) + " |" for row in cells(own)]
        lines += ["", legend(own)] if legend(own) else []
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def print_table(rows: Sequence[Row]) -> None:
    """The tables on stdout."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if Console().is_terminal else 140)
    for own in by_task(rows).values():
        table = Table(title=caption(own), title_justify="left", caption=legend(own) or None, caption_justify="left")
        for number, title in enumerate(HEADER):
            table.add_column(title, justify="left" if number == 0 else "right")
        for row in cells(own):
            table.add_row(*row)
        console.print(table)


def picture(rows: Sequence[Row], path: str | Path) -> Path:
    """A plot for each task, one under the other: score with its interval, and the share of parameters trained.

    Args:
        rows: the tables' rows.
        path: a PNG or SVG file.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    tasks = by_task(rows)
    heights = [1.1 + 0.34 * len(own) for own in tasks.values()]
    figure, axes = plt.subplots(
        len(tasks), 1, figsize=(8, sum(heights)), squeeze=False, height_ratios=heights, layout="constrained"
    )
    for axis, own in zip(axes[:, 0], tasks.values(), strict=True):
        for place, row in enumerate(reversed(own)):
            trained = row.parameters is not None
            color = "#1f5a92" if trained else "#9a9a9a"
            axis.plot(row.interval, [place, place], color=color, linewidth=2.2, solid_capstyle="round")
            axis.plot(row.score, place, "o", color=color, markersize=7)
            told = f"{row.score:.3f}" + (f"   {row.share:.2%} trained" if trained else "")
            axis.text(1.02, place, told, va="center", fontsize=9, transform=axis.get_yaxis_transform())
        axis.set_yticks(range(len(own)), [row[0] for row in reversed(cells(own))], fontsize=9)
        axis.set_ylim(-0.7, len(own) - 0.3)
        axis.set_xlim(*_limits(own))
        metric = own[0].metric.replace("_", " ")
        title = f"{own[0].task}: {metric} (95 % interval, {own[0].n_tracks} test tracks)"
        axis.set_title(title, fontsize=10, loc="left")
        axis.grid(axis="x", color="#dddddd")
        axis.set_axisbelow(True)
        for side in ("top", "right", "left"):
            axis.spines[side].set_visible(False)
    if legend(rows):
        figure.text(0.01, -0.005, legend(rows), fontsize=8, va="top")
    figure.savefig(path, dpi=160, bbox_inches="tight")
    plt.close(figure)
    return Path(path)


def _limits(rows: Sequence[Row]) -> tuple[float, float]:
    ends = [end for row in rows for end in (*row.interval, row.score) if math.isfinite(end)]
    return max(0.0, min(ends, default=0) - 0.03), max(ends, default=1) + 0.02


def _ratio(value: float | None, reference: float | None) -> str:
    return "–" if not value or not reference else f"{value / reference:.2f} x"


def _deviation(scores: Sequence[float]) -> float:
    mean = sum(scores) / len(scores)
    return math.sqrt(sum((score - mean) ** 2 for score in scores) / (len(scores) - 1))
