"""`sordino cache`: what is kept on disk to be computed only once."""

from __future__ import annotations

import click


@click.command()
@click.option("--clear", is_flag=True, help="Remove what is kept (it is computed again when it is needed).")
@click.option(
    "--unused-days", type=click.FloatRange(min=0), default=0.0, help="With --clear: only what so long nobody used."
)
def command(clear, unused_days):
    """List the states and waveforms that are kept, those used last first, and how much room they take.

    Example: sordino cache
    """
    import time

    from sordino.store_chunks import budget_bytes, contents, remove_chunk, store_folder

    chunks = sorted(contents(), key=lambda chunk: -chunk["used"])
    total = sum(chunk["n_bytes"] for chunk in chunks)
    if clear:
        old = [chunk for chunk in chunks if time.time() - chunk["used"] >= 86_400 * unused_days]
        for chunk in old:
            remove_chunk(chunk["stem"])
        total = sum(chunk["n_bytes"] for chunk in old)
        click.echo(f"removed {len(old)} of {len(chunks)} parts, {total / 1e9:.2f} GB")
        return
    for chunk in chunks:
        about = chunk["about"]
        what = (
            f"state {about['state']} of {about['backbone']}" if "state" in about else f"sound at {about['waveform']} Hz"
        )
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(chunk["used"]))
        click.echo(f"{used}  {chunk['n_bytes'] / 1e9:9.3f} GB  {chunk['n_rows']:>8} rows  {what}, {about['dtype']}")
    click.echo(f"{total / 1e9:.2f} of {budget_bytes() / 1e9:g} GB (SORDINO_CACHE_GB) in {store_folder()}")
