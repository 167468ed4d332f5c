"""`sordino check`: what a backbone, method, task or dataset keeps of what its kind promises."""

from __future__ import annotations

import sys

import click

MARKS = {"kept": "keeps ", "broken": "BREAKS", "not asked": "  -   "}


@click.command()
@click.argument("places", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each thing checked.")
def command(places, as_json):
    """Run the contract tests on all that PLACES hold: files, modules, FILE.py:CLASS, or names of what is known.

    The files are imported. A method is checked on a tiny form of every backbone, a backbone with every method, a
    dataset through its miniature. The exit status is 1 where a promise is broken.

    Example: sordino check key
    """
    import json

    from sordino import outside, registry
    from sordino.checks.verdict import verdict
    from sordino.cli._progress import bars

    asked = []
    for place in places:
        known = [(kind, place) for kind in registry.FOLDERS if place in registry.names(kind)]
        asked += known or [(found.kind, found.name) for found in outside.use(place)]
    broken = 0
    for kind, name in asked:
        with bars() as advance:
            lines = verdict(kind, name, advance)
        broken += sum(line.outcome == "broken" for line in lines)
        if as_json:
            click.echo(json.dumps({"kind": kind, "name": name, "promises": [line._asdict() for line in lines]}))
            continue
        click.echo(f"{kind} {name}")
        for line in lines:
            told = f"\n          {line.told}" if line.told and line.outcome != "kept" else ""
            click.echo(f"  {MARKS[line.outcome]}  {line.promise}{told}")
        n_kept = sum(line.outcome == "kept" for line in lines)
        click.echo(f"  {n_kept} of {sum(line.outcome != 'not asked' for line in lines)} promises kept")
    sys.exit(1 if broken else 0)
