"""`sordino demo`: everything at once on what ships with the package."""

from __future__ import annotations

import click


@click.command()
@click.option("--out", default="runs/demo", show_default=True, type=click.Path(), help="Where to write.")
@click.option("--steps-share", default=1.0, show_default=True, help="A part of the usual training steps.")
def command(out, steps_share):
    """Adapt the built-in model to the built-in music, print the tables, predict on a recording.

    Example: sordino demo --steps-share 0.1
    """
    from sordino.cli._progress import bars
    from sordino.cli.predict import _short
    from sordino.study.demo import configs, run_demo
    from sordino.study.report.table import print_table
    from sordino.study.side_by_side import usual_jobs

    with bars() as advance:
        demo = run_demo(out, advance, steps_share, usual_jobs(list(configs().values())))
    print_table(demo.rows)
    told = ", ".join(f"{task} {_short(answer.value)}" for task, answer in demo.answers.items())
    known = ", ".join(
        f"{name} {_short(value)}" for name, value in demo.excerpt.labels.items() if name in ("key", "tempo")
    )
    click.echo(f"\n{demo.excerpt.info.get('title', demo.excerpt.id)} (a recording): {told}; known: {known}")
    click.echo(f"report: {demo.folder}/table.md, {demo.folder}/costs.png, {demo.folder}/table.png")
    for name, run in demo.runs.items():
        click.echo(f"  {name}: {run.folder}/result.json, {run.adapter}")
