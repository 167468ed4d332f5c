"""`sordino report`: tables, comparisons, plots and one page of runs that are finished."""

from __future__ import annotations

import click


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False))
@click.option("--out", required=True, type=click.Path(file_okay=False), help="Folder of the report.")
@click.option("--against", default="probe", show_default=True, help="Row that the others are compared with.")
@click.option("--title", default="Report", show_default=True, help="Of the page.")
def command(runs, out, against, title):
    """Compare finished runs: RUNS are their folders, or folders in which they lie.

    OUT/report.html is one page with everything; beside it are Markdown, LaTeX, CSV, JSON and a picture. Rows that
    differ by nothing but their seed are taken together; differences are tested in pairs over the test tracks.

    Example: sordino report runs --out runs/report
    """
    from sordino.study.report.folder import write_report
    from sordino.study.report.table import print_table
    from sordino.study.rows import rows_of
    from sordino.training.plan import finished_runs

    rows = rows_of(finished_runs(runs))
    if not rows:
        raise click.ClickException(
            f"no finished run below {', '.join(runs)}: no result.json; `sordino study` makes some"
        )
    print_table(rows)
    click.echo("report: " + ", ".join(map(str, write_report(rows, out, title, against))))
