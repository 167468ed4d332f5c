"""`sordino prepare`: look through a dataset, say what is in it and what is wrong, write a manifest."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from sordino.datasets import Prepared

N_SHOWN = 12
SEVERAL = " (several stand between ; or |, or else between commas)"


@click.command()
@click.argument("data")
@click.option("--task", "-t", help="Check the labels of this task: key, tempo, ... or several joined with +.")
@click.option("--label", help="The label that the task reads, where it is not its usual one.")
@click.option("--root", type=click.Path(), help="Where a named corpus lies.")
@click.option("--download", is_flag=True, help="Fetch what the corpus publishes; goes on where it stopped.")
@click.option("--workers", default=0, show_default="one per core", help="Processes that decode.")
@click.option("--out", type=click.Path(), help="The manifest's file, when it cannot lie beside the data.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(data, task, label, root, download, workers, out, as_json):
    """Read all of DATA once: hours, rates, labels, repetitions, broken files.

    DATA is a named corpus (`sordino list datasets`), a folder with one folder per class, a table with a
    column `path`, a folder of JAMS files, the library of a DJ program, or a folder of tagged files. The exit
    status is 1 when something is broken, mislabelled, or stands in two splits.

    Example: sordino prepare labels.csv --task key
    """
    import os
    from functools import partial
    from pathlib import Path

    from sordino.cli._progress import bars
    from sordino.datasets import load_dataset, prepare
    from sordino.registry import specs
    from sordino.tasks import choose_tasks

    if label and not task:
        raise click.UsageError("--label is what a task reads; give --task too")
    dataset = load_dataset(data, root)
    options = {"label": label} if label else {}
    manifest = Path(out) if out else None
    with bars() as advance:
        if download:
            fetch_archives(dataset, advance)
        tasks = choose_tasks([{**spec, **options} for spec in specs(task, "task")], dataset.tracks()) if task else []
        found = prepare(dataset, tasks, workers or os.cpu_count() or 1, manifest, partial(advance, "read"))
    lines = [json.dumps(as_dict(found), ensure_ascii=False)] if as_json else report(found, dataset)
    click.echo("\n".join(lines))
    sys.exit(0 if found.flawless else 1)


def fetch_archives(dataset: Any, advance: Callable[[str, int, int], None]) -> None:
    """Fetch and unpack what a corpus publishes."""
    from functools import partial

    from sordino.datasets import download, unpack

    if not dataset.archives:
        raise ValueError(f"{dataset.name}: nothing is published for download. {dataset.get}")
    for archive in dataset.archives:
        click.echo(archive.url, err=True)
        path = download(archive, dataset.root, partial(advance, f"bytes of {archive.url.rpartition('/')[2]}"))
        written, kept, refused = unpack(path, dataset.root / archive.folder)
        check = "checksum is right" if archive.checksum else "no checksum is known"
        click.echo(f"  {written:,} files written, {kept:,} were there; {check}; kept as {path}", err=True)
        for name in refused:
            click.echo(f"  refused: {name} (a link, outside of the folder, or a name of ours)", err=True)


def report(found: Prepared, dataset: Any) -> list[str]:
    """The report for a reader."""
    lengths = found.lengths_s()
    hours = lengths.sum() / 3600
    lines = [f"{found.dataset}: {len(found.tracks):,} tracks, {hours:.2f} h. Licence: {dataset.licence}"]
    if len(lengths):
        scans = [found.scans[str(track.path)] for track in found.tracks]
        kinds = Counter(f"{scan.format} {scan.sample_rate_hz} Hz {scan.n_channels} ch" for scan in scans)
        middle = sorted(lengths)[len(lengths) // 2]
        lines.append(f"lengths: {lengths.min():.1f} to {lengths.max():.1f} s, median {middle:.1f} s")
        lines.append(f"formats: {counts(kinds)}")
    splits = Counter(track.split for track in found.tracks)
    lines.append(f"splits: {counts(splits)} ({found.splits or 'as published'})")
    for name, by_split in found.labels.items():
        everywhere = sum(by_split.values(), Counter())
        lines.append(f"{name}: {len(everywhere)} values: {counts(everywhere)}")
        if by_split["train"]:
            missing = sorted(set(everywhere) - set(by_split["train"]))
            lines += [f"  not in train: {', '.join(missing[:N_SHOWN])}"] if missing else []
        if read := found.examples.get(name):
            rule = SEVERAL if any(" + " in label for label in read.values()) else ""
            lines.append("  read: " + ", ".join(f'"{text}" as {label}' for text, label in read.items()) + rule)
        without = found.unlabelled.get(name, [])
        if without:
            lines.append(
                f"  without: {len(without):,} ({', '.join(without[:N_SHOWN])}{', ...' * (len(without) > N_SHOWN)})"
            )
    lines += found.notes
    lines += listed("no sound here", list(found.absent))
    pairs = sorted(found.repeated, key=lambda pair: not pair[3])
    shown = [f"{a} = {b} ({how}{', IN TWO SPLITS' if torn else ''})" for a, b, how, torn in pairs]
    lines += listed("same recording (give such tracks one `group`)", shown)
    lines += listed("broken, left out", list(found.broken.values()))
    lines += listed(
        "read, but the decoder says", [f"{scan.path}: {scan.said}" for scan in found.scans.values() if scan.said]
    )
    lines += listed("not understood, left out", found.bad_labels)
    lines += listed("understood, but is it meant so", found.doubtful)
    if found.manifest:
        lines.append(f"manifest: {found.manifest}")
    return lines


def counts(values: Counter[str]) -> str:
    """The most frequent values with how often they occur; of many numbers, their range."""
    if len(values) > N_SHOWN and all(_is_number(value) for value in values):
        numbers = sorted(float(value) for value in values.elements())
        return f"{numbers[0]:g} to {numbers[-1]:g}, median {numbers[len(numbers) // 2]:g}"
    first = sorted(values.items(), key=lambda item: (-item[1], item[0]))[:N_SHOWN]
    shown = ", ".join(f"{value} {n:,}" for value, n in first)
    more = len(values) - N_SHOWN
    return shown + (f", and {more} more" if more > 0 else "")


def _is_number(value: str) -> bool:
    try:
        return float(value) == float(value)
    except ValueError:
        return False


def listed(head: str, items: list[str]) -> list[str]:
    """A headed list, nothing for no items; at most a screen of it (`--json` has all)."""
    if not items:
        return []
    rest = [f"  ... and {len(items) - 3 * N_SHOWN} more"] if len(items) > 3 * N_SHOWN else []
    return [f"{head}: {len(items)}", *(f"  {item}" for item in items[: 3 * N_SHOWN]), *rest]


def as_dict(found: Prepared) -> dict[str, Any]:
    """The report for a program."""
    return {
        "dataset": found.dataset,
        "tracks": len(found.tracks),
        "hours": float(found.lengths_s().sum() / 3600),
        "splits": dict(Counter(track.split for track in found.tracks)),
        "labels": found.labels,
        "absent": list(found.absent),
        "repeated": [{"ids": [a, b], "how": how, "in_two_splits": torn} for a, b, how, torn in found.repeated],
        "broken": found.broken,
        "bad_labels": found.bad_labels,
        "doubtful": found.doubtful,
        "unlabelled": found.unlabelled,
        "examples": found.examples,
        "notes": list(found.notes),
        "manifest": str(found.manifest) if found.manifest else None,
    }
