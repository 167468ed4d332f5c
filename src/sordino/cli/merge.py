"""`sordino merge`: an adapter written into its backbone."""

from __future__ import annotations

import click


@click.command()
@click.argument("adapter")
@click.option("--out", required=True, type=click.Path(file_okay=False), help="The new folder.")
def command(adapter, out):
    """Write ADAPTER's work into the weights of its backbone: a plain checkpoint, and a head that attaches nothing.

    OUT/backbone.safetensors has the backbone's own parameter names; OUT is an adapter that answers as before and costs
    nothing beside the backbone.

    Example: sordino merge runs/my-run/model.adapter --out merged.adapter
    """
    from sordino.adapters import locate
    from sordino.share.merged import merge_adapter

    try:
        click.echo(merge_adapter(locate(adapter), out))
    except TypeError as error:
        raise ValueError(f"{adapter}: {error}") from error
