"""What changes of the sound leave of a score: a table with a row for each row, a column for each change."""

from __future__ import annotations

from collections.abc import Sequence

from sordino.study.report.table import by_task
from sordino.study.rows import Row

NOTE = (
    "In brackets what the change of the sound changes; * its 95 % interval over tracks does not hold zero. The changes "
    "are those of sordino.disturbances."
)


def under_cells(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Head and body for rows of one task; empty where nothing was tested under changes."""
    names = list(dict.fromkeys(name for row in rows for name in row.under))
    if not names:
        return []
    body = [(row.name, f"{row.score:.3f}", *(_cell(row, name) for name in names)) for row in rows if row.under]
    return [("method", "as it is", *names), *body]


def _cell(row: Row, name: str) -> str:
    """Score and change, with a star where the interval of the loss does not hold zero."""
    if name not in row.under:
        return "–"
    score, low, high = row.under[name]
    return f"{score:.3f} ({score - row.score:+.3f}{'*' if low > 0 or high < 0 else ''})"


def markdown(rows: Sequence[Row]) -> str:
    """A table for each task that was tested so; empty where none was."""
    parts = []
    for task, own in by_task(rows).items():
        if cells := under_cells(own):
            head, *body = ["| " + " | ".join(row) + " |" for row in cells]
            rule = "|---" + "|---:" * (len(cells[0]) - 1) + "|"
            parts.append("\n".join([f"**{task}: {own[0].metric} with the sound changed**", "", head, rule, *body]))
    return "\n\n".join([*parts, f"{NOTE}\n"]) if parts else ""
