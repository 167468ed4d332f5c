"""`sordino list`: what there is."""

from __future__ import annotations

import click

KINDS = {"backbones": "backbone", "methods": "method", "tasks": "task", "datasets": "dataset"}


@click.command()
@click.argument("kind", type=click.Choice(list(KINDS)), required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each kind.")
def command(kind, as_json):
    """List backbones, methods, tasks and datasets, or only those of one KIND.

    Example: sordino list methods
    """
    import json

    from sordino.study.catalogue import catalogue

    kinds = [kind] if kind else list(KINDS)
    listed = {each: catalogue(KINDS[each]) for each in kinds}
    if as_json:
        click.echo(json.dumps(listed[kind] if kind else listed))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if Console().is_terminal else 160)
    for each, rows in listed.items():
        table = Table(title=each, title_justify="left")
        for column in rows[0]:
            table.add_column(column.replace("_", " "), overflow="fold")
        for row in rows:
            table.add_row(*(_cell(value) for value in row.values()))
        console.print(table)


def _cell(value) -> str:
    """A value as the table shows it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
