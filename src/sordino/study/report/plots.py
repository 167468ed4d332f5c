"""Plots of a study: score against cost and against labels, and where answers go wrong. Each is an SVG, as text."""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sordino.study.rows import Row
from sordino.tasks.key import on_the_circle

BLUE, GREY, RED = "#1f5a92", "#9a9a9a", "#b3432b"
KINDS_OF_TEMPO = {"right": 1.0, "double": 2.0, "half": 0.5, "3/2": 1.5, "2/3": 2 / 3, "triple": 3.0, "third": 1 / 3,
                  "4/3": 4 / 3, "3/4": 3 / 4}  # fmt: skip
TEMPO_TOLERANCE = 0.04  # as accuracy 1
ENOUGH = 0.95  # of the score with all labels


def against_cost(rows: Sequence[Row], cost: str) -> str | None:
    """Score with its interval over a cost, on a logarithmic axis; rows without the cost are levels.

    Args:
        rows: of one task on one data set.
        cost: `parameters` or `train_cpu_s`.

    Returns:
        None where fewer than two rows have that cost.
    """
    placed = [row for row in rows if getattr(row, cost) and math.isfinite(row.score)]
    if len(placed) < 2:
        return None

    def draw(axis: Any) -> None:
        for row in rows:
            if row in placed:
                x = getattr(row, cost)
                axis.plot([x, x], row.interval, color=BLUE, linewidth=1.2, alpha=0.6)
                axis.plot(x, row.score, "o", color=BLUE, markersize=6)
                axis.annotate(row.name, (x, row.score), (6, 4), textcoords="offset points", fontsize=8)
            elif not row.config:
                axis.axhline(row.score, color=GREY, linestyle=":")
                axis.annotate(row.name, (0.01, row.score), (0, 3), xycoords=("axes fraction", "data"),
                              textcoords="offset points", fontsize=8, color=GREY)  # fmt: skip
        axis.set_xscale("log")
        axis.set_xlabel({"parameters": "trained parameters, head not counted",
                         "train_cpu_s": "CPU seconds of all training steps"}[cost])  # fmt: skip
        axis.set_ylabel(rows[0].metric.replace("_", " "))
        axis.margins(x=0.25)

    return _svg(draw)


def curves(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows by method, from few training tracks to many; only methods that have several numbers of them."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row.n_train:
            found.setdefault(" + ".join(spec["name"] for spec in row.config["method"]), []).append(row)
    found = {name: sorted(own, key=_n_train) for name, own in found.items()}
    return {name: own for name, own in found.items() if len(set(map(_n_train, own))) > 1}


def labels_needed(rows: Sequence[Row]) -> list[str]:
    """For each method, in a sentence, with how few training tracks it gets nearly as far as with the most."""
    told = []
    for name, own in curves(rows).items():
        most = own[-1]
        few = next((row for row in own if row.score >= ENOUGH * most.score), most)  # R2 may be below 0
        told.append(
            f"{name}: {few.n_train} training tracks give {few.score:.3f}, "
            f"at least {ENOUGH:.0%} of the {most.score:.3f} that {most.n_train} give"
        )
    return told


def against_labels(rows: Sequence[Row]) -> str | None:
    """Score over the number of training tracks, a line for each method; None where all rows have as many."""
    found = curves(rows)
    if not found:
        return None

    def draw(axis: Any) -> None:
        for name, own in found.items():
            x, y = [_n_train(row) for row in own], [row.score for row in own]
            (line,) = axis.plot(x, y, "o-", label=name, markersize=4)
            low, high = zip(*(row.interval for row in own), strict=True)
            axis.fill_between(x, low, high, color=line.get_color(), alpha=0.1, linewidth=0)
        axis.set_xscale("log")
        axis.set_xlabel("training tracks")
        axis.set_ylabel(rows[0].metric.replace("_", " "))
        axis.legend(frameon=False, fontsize=8)

    return _svg(draw)


def by_tag(row: Row, other: Row) -> str | None:
    """Average precision of each tag, a row minus another; None where they have no tags."""
    mine, theirs = (each.tables.get("by_tag", {}).get("map", {}) for each in (row, other))
    gains = {tag: mine[tag] - theirs[tag] for tag in mine if _known(mine.get(tag)) and _known(theirs.get(tag))}
    if not gains:
        return None
    tags = sorted(gains, key=gains.__getitem__)

    def draw(axis: Any) -> None:
        axis.barh(tags, [gains[tag] for tag in tags], color=[BLUE if gains[tag] > 0 else RED for tag in tags])
        axis.set_xlabel(f"average precision, {row.name} minus {other.name}")
        axis.tick_params(axis="y", labelsize=7)

    return _svg(draw, height=0.8 + 0.17 * len(tags))


def on_the_circle_of_fifths(row: Row) -> str:
    """Where answered keys lie, seen from the true one at the top; minor keys at their relative major's place."""
    same, other = Counter(), Counter()
    for truth, answer in row.answers:
        if (found := fifths_away(truth, answer)) is not None:
            (same if found[1] else other)[found[0]] += 1

    def draw(axis: Any) -> None:
        axis.set_theta_zero_location("N")
        axis.set_theta_direction(-1)
        angles = np.arange(12) * math.pi / 6
        inner = np.array([same[n] for n in range(12)], float)
        axis.bar(angles, inner, 0.45, color=BLUE, label="same mode")
        axis.bar(angles, [other[n] for n in range(12)], 0.45, bottom=inner, color=GREY, label="other mode")
        axis.set_xticks(angles, ["right", "+1", "+2", "+3", "+4", "+5", "6", "−5", "−4", "−3", "−2", "−1"], fontsize=8)
        axis.tick_params(axis="y", labelsize=7)
        axis.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0.85, 0.9))

    return _svg(draw, width=4.6, height=4.2, projection="polar")


