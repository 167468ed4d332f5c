"""`sordino layers`: which layer of a model knows what your labels ask."""

from __future__ import annotations

import click


@click.command()
@click.argument("data")
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--task", "-t", default="key", show_default=True, help="What is asked: key, tempo, ...")
@click.option("--backbone", "-b", default="mini", show_default=True, help="The model.")
@click.option("--root", type=click.Path(), help="Where a named dataset lies.")
@click.option("--out", default="runs", show_default=True, type=click.Path(), help="Where run folders lie.")
@click.option("--report", type=click.Path(file_okay=False), help="Write tables, plots and a page into this folder.")
def command(data, settings, task, backbone, root, out, report):
    """A linear probe on every hidden state of a model, from one stored pass over DATA.

    State 0 is what enters the first layer. Rows are tested against the last layer, in pairs over the test tracks.

    Example: sordino layers demo -t key training.steps=200
    """
    from sordino.backbones import load_backbone
    from sordino.cli._progress import bars
    from sordino.config import load_config
    from sordino.study.report.comparison import COMPARED, comparison_cells, comparisons
    from sordino.study.report.folder import write_report
    from sordino.study.report.table import print_table
    from sordino.study.rows import rows_of
    from sordino.study.side_by_side import run_all, usual_jobs

    whole = load_config(None, settings, data=data, task=task, method="probe", backbone=backbone, root=root)
    n_layers = load_backbone(**whole.resolved()["backbone"]).n_layers
    names = [*map(str, range(n_layers + 1)), "all"]
    configs = [
        load_config(None, [*settings, f"head.layers={name}", "head.hidden=0"], data=data, task=task, method="probe",
                    backbone=backbone, root=root)
        for name in names
    ]  # fmt: skip
    with bars() as advance:
        runs = run_all(configs, out, advance, usual_jobs(configs))
    last = f"layer {n_layers}"
    rows = rows_of(runs, ["all layers, learned mix" if name == "all" else f"layer {name}" for name in names])
    print_table(rows)
    for found in comparisons(rows, last):
        click.echo(f"against {last}: {', '.join(COMPARED[1:5])}")
        for cells in comparison_cells(found):
            click.echo(f"  {cells[0]:<24} " + "   ".join(cells[1:5]))
    if report:
        click.echo("report: " + ", ".join(map(str, write_report(rows, report, f"Layers of {backbone}", last))))
