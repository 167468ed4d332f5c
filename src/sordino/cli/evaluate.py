"""`sordino evaluate`: an adapter's scores on a dataset."""

from __future__ import annotations

import click


@click.command()
@click.argument("adapter", type=click.Path())
@click.option("--data", default="demo", show_default=True, help="A named dataset, a folder, or a table.")
@click.option("--root", type=click.Path(), help="Where a named dataset lies.")
@click.option("--split", default="test", show_default=True, type=click.Choice(["train", "validation", "test", "all"]))
@click.option("--json", "as_json", is_flag=True, help="Print scores, intervals and per-track scores as JSON.")
def command(adapter, data, root, split, as_json):
    """Score ADAPTER on the labelled tracks of a dataset.

    Example: sordino evaluate runs/my-run/model.adapter --data demo
    """
    import json

    from sordino.cli._progress import bars
    from sordino.training.run import evaluate_adapter

    with bars() as advance:
        scored = evaluate_adapter(adapter, data, root, split, advance)
    if as_json:
        click.echo(json.dumps(scored))
        return
    for name, row in scored.items():
        low, high = row["interval"]
        click.echo(f"{name}: {row['n_tracks']} tracks, {row['metric']} 95 % {low:.3f} to {high:.3f}")
        for metric, value in row["metrics"].items():
            click.echo(f"  {metric:<28} {value:.3f}")
        for note in row["notes"]:
            click.echo(f"  {note}")