def tempo_errors(rows: Sequence[Row]) -> str:
    """Which multiple of the true tempo was answered how often."""
    counts = {row.name: Counter(kind_of_tempo(truth, answer) for truth, answer in row.answers) for row in rows}
    kinds = [kind for kind in (*KINDS_OF_TEMPO, "other") if any(own[kind] for own in counts.values())]

    def draw(axis: Any) -> None:
        width = 0.8 / max(1, len(counts))
        for number, (name, own) in enumerate(counts.items()):
            total = max(1, sum(own.values()))
            x = np.arange(len(kinds)) + width * (number - (len(counts) - 1) / 2)
            axis.bar(x, [own[kind] / total for kind in kinds], width, label=name)
        axis.set_xticks(range(len(kinds)), kinds)
        axis.set_ylabel("share of test tracks")
        axis.legend(frameon=False, fontsize=8)

    return _svg(draw)


def fifths_away(truth: str, answer: str) -> tuple[int, bool] | None:
    """Steps on the circle of fifths from a key to another, and whether the mode is the same; None where one is none."""
    here, there = on_the_circle(truth), on_the_circle(answer)
    return ((there[0] - here[0]) % 12, here[1] == there[1]) if here and there else None


def kind_of_tempo(truth: Any, answer: float) -> str:
    """Which of `KINDS_OF_TEMPO` an answer is of any annotated tempo; the first that fits."""
    truths = [float(each) for each in (truth if isinstance(truth, list | tuple) else [truth])]
    for kind, ratio in KINDS_OF_TEMPO.items():
        if any(abs(answer - ratio * bpm) <= TEMPO_TOLERANCE * ratio * bpm for bpm in truths):
            return kind
    return "other"


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _n_train(row: Row) -> int:
    return row.n_train or 0


def pyplot() -> Any:
    """Matplotlib's, that draws into files."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    return plt


def _svg(draw: Callable[[Any], None], width: float = 6.4, height: float = 4.0, projection: str | None = None) -> str:
    """One drawing as SVG text, the same on every call."""
    plt = pyplot()
    with plt.rc_context({"svg.hashsalt": "sordino", "svg.fonttype": "none", "font.size": 9}):
        figure, axis = plt.subplots(
            figsize=(width, height), layout="constrained", subplot_kw={"projection": projection}
        )
        draw(axis)
        if projection is None:
            axis.spines[["top", "right"]].set_visible(False)
            axis.grid(color="#e5e5e5")
            axis.set_axisbelow(True)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
        plt.close(figure)
    return out.getvalue()[out.getvalue().index("<svg") :]
