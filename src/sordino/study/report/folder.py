"""A report as a folder: tables for people, for LaTeX and for programs, a picture, and the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sordino.files import write_json, write_text
from sordino.results import to_csv
from sordino.study.names import flat, short
from sordino.study.report import gains, paper_table, pictures, table, under
from sordino.study.report.comparison import COMPARED, comparison_cells, comparisons
from sordino.study.report.page import page
from sordino.study.rows import Row

COLUMNS = ("task", "row", "metric", "score", "low", "high", "n_tracks", "n_seeds", "trained_parameters", "share",
           "step_s", "train_cpu_s", "peak_memory_bytes", "n_train", "settings")  # fmt: skip


def write_report(rows: Sequence[Row], folder: str | Path, title: str, against: str = "probe") -> list[Path]:
    """Write everything; returns the files.

    `report.html` is the page, `table.md` and `table.png` have a table for each task, `paper.md` and `paper.tex` one for
    all, `gains.md` what each method is more than `against`, `under.md` what changes of the sound cost where that was
    tested, `scores.csv` a line for each row, `comparisons.csv` one for each comparison, and `report.json` all of it
    with machine and versions.

    Args:
        rows: of any tasks.
        folder: where to.
        title: of the page.
        against: name of the row that the others are compared with.
    """
    folder = Path(folder)
    whole = paper_table.paper_table(rows)
    compared = {task: list(comparisons(own, against)) for task, own in table.by_task(rows).items()}
    pairs = [(task, found) for task, several in compared.items() for found in several]
    told = {
        "title": title,
        "against": against,
        "rows": [plain(row) for row in rows],
        "comparisons": [
            {"task": task, "differs": each.differs, **vars(each)} for task, found in pairs for each in found
        ],
    }
    texts = {
        "report.html": page(title, rows, whole, compared, against),
        "table.md": table.markdown(rows),
        "gains.md": gains.markdown(told),
        **({"under.md": under.markdown(rows)} if any(row.under for row in rows) else {}),
        "paper.md": paper_table.markdown(whole),
        "paper.tex": paper_table.latex(whole),
        "scores.csv": to_csv([COLUMNS, *(_values(row) for row in rows)]),
        "comparisons.csv": to_csv(
            [("task", "against", *COMPARED),
             *((task, found[0].other, *cells) for task, found in pairs for cells in comparison_cells(found))]
        ),
    }  # fmt: skip
    written = [write_text(folder / name, text) for name, text in texts.items()]
    written.append(write_json(folder / "report.json", told))
    return [*written, pictures.picture(rows, folder / "table.png")]


def plain(row: Row) -> dict[str, Any]:
    """A row as JSON-able data, without what belongs to single tracks."""
    left_out = ("resamples", "by_track", "answers")
    return {name: value for name, value in vars(row).items() if name not in left_out}


def _values(row: Row) -> tuple[Any, ...]:
    settings = "; ".join(f"{key}={short(value)}" for key, value in flat(row.config))
    return (row.task, row.name, row.metric, row.score, *row.interval, row.n_tracks, len(row.scores), row.parameters,
            row.share, row.step_s, row.train_cpu_s, row.peak_memory_bytes, row.n_train, settings)  # fmt: skip
