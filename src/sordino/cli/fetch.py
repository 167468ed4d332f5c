"""`sordino fetch`: published weights, and the output layers that came with them."""

from __future__ import annotations

import click


@click.command()
@click.argument("backbone")
@click.argument("options", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--out", type=click.Path(file_okay=False), help="Where adapters are written; by default in the cache.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(backbone, options, out, as_json):
    """Bring the weights of a BACKBONE onto this machine, converted, and say where they are.

    Where output layers were published with them, they become adapters, ready for `sordino predict`. The options are the
    backbone's (`sordino show NAME`).

    Example: sordino fetch mini
    """
    import json

    from sordino.config import override
    from sordino.published import fetch

    where, adapters = fetch(backbone, override({}, options), out)
    if as_json:
        click.echo(json.dumps({"weights": where, "adapters": [str(folder) for folder in adapters]}))
        return
    click.echo(where)
    for folder in adapters:
        click.echo(f"adapter: {folder}")
