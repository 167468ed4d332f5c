"""The table as papers print it: a line for each method, a column for each task and data set, blocks by backbone.

Conventions: in each column and block the best score is bold; underlined is what is not significantly worse than it
(paired bootstrap over tracks, Holm-corrected within the block, `comparison.py`). A row stands in the block of its
backbone; rows that train nothing come first and take no part. Columns have the settings of their own rows: a name tells
only what differs within its column.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sordino.study.names import row_names, short
from sordino.study.report.comparison import compare
from sordino.study.rows import Row


@dataclass(frozen=True)
class Column:
    """A task on a data set.

    Attributes:
        task: its name.
        data: the data set.
        metric: the deciding one.
        n_tracks: test tracks.
    """

    task: str
    data: str
    metric: str
    n_tracks: int


@dataclass(frozen=True)
class Cell:
    """A score in its column.

    Attributes:
        row: what it is the score of.
        best: nothing in its block and column is above it.
        near: it is below the best, but not significantly.
    """

    row: Row
    best: bool = False
    near: bool = False


@dataclass(frozen=True)
class PaperTable:
    """Blocks of lines.

    Attributes:
        columns: from left to right.
        blocks: by backbone (empty for what trains nothing): by name of the line, a cell for each column or None.
    """

    columns: list[Column]
    blocks: dict[str, dict[str, list[Cell | None]]]


def paper_table(rows: Sequence[Row]) -> PaperTable:
    """Arrange the rows of any tasks."""
    trained = [row for row in rows if row.config]
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in trained:
        groups.setdefault((row.task, row.config["data"]), []).append(row)
    columns = [Column(*key, own[0].metric, own[0].n_tracks) for key, own in groups.items()]
    blocks: dict[str, dict[str, list[Cell | None]]] = {}
    for place, (key, own) in enumerate(groups.items()):
        plain = [row for row in rows if not row.config and row.task == key[0] and row.tracks in ("", own[0].tracks)]
        for name, row in [(row.name, row) for row in plain]:
            _line(blocks, "", name, len(columns))[place] = Cell(row)
        for block, members in _by_backbone(own).items():
            for name, cell in zip(_names(members), _marked(members), strict=True):
                _line(blocks, block, name, len(columns))[place] = cell
    return PaperTable(columns, {name: blocks[name] for name in sorted(blocks, key=bool)})


def markdown(table: PaperTable) -> str:
    """As a Markdown table."""
    lines = ["| | " + " | ".join(f"{c.task}, {c.data} ({c.metric})" for c in table.columns) + " |",
             "|---" + "|---:" * len(table.columns) + "|"]  # fmt: skip
    for block, members in table.blocks.items():
        for name, cells in members.items():
            told = [_marks(cell, "**{}**", "<u>{}</u>") for cell in cells]
            lines.append(f"| {f'{block} ' if block else ''}{name} | " + " | ".join(told) + " |")
    return "\n".join(lines) + "\n"


def latex(table: PaperTable) -> str:
    """As a LaTeX table (package booktabs)."""
    head = " & ".join(["", *(_escaped(f"{c.task} {c.data}") for c in table.columns)])
    metrics = " & ".join(["", *(_escaped(c.metric) for c in table.columns)])
    lines = [r"\begin{tabular}{l" + "r" * len(table.columns) + "}", r"\toprule", head + r" \\", metrics + r" \\"]
    for block, members in table.blocks.items():
        lines.append(r"\midrule")
        if block:
            lines.append(rf"\multicolumn{{{1 + len(table.columns)}}}{{l}}{{\emph{{{_escaped(block)}}}}} \\")
        for name, cells in members.items():
            told = [_marks(cell, r"\textbf{{{}}}", r"\underline{{{}}}") for cell in cells]
            lines.append(" & ".join([_escaped(name), *told]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _by_backbone(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows by backbone and its options, as short as tells them apart."""
    rows = list(rows)
    specs = [row.config["backbone"] for row in rows]
    keys = {key for spec in specs for key in spec if key != "name"}
    differ = sorted(key for key in keys if len({short(spec.get(key)) for spec in specs}) > 1)
    found: dict[str, list[Row]] = {}
    for row, spec in zip(rows, specs, strict=True):
        words = [spec["name"], *(f"{key}={short(spec[key])}" for key in differ if key in spec)]
        found.setdefault(" ".join(words), []).append(row)
    return found


def _names(rows: Sequence[Row]) -> list[str]:
    """What tells the rows of a block and column apart."""
    return row_names([{**row.config, "backbone": {"name": ""}} for row in rows])


def _marked(rows: Sequence[Row]) -> list[Cell]:
    """Which is best, and which are not significantly worse."""
    finite = [row for row in rows if np.isfinite(row.score)]
    if len(finite) < 2:
        return [Cell(row) for row in rows]
    best = max(finite, key=lambda row: row.score)
    like = [row for row in rows if row.tracks == best.tracks]
    worse = {c.name for c in compare(like, best) if c.differs}
    known = {row.name for row in like if row.resamples is not None} if best.resamples is not None else set()
    return [Cell(row, row.score == best.score, row.score < best.score and row.name in known - worse) for row in rows]


def _line(blocks: dict[str, dict[str, list[Cell | None]]], block: str, name: str, n: int) -> list[Cell | None]:
    return blocks.setdefault(block, {}).setdefault(name, [None] * n)


def _marks(cell: Cell | None, bold: str, underlined: str) -> str:
    if cell is None:
        return "–" if bold.startswith("*") else "--"
    told = f"{cell.row.score:.3f}"
    return bold.format(told) if cell.best else underlined.format(told) if cell.near else told


def _escaped(text: str) -> str:
    """Text for LaTeX."""
    for mark in "&%$#_{}":
        text = text.replace(mark, f"\\{mark}")
    return text
