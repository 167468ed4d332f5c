"""`sordino study`: a grid of runs and its tables."""

from __future__ import annotations

import click


@click.command()
@click.argument("path", type=click.Path(dir_okay=False))
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--out", default="runs", show_default=True, type=click.Path(), help="Where run folders lie.")
@click.option("--report", type=click.Path(file_okay=False), help="Write tables, plots and a page into this folder.")
@click.option("--against", default="probe", show_default=True, help="Row that the report compares with.")
@click.option("--title", help="Of the report's page; by default the file's name.")
@click.option("--plain", is_flag=True, help="Put the tasks' plain baselines beside the runs.")
@click.option("--dry-run", is_flag=True, help="Print rows, hours, disk and time, and start nothing.")
@click.option("--finished", is_flag=True, help="Train nothing: print and report what is finished so far.")
@click.option("--jobs", type=click.IntRange(1), help="Runs at a time; one on each core unless said otherwise.")
@click.option("--ray", metavar="ADDRESS", help="Train on a Ray cluster; `local` starts one on this machine.")
def command(path, settings, out, report, against, title, plain, dry_run, finished, jobs, ray):
    """Train every point of the [grid] in a TOML file and print one table for each task.

    What it will take is told first; --dry-run tells no more than that, and needs neither the data nor the weights.

    A [search] finds settings for each row first, all with one budget, judged on the validation split.

    Example: sordino study experiments/demo/methods.toml --report runs/methods
    """
    from pathlib import Path

    from sordino.cli._progress import bars
    from sordino.study.estimate import estimates, told
    from sordino.study.grid import read_study
    from sordino.study.plain import beside_plain
    from sordino.study.report.folder import write_report
    from sordino.study.report.table import print_table
    from sordino.study.rows import finished_of, rows_of
    from sordino.study.side_by_side import run_all, usual_jobs
    from sordino.study.tuning import read_search, searched, told_search

    configs, search = read_study(path, settings), read_search(path, settings)
    if dry_run:
        click.echo("\n".join(told(estimates(configs))))
        if search:
            click.echo(f"and before it, for each row: {search.told}")
        return

    def before(plans):
        click.echo("\n".join(told(estimates([plan.config for plan in plans], plans))), err=True)

    if finished:
        if search:
            raise click.UsageError(
                "--finished: which settings the [search] finds is not known; `sordino report` takes all runs"
            )
        runs = finished_of(configs, out)
        click.echo(f"{len(runs)} of {len(configs)} runs are finished", err=True)
        if not runs:
            raise click.ClickException(f"no run of {path} is finished in {out}")
    else:
        at_once = jobs or usual_jobs(configs)
        with bars() as advance:
            if search:
                configs, tuned = searched(configs, search, lambda t: run_all(t, out, advance, at_once, ray=ray))
                click.echo("\n".join(told_search(tuned)), err=True)
            runs = run_all(configs, out, advance, at_once, before, ray)
    rows = rows_of(runs)
    rows = beside_plain(rows, configs) if plain else rows
    print_table(rows)
    if report:
        click.echo("report: " + ", ".join(map(str, write_report(rows, report, title or Path(path).stem, against))))
