"""`sordino evaluate`: an adapter's scores on a dataset."""

from __future__ import annotations

import click


@click.command()
@click.argument("adapter", type=click.Path())
@click.option("--data", default="demo", show_default=True, help="A named dataset, a folder, or a table.")
@click.option("--root", type=click.Path(), help="Where a named dataset lies.")
@click.option("--split", default="test", show_default=True, type=click.Choice(["train", "validation", "test", "all"]))
@click.option(
    "--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, mps; auto: a GPU if there is one."
)
@click.option("--precision", type=click.Choice(["auto", "float32", "bf16"]), help="By default as it was trained.")
@click.option(
    "--most-broken",
    default=0.5,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share of tracks that may be broken.",
)
@click.option("--json", "form", flag_value="json", help="Print scores, intervals and per-track scores as JSON.")
@click.option("--csv", "form", flag_value="csv", help="Print every track's scores as a table.")
@click.option("--jams", metavar="FOLDER", type=click.Path(file_okay=False), help="Also write FOLDER/<id>.jams.")
@click.option("--under", multiple=True, metavar="CHANGE", help="Score once more with the sound changed: "
              "noise, telephone, mp3, quiet, loud, detuned; may be given again.")  # fmt: skip
def command(adapter, data, root, split, device, precision, most_broken, form, jams, under):
    """Score ADAPTER (a folder, a name, or hf:user/name) on the labelled tracks of a dataset.

    Example: sordino evaluate runs/my-run/model.adapter --data demo
    """
    import json

    from sordino.adapter_file import read_tasks
    from sordino.adapters import locate
    from sordino.cli._progress import bars
    from sordino.files import distinct_names, finite
    from sordino.results import SCORE_COLUMNS, score_rows, scored_answers, shown_score, to_csv, write_jams
    from sordino.training.adapter_scores import evaluate_adapter

    adapter = locate(adapter)
    with bars() as advance:
        scored = evaluate_adapter(adapter, data, root, split, advance, device, precision, most_broken, under)
    if jams:
        answers, tasks = scored_answers(scored), read_tasks(adapter)
        names = distinct_names(answer.path for answer in answers)
        for answer in answers:
            write_jams(answer, tasks, jams, names[answer.path])
    if form == "json":
        click.echo(json.dumps(finite(scored), allow_nan=False))
        return
    if form == "csv":
        click.echo(to_csv([SCORE_COLUMNS, *score_rows(scored)]), nl=False)
        return
    for name, row in scored.items():
        low, high = row["interval"]
        click.echo(f"{name}: {row['n_tracks']} tracks, {row['metric']} 95 % {shown_score(low)} to {shown_score(high)}")
        for metric, value in row["metrics"].items():
            click.echo(f"  {metric:<28} {shown_score(value)}")
        for change, changed in row["under"].items():
            score = changed["metrics"][row["metric"]]
            lost = f" ({score - row['metrics'][row['metric']]:+.3f})" if score == score else ""
            click.echo(f"  {row['metric']} under {change:<12} {shown_score(score)}{lost}")
        for note in row["notes"]:
            click.echo(f"  {note}")
