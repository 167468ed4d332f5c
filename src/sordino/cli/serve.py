"""`sordino serve`: a page and an HTTP API."""

from __future__ import annotations

import click

from sordino.cli.completion import adapters


@click.command()
@click.option("--adapter", "-a", "adapters", multiple=True, shell_complete=adapters,
              help="A folder, a name (`key`), or hf:user/name; NAME=ADAPTER gives it another name. Without: what the "
              "song card uses.")  # fmt: skip
@click.option("--label", "folders", multiple=True, type=click.Path(exists=True, file_okay=False),
              help="A folder of songs that may be labelled on the page.")  # fmt: skip
@click.option("--out", default="runs/labels", show_default=True, type=click.Path(), help="Where labels are saved.")
@click.option(
    "--backbone", "-b", default="mini", show_default=True, help="The model that hears folders to be labelled."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 lets other machines in.")
@click.option("--port", type=click.IntRange(0, 65535), default=7860, show_default=True, help="0: a free one.")
@click.option("--api-only", is_flag=True, help="No page.")
@click.option("--swap", is_flag=True, help="Whoever asks may add and remove adapters.")
@click.option("--upload-mb", type=float, help="Largest sound in megabytes.  [default: 64]")
@click.option("--sound-s", type=float, help="Longest sound in seconds.  [default: 1200]")
@click.option("--parallel", type=int, help="Requests that are computed at once.  [default: 2]")
@click.option("--queue", type=int, help="Requests that may wait.  [default: 16]")
@click.option("--timeout-s", type=float, help="From request to answer.  [default: 300]")
@click.option("--device", help="cpu, cuda, cuda:1, mps; by default a GPU if there is one.")
@click.option("--precision", default="auto", show_default=True, type=click.Choice(["auto", "float32", "bf16"]))
@click.option("--check", is_flag=True, help="Start on a free port, answer one request, tell how long it took, and end.")
def command(adapters, folders, out, backbone, host, port, api_only, swap, device, precision, check, **limits):
    """A page in the browser, and an HTTP API (described at /docs), that answer with resident adapters.

    On the page: drop or record a sound, see beats and chords over its waveform, key, tempo and tags, compare two
    adapters, and label a folder with the model in the loop (--label). Needs `pip install 'sordino[serve]'`.

    Example: sordino serve --check
    """
    from sordino.serve.limits import Limits
    from sordino.serve.running import Server, asked_residents, library

    library()
    limits = Limits(**{name: value for name, value in limits.items() if value is not None})
    residents = asked_residents(adapters, limits, device=device, precision=precision)
    server = Server(residents, limits, host, 0 if check else port, swap)
    if not api_only:
        server.add_page(folders, out, {"name": backbone})
    if check:
        click.echo(server.check())
    else:
        server.run(lambda address: click.echo(f"{address} answers; Ctrl-C ends it", err=True))
