"""One page that stands by itself: every table, comparison and plot of a study, and the commands that give its rows."""

from __future__ import annotations

import html
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sordino.config import Config
from sordino.study.names import flat
from sordino.study.report import plots
from sordino.study.report.comparison import COMPARED, Comparison, comparison_cells
from sordino.study.report.paper_table import PaperTable
from sordino.study.report.table import by_task, caption, cells, header, notes
from sordino.study.report.under import NOTE as UNDER
from sordino.study.report.under import under_cells
from sordino.study.rows import Row

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c1c1c; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: .6rem 0 1.2rem; font-variant-numeric: tabular-nums }
th, td { padding: .2rem .7rem; white-space: nowrap; text-align: right; border-bottom: 1px solid #e3e3e3 }
th:first-child, td:first-child { text-align: left } thead th { border-bottom: 2px solid #1c1c1c }
tr.block td { font-style: italic; text-align: left } u { text-underline-offset: .2em }
figure { display: inline-block; margin: 0 1rem 1rem 0; vertical-align: top } figcaption { font-size: .85rem }
code { font-size: .85rem; white-space: pre-wrap; overflow-wrap: anywhere } .note { font-size: .85rem; color: #555 }
details { margin: .5rem 0 }
"""
MARKS = "Bold: the best of its block and column; underlined: below it, but not significantly."
TESTS = (
    "Paired over the test tracks: difference of the means over seeds, 95 % interval and p of the paired bootstrap, "
    "p after Holm's correction for the whole table; beside it McNemar's or Wilcoxon's test on the tracks' own scores."
)


def page(
    title: str,
    rows: Sequence[Row],
    table: PaperTable,
    compared: Mapping[str, Sequence[Sequence[Comparison]]],
    against: str,
) -> str:
    """The whole page as HTML, with drawings inside.

    Args:
        title: of the page.
        rows: of any tasks.
        table: the same rows as papers print them.
        compared: by task, what `comparisons` gave of its rows.
        against: name of the row that the others are compared with, where a task has one.
    """
    parts = [f"<h1>{html.escape(title)}</h1>", _paper(table), f'<p class="note">{MARKS}</p>']
    for task, own in by_task(rows).items():
        parts.append(f"<h2>{html.escape(task)}</h2><p>{html.escape(caption(own))}</p>")
        parts.append(_table(header(own), cells(own)))
        parts += [f'<p class="note">{html.escape(note)}</p>' for note in notes(own)]
        if under := under_cells(own):
            parts.append(_table(under[0], under[1:]) + f'<p class="note">{UNDER}</p>')
        parts += _figures(task, own, against)
        parts += [f"<p>{html.escape(sentence)}</p>" for sentence in plots.labels_needed(own)]
        parts += [_comparisons(found) for found in compared[task]]
    parts.append(_commands(rows))
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style>\n{body}\n</html>\n"
    )


def command_of(config: Mapping[str, Any]) -> str:
    """The command that trains one resolved config."""
    usual = dict(flat(Config().resolved()))
    told = {key: value for key, value in config.items() if key not in ("data", "root", "seed")}
    words = [f"{key}={toml(value)}" for key, value in flat(told) if value != usual.get(key, ...)]
    return shlex.join(["sordino", "train", str(config["data"]), *words])


def toml(value: Any) -> str:
    """A setting's value as it stands behind `key=` on a command line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {toml(each)}" for key, each in value.items() if each is not None) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return "none" if value is None else json.dumps(value)


def _figures(task: str, rows: Sequence[Row], against: str) -> Iterator[str]:
    other = next((row for row in rows if row.name == against), None)
    best = max((row for row in rows if row.config), key=lambda row: row.score, default=None)
    told = {
        "score against trained parameters": plots.against_cost(rows, "parameters"),
        "score against the cost of training": plots.against_cost(rows, "train_cpu_s"),
        "score against labels": plots.against_labels(rows),
    }
    if best is not None and task == "key" and best.answers:
        told[f"answered keys of {best.name}, seen from the true key"] = plots.on_the_circle_of_fifths(best)
    if task == "tempo" and any(row.answers for row in rows):
        told["kinds of error"] = plots.tempo_errors([row for row in rows if row.answers])
    if best is not None and other is not None and other is not best:
        told[f"by tag, {best.name} and {other.name}"] = plots.by_tag(best, other)
    for text, drawing in told.items():
        if drawing:
            yield f"<figure>{drawing}<figcaption>{html.escape(text)}</figcaption></figure>"


def _paper(table: PaperTable) -> str:
    head = "".join(
        f"<th>{html.escape(f'{c.task}, {c.data}')}<br><small>{html.escape(c.metric)}</small></th>"
        for c in table.columns
    )
    lines = []
    for block, members in table.blocks.items():
        if block:
            lines.append(f'<tr class="block"><td colspan="{1 + len(table.columns)}">{html.escape(block)}</td></tr>')
        for name, own in members.items():
            told = [
                "–" if cell is None else f"<b>{cell.row.score:.3f}</b>" if cell.best
                else f"<u>{cell.row.score:.3f}</u>" if cell.near else f"{cell.row.score:.3f}"
                for cell in own
            ]  # fmt: skip
            lines.append(f"<tr><td>{html.escape(name)}</td>" + "".join(f"<td>{each}</td>" for each in told) + "</tr>")
    return f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    titles = "".join(f"<th>{html.escape(each)}</th>" for each in head)
    lines = "".join("<tr>" + "".join(f"<td>{html.escape(each)}</td>" for each in row) + "</tr>" for row in body)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table>"


def _comparisons(found: Sequence[Comparison]) -> str:
    table = _table(COMPARED, comparison_cells(found))
    return f'<h3>Against {html.escape(found[0].other)}</h3>{table}<p class="note">{TESTS}</p>'


def _commands(rows: Sequence[Row]) -> str:
    commands = dict.fromkeys(command_of(row.config) for row in rows if row.config)
    told = "\n".join(html.escape(each) for each in commands)
    return f"<h2>Commands</h2><p>Each row again, with <code>seed=N</code> for each seed:</p><code>{told}</code>"
