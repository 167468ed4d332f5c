"""`sordino pull`: an adapter from the Hugging Face Hub."""

from __future__ import annotations

import click


@click.command()
@click.argument("name")
@click.option("--out", type=click.Path(file_okay=False), help="Its folder; by default in the Hub's own cache.")
def command(name, out):
    """Bring the adapter NAME (user/name, perhaps @revision) here, and say where it is.

    Example: sordino pull me/my-adapter --out my.adapter
    """
    from sordino.adapter_file import read_card
    from sordino.hub import pull
    from sordino.model_card import warning

    folder = pull(name, out)
    told = warning(name, read_card(folder))
    if told:
        click.echo(f"sordino: {told}", err=True)
    click.echo(folder)
