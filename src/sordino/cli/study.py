"""`sordino study`: a grid of runs and its tables."""

from __future__ import annotations

import click


@click.command()
@click.argument("path", type=click.Path(dir_okay=False))
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--out", default="runs", show_default=True, type=click.Path(), help="Where run folders lie.")
@click.option("--report", type=click.Path(file_okay=False), help="Write table.md and table.png into this folder.")
@click.option("--plain", is_flag=True, help="Put the tasks' plain baselines beside the runs.")
def command(path, settings, out, report, plain):
    """Train every point of the [grid] in a TOML file and print one table for each task.

    Example: sordino study experiments/demo/methods.toml --report runs/methods
    """
    from pathlib import Path

    from sordino.cli._progress import bars
    from sordino.datasets import load_dataset
    from sordino.study.grid import plain_row, read_study, rows_of, run_all
    from sordino.study.plain import majority, plain_baseline
    from sordino.study.table import markdown, picture, print_table
    from sordino.training.splits import make_tasks

    configs = read_study(path, settings)
    with bars() as advance:
        rows = rows_of(run_all(configs, out, advance))
    if plain:
        dataset = load_dataset(configs[0].data, configs[0].root)
        named = {spec["name"]: spec for config in configs for spec in config.resolved()["task"]}
        for task in make_tasks(list(named.values()), dataset.tracks()):
            for name, scored in (("plain", plain_baseline(task, dataset)), ("majority", majority(task, dataset))):
                if scored is not None:
                    rows.insert(0, plain_row(name, task.name, scored))
    print_table(rows)
    if report:
        Path(report).mkdir(parents=True, exist_ok=True)
        (Path(report) / "table.md").write_text(markdown(rows), encoding="utf-8")
        picture(rows, Path(report) / "table.png")
        click.echo(f"report: {report}/table.md, {report}/table.png")
