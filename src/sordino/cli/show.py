"""`sordino show`: everything about one backbone, method, task or dataset."""

from __future__ import annotations

import click


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(name, as_json):
    """Show what NAME is, where it comes from, its options, and for a backbone its sites and where its weights are.

    Example: sordino show mini
    """
    import json

    from sordino.study.catalogue import describe

    described = describe(name)
    if as_json:
        click.echo(json.dumps(described))
        return
    about = described.pop("about")
    width = max(map(len, described))
    for key, value in described.items():
        if isinstance(value, dict):
            click.echo(f"{key.replace('_', ' ')}:")
            for inner, told in value.items():
                click.echo(f"  {inner:<{max(map(len, value))}}  {told}")
        else:
            click.echo(f"{key.replace('_', ' '):<{width}}  {value}")
    click.echo(f"\n{about}")
