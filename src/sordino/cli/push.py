"""`sordino push`: an adapter onto the Hugging Face Hub."""

from __future__ import annotations

import click


@click.command()
@click.argument("adapter", type=click.Path(exists=True, file_okay=False))
@click.argument("name")
@click.option("--private", is_flag=True, help="A new repository is nobody else's to see.")
def command(adapter, name, private):
    """Put ADAPTER onto the Hub as NAME (user/name), its head and model card included.

    Who writes is told by `hf auth login` or $HF_TOKEN; $HF_ENDPOINT names another server. `sordino predict song.mp3
    --adapter hf:user/name` answers with it on any machine.

    Example: sordino push runs/my-run/model.adapter me/my-adapter
    """
    from pathlib import Path

    from sordino.adapter_file import read_card
    from sordino.hub import push
    from sordino.model_card import warning

    told = warning(Path(adapter).name, read_card(adapter))
    if told:
        click.echo(f"sordino: {told}; the model card says so", err=True)
    click.echo(push(adapter, name, private))
