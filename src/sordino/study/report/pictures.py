"""Pictures of rows as files: scores with their intervals, and scores against what they cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from sordino.files import write_with
from sordino.study.report.plots import BLUE, GREY, pyplot
from sordino.study.report.table import by_task, cells, counted, notes
from sordino.study.rows import Row

LEAST_APART = 0.1  # of an axis' height, between two labels


def picture(rows: Sequence[Row], path: str | Path) -> Path:
    """A plot for each task, one under the other: score with its interval, and the share of parameters trained.

    Args:
        rows: the tables' rows.
        path: a PNG or SVG file.
    """
    plt = pyplot()
    tasks = by_task(rows)
    heights = [1.1 + 0.34 * len(own) for own in tasks.values()]
    figure, axes = plt.subplots(
        len(tasks), 1, figsize=(8, sum(heights)), squeeze=False, height_ratios=heights, layout="constrained"
    )
    for axis, own in zip(axes[:, 0], tasks.values(), strict=True):
        for place, row in enumerate(reversed(own)):
            trained = row.parameters is not None
            color = BLUE if trained else GREY
            axis.plot(row.interval, [place, place], color=color, linewidth=2.2, solid_capstyle="round")
            axis.plot(row.score, place, "o", color=color, markersize=7)
            told = f"{row.score:.3f}" + (f"   {row.share:.2%} trained" if trained else "")
            axis.text(1.02, place, told, va="center", fontsize=9, transform=axis.get_yaxis_transform())
        axis.set_yticks(range(len(own)), [row[0] for row in reversed(cells(own))], fontsize=9)
        axis.set_ylim(-0.7, len(own) - 0.3)
        axis.set_xlim(*_limits(own))
        metric = own[0].metric.replace("_", " ")
        title = f"{own[0].task}: {metric} (95 % interval, {counted(row.n_tracks for row in own)} test tracks)"
        axis.set_title(title, fontsize=10, loc="left")
        axis.grid(axis="x", color="#dddddd")
        axis.set_axisbelow(True)
        for side in ("top", "right", "left"):
            axis.spines[side].set_visible(False)
    below = dict.fromkeys(note for own in tasks.values() for note in notes(own))
    figure.text(0.01, -0.005, "\n".join(fill(note, 130) for note in below), fontsize=7, va="top")
    write_with(path, lambda part: figure.savefig(part, dpi=160, bbox_inches="tight"))
    plt.close(figure)
    return Path(path)


def cost_picture(rows: Sequence[Row], path: str | Path) -> Path:
    """A plot for each task, one under the other: score against CPU seconds of training, with the trained share.

    Args:
        rows: the tables' rows; what is not trained is a level.
        path: a PNG or SVG file.
    """
    plt = pyplot()
    tasks = by_task(rows)
    figure, axes = plt.subplots(
        len(tasks), 1, figsize=(8.5, 0.6 + 2.5 * len(tasks)), squeeze=False, sharex=True, layout="constrained"
    )
    for axis, own in zip(axes[:, 0], tasks.values(), strict=True):
        _costs(axis, own)
    below = dict.fromkeys(note for own in tasks.values() for note in notes(own) if note.startswith("†"))
    figure.supxlabel("CPU seconds of training" + "".join(f"\n{note}" for note in below), fontsize=9)
    write_with(path, lambda part: figure.savefig(part, dpi=160, bbox_inches="tight"))
    plt.close(figure)
    return Path(path)


def _costs(axis: Any, rows: Sequence[Row]) -> None:
    from matplotlib.ticker import LogLocator

    low, high = _limits(rows)
    axis.set_ylim(low, high)
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter("")
    for row, height in zip(rows, _apart([(row.score - low) / (high - low) for row in rows]), strict=True):
        told = f"{row.name}{' †' if row.kept_start else ''}  {row.score:.3f}"
        if row.train_cpu_s:
            axis.plot([row.train_cpu_s] * 2, row.interval, color=BLUE, linewidth=1.5, alpha=0.5)
            axis.plot(row.train_cpu_s, row.score, "o", color=BLUE, markersize=7)
            at, color = (row.train_cpu_s, row.score), BLUE
            told += f", {row.share:.1%} trained" if row.share else ", head alone"
        else:
            axis.axhline(row.score, color=GREY, linestyle=":")
            at, color = (1.0, row.score), GREY
        line = {"arrowstyle": "-", "color": color, "linewidth": 0.4, "alpha": 0.6, "relpos": (0, 0.5)}
        place = "data" if row.train_cpu_s else axis.get_yaxis_transform()
        axis.annotate(told, at, (1.04, height), place, "axes fraction", line, fontsize=8, va="center", color=color)
    axis.set_title(f"{rows[0].task}: {rows[0].metric.replace('_', ' ')}", fontsize=10, loc="left")
    axis.margins(x=0.08)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(color="#e5e5e5")
    axis.set_axisbelow(True)


def _apart(heights: Sequence[float]) -> list[float]:
    """The same heights, moved up where labels would lie on one another, and down again below the top."""
    placed, last, order = list(heights), -1.0, sorted(range(len(heights)), key=heights.__getitem__)
    for number in order:
        placed[number] = last = max(heights[number], last + LEAST_APART)
    last = 1.0 + LEAST_APART
    for number in reversed(order):
        placed[number] = last = min(placed[number], last - LEAST_APART)
    return placed


def _limits(rows: Sequence[Row]) -> tuple[float, float]:
    ends = [end for row in rows for end in (*row.interval, row.score) if math.isfinite(end)]
    lowest, highest = min(ends, default=0.0), max(ends, default=1.0)
    return lowest - 0.03 if lowest < 0 else max(0.0, lowest - 0.03), highest + 0.02
