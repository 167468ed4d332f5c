"""`sordino adapt`: from a folder of labels to an adapter in a given time, without opinions."""

from __future__ import annotations

import click


@click.command()
@click.argument("data")
@click.option("--budget", default="15m", show_default=True, help="How long all of it may take: 90s, 15m, 2h.")
@click.option("--task", "-t", help="What is learned; by default what most tracks are labelled for.")
@click.option("--backbone", "-b", "backbones", multiple=True, help="By default `mini` and what was fetched.")
@click.option("--root", type=click.Path(), help="Where a named dataset lies.")
@click.option("--out", default="runs", show_default=True, type=click.Path(), help="Where run folders lie.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing on stderr.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(data, budget, task, backbones, root, out, quiet, as_json):
    """Find out how to learn the labels of DATA, learn them, and leave the best adapter.

    Reads everything, picks the task, the length of segments and the backbone, and says what it will do. Then heads on
    stored states are compared, and methods that change the model, by successive halving on repeated splits by group.
    The chosen one is tested once, beside plain baselines and the majority answer: on the test split, or, of fewer
    than 200 labelled tracks without a split, on all of them in folds by group (see `sordino train`), if time is left.

    Example: sordino adapt my_music --budget 15m
    """
    import json
    import time
    from pathlib import Path

    from sordino.cli._progress import bars
    from sordino.config import load_config
    from sordino.files import write_json
    from sordino.results import shown_score
    from sordino.study.best_in_time import BestInTime
    from sordino.study.choosing import backbones_here, seconds_of
    from sordino.tasks import choose_tasks
    from sordino.training.folds import usual_folds

    began, budget_s = time.monotonic(), seconds_of(budget)

    def tell(line):
        if not quiet:
            click.echo(line, err=True)

    with bars(quiet) as advance:
        for name in backbones or [None]:  # a wrong name is told before anything else
            load_config(None, (), data=data, task=task or "key", backbone=name)
        dataset, tracks, found = read(data, root, task, advance, tell)
        spec, length_s = chosen(task, tracks, found, tell)
        names = list(backbones) or backbones_here()
        folds = usual_folds(tracks, choose_tasks([spec], tracks)) if found and found.split_here else 1
        if found:
            found.check_apart(by_group=folds > 1)
        search = BestInTime(dataset, spec, length_s, names, Path(out), budget_s, tell, advance, folds, began)
        tell(f"backbones: {', '.join(map(str, names))}; segments of {length_s:g} s; at most {budget_s / 60:g} min:")
        tell("  heads on stored states, then bitfit, lora and adapter from the best head; splits by group, the test "
             "tracks apart; a third of the time for the one that is chosen")  # fmt: skip
        run, why = search.run()
        beside = plain(run, dataset, advance)
    (row,) = run.result["tasks"].values()
    write_json(run.folder / "adapt.json", {"why": why, "rounds": search.rounds, "seconds": search.spent_s})
    if as_json:
        click.echo(json.dumps({**run.result, "why": why, "adapter": str(run.adapter)}))
        return
    low, high = map(shown_score, row["interval"])
    click.echo(f"{row['metric']} {shown_score(row['metrics'][row['metric']])} (95 % {low} to {high}, "
               f"{row['n_tracks']} test tracks), after {search.spent_s / 60:.1f} min")  # fmt: skip
    for note in row["notes"]:
        click.echo(f"  {note}")
    for title, scored in beside.items():
        low, high = map(shown_score, scored["interval"])
        click.echo(f"  {title}: {shown_score(scored['metrics'][row['metric']])} (95 % {low} to {high})")
    click.echo(f"why: {why}\nadapter: {run.adapter}")


def read(data, root, task, advance, tell):
    """The data without what is broken, its tracks, and what a look through it found (None of a named corpus)."""
    import os
    from functools import partial

    from sordino.cli.prepare import report
    from sordino.datasets import load_dataset, prepare
    from sordino.registry import specs
    from sordino.tasks import choose_tasks

    dataset = load_dataset(data, root)
    tracks = dataset.tracks()
    choose_tasks(specs(task, "task") if task else [], tracks)
    if dataset.name != "folder":
        return dataset, tracks, None
    found = prepare(dataset, [], os.cpu_count() or 1, None, partial(advance, "read"))
    for line in report(found, dataset):
        tell(line)
    dataset = load_dataset(found.manifest) if found.manifest else dataset
    return dataset, dataset.tracks(), found


def chosen(task, tracks, found, tell):
    """The task's spec and the length of a segment."""
    from sordino.registry import specs
    from sordino.study.choosing import choose_task
    from sordino.tasks import choose_tasks
    from sordino.training.splits import usual_segment_s

    if task:
        (spec,) = specs(task, "task")
        (made,) = choose_tasks([spec], tracks)
        spec = {"name": made.name, **({"label": made.label} if "label" in made.config() else {})}
    else:
        choice = choose_task(tracks)
        spec = choice.task
        others = f"; the labels would also do for {', '.join(choice.others)} (--task)" if choice.others else ""
        tell(f"task: {choice.told}, {choice.n_labelled} tracks{others}")
    (made,) = choose_tasks([spec], tracks)
    lengths = list(found.lengths_s()) if found else [track.duration_s for track in tracks if track.duration_s]
    return spec, usual_segment_s([made], lengths)


def plain(run, dataset, advance):
    """Plain baselines, on the same test tracks or folds."""
    from sordino.datasets import Folds
    from sordino.study.plain import plain_scores
    from sordino.tasks import make_task
    from sordino.training.splits import make_tasks

    advance("plain baselines", 0, 1)
    (spec,) = run.result["config"]["task"]
    if folds := run.result.get("folds"):
        dataset = Folds(dataset, len(folds), [make_task(**spec).label])
    (task,) = make_tasks([spec], dataset.tracks())
    return plain_scores(task, dataset)
