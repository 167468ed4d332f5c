"""`sordino train`: adapt a model to labelled music."""

from __future__ import annotations

import click

from sordino.cli._settings import WithSettings


@click.command(cls=WithSettings)
@click.argument("data")
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--task", "-t", help="What is learned: key, tempo, ... or several joined with +.")
@click.option("--method", "-m", help="What is attached and trained: lora, adapter, ... or several joined with +.")
@click.option("--backbone", "-b", help="The frozen model: mini, musicfm, mert, ...")
@click.option("--root", type=click.Path(), help="Where a named dataset lies.")
@click.option("--config", "config_path", type=click.Path(dir_okay=False), help="A TOML file with settings.")
@click.option("--out", default="runs", show_default=True, type=click.Path(), help="Where run folders lie.")
@click.option("--strict", is_flag=True, default=None, help="End at a row or label that is not understood.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(data, settings, task, method, backbone, root, config_path, out, strict, as_json):
    """Train an adapter on DATA (a named dataset, a folder, a table) and test it.

    Your own data are looked through first, as `sordino prepare` does; files that cannot be decoded and labels that are
    not understood are listed and left out.
    Stopped or killed, the same command goes on where it was; finished, it only prints the result.

    Example: sordino train demo --task key --method lora training.steps=200
    """
    import json

    from sordino.cli._progress import bars
    from sordino.config import load_config
    from sordino.training.run import carry_out, open_run

    config = load_config(
        config_path, settings, data=data, task=task, method=method, backbone=backbone, root=root, strict=strict
    )
    with bars() as advance:
        plan = open_run(config, out, advance, looked_through(config, advance))
        click.echo(f"run {plan.folder}", err=True)
        for name, value in config.resolved().items():
            click.echo(f"  {name} = {json.dumps(value)}", err=True)
        run = carry_out(plan, advance)
    if as_json:
        click.echo(json.dumps(run.result))
        return
    for name, row in run.result["tasks"].items():
        low, high = row["interval"]
        click.echo(f"{name}: {row['metric']} {row['metrics'][row['metric']]:.3f} (95 % {low:.3f} to {high:.3f}, "
                   f"{row['n_tracks']} test tracks, backbone weights: {run.result['weights']})")  # fmt: skip
        for note in row["notes"]:
            click.echo(f"  {note}")
    click.echo(f"adapter: {run.adapter}")


def looked_through(config, advance):
    """The user's own data without what cannot be decoded, the report on stderr; None for a named dataset."""
    import os
    from functools import partial

    from sordino.cli.prepare import report
    from sordino.config import specs
    from sordino.datasets import load_dataset, prepare
    from sordino.tasks import choose_tasks

    dataset = load_dataset(config.data, config.root)
    if dataset.name != "folder":
        return dataset
    tasks = choose_tasks(specs(config.task, "task"), dataset.tracks())
    try:
        found = prepare(dataset, tasks, os.cpu_count() or 1, None, partial(advance, "read"))
    except OSError as error:
        click.echo(f"not looked through: {error}", err=True)
        return dataset
    click.echo("\n".join(f"  {line}" for line in report(found, dataset)), err=True)
    if found.torn:
        first, second, how, _ = found.torn[0]
        raise ValueError(f"{first} and {second} are one recording ({how}) in two splits; give both one group")
    return load_dataset(found.manifest) if found.manifest else dataset
