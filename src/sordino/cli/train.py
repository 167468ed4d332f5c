"""`sordino train`: adapt a model to labelled music."""

from __future__ import annotations

import click

from sordino.cli._settings import WithSettings


@click.command(cls=WithSettings)
@click.argument("data", required=False)
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--task", "-t", help="What is learned: key, tempo, ... or several joined with +.")
@click.option("--method", "-m", help="What is attached and trained: lora, adapter, ... or several joined with +.")
@click.option("--backbone", "-b", help="The frozen model: mini, musicfm, mert, ...")
@click.option("--root", type=click.Path(), help="Where a named dataset lies.")
@click.option("--config", "config_path", type=click.Path(dir_okay=False), help="A TOML file with settings.")
@click.option("--folds", type=click.IntRange(1), help="Short for folds=N: score by so many folds by group.")
@click.option("--out", default="runs", show_default=True, type=click.Path(), help="Where run folders lie.")
@click.option("--strict", is_flag=True, default=None, help="End at a row or label that is not understood.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing on stderr but what was left out.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(data, settings, task, method, backbone, root, config_path, folds, out, strict, quiet, as_json):
    """Train an adapter on DATA (a named dataset, a folder, a table) and test it; DATA may stand in the file of
    --config instead.

    Your own data are looked through first, as `sordino prepare` does; files that cannot be decoded and labels that are
    not understood are listed and left out.
    Of few tracks a single split decides nothing: they are split in folds, every track is answered by a model that did
    not learn from its group, and the adapter that is kept learns from all. A probe goes first (training.head_first),
    whose heads the method then trains on with its own parts.
    Stopped or killed, the same command goes on where it was; finished, it only prints the result. Beside it stand the
    task's plain estimator (where there is none, what the mean spectrum tells), and the answer that most training
    tracks have.

    Example: sordino train demo --task key --method lora training.steps=200
    """
    import json
    from functools import partial

    from sordino.cli._progress import bars
    from sordino.config import load_config
    from sordino.files import finite
    from sordino.results import shown_score
    from sordino.study.estimate import foretold
    from sordino.training.plan import open_run
    from sordino.training.run import carry_out, mute

    if config_path and data and "=" in data and data.split("=")[0].replace(".", "").isidentifier():
        data, settings = None, (data, *settings)
    if not (data or config_path):
        raise click.UsageError("what shall be learned from? Give DATA, or a file with --config.")
    config = load_config(
        config_path, settings, data=data, task=task, method=method, backbone=backbone, root=root, strict=strict,
        folds=folds,
    )  # fmt: skip
    with bars(quiet) as advance:
        dataset, left_out, config = looked_through(config, advance, quiet)
        tell = partial(click.echo, err=True) if not quiet else mute
        plan = open_run(config, out, advance, dataset, left_out=left_out)
        for name, value in config.resolved().items():
            tell(f"  {name} = {json.dumps(value)}")
        tell(f"run {plan.folder}")
        if not plan.finished():
            tell(f"  {foretold([plan])}")
        run = carry_out(plan, advance, tell=tell)
        beside_plain(run, plan, advance)
    if as_json:
        click.echo(json.dumps(finite(run.result)))
        return
    for name, row in run.result["tasks"].items():
        low, high = map(shown_score, row["interval"])
        click.echo(f"{name}: {row['metric']} {shown_score(row['metrics'][row['metric']])} (95 % {low} to {high}, "
                   f"{row['n_tracks']} test tracks, backbone weights: {run.result['weights']})")  # fmt: skip
        for title, plain in row["plain"].items():
            low, high = map(shown_score, plain["interval"])
            click.echo(f"  {title}: {shown_score(plain['score'])} (95 % {low} to {high})")
        for note in row["notes"]:
            click.echo(f"  {note}")
    for note in run.result.get("notes", ()):
        click.echo(note)
    click.echo(f"adapter: {run.adapter}")


def beside_plain(run, plan, advance):
    """Note in the run's result what plain baselines and the majority answer score on the same tracks."""
    from sordino.files import write_json
    from sordino.study.plain import plain_scores

    lacking = [task for task in plan.tasks if "plain" not in run.result["tasks"][task.name]]
    for number, task in enumerate(lacking):
        advance("plain baselines", number, len(lacking))
        row = run.result["tasks"][task.name]
        row["plain"] = {
            title: {"score": scored["metrics"][row["metric"]], "interval": list(scored["interval"])}
            for title, scored in plain_scores(task, plan.dataset).items()
        }
    if lacking:
        write_json(run.folder / "result.json", run.result)


def looked_through(config, advance, quiet):
    """The data, a user's own without what cannot be decoded and with a report on stderr; what was left out; the config
    with the folds and the beginning that are usual for them."""
    import os
    from dataclasses import replace
    from functools import partial

    from sordino.cli.prepare import report
    from sordino.datasets import load_dataset, prepare
    from sordino.registry import specs
    from sordino.tasks import choose_tasks
    from sordino.training.beginning import usual_probe
    from sordino.training.folds import usual_folds

    dataset = load_dataset(config.data, config.root)
    if dataset.name != "folder":
        return dataset, [], config
    tasks = choose_tasks(specs(config.task, "task"), dataset.tracks())
    try:
        found = prepare(dataset, tasks, os.cpu_count() or 1, None, partial(advance, "read"))
    except OSError as error:
        click.echo(f"not looked through: {error}", err=True)
        return dataset, [], config
    if not quiet:
        click.echo("\n".join(f"  {line}" for line in report(found, dataset)), err=True)
    may_fold = config.folds is None and found.split_here and not (config.test or config.under)
    config = replace(config, folds=usual_folds(found.tracks, tasks)) if may_fold else config
    config = replace(config, training=replace(config.training, head_first=usual_probe(config)))
    found.check_apart(by_group=config.n_folds > 0)
    return (load_dataset(found.manifest), dataset.refused, config) if found.manifest else (dataset, [], config)
