"""`sordino render`: a labelled corpus of any size, arranged and synthesised here, for the dataset `rendered`."""

from __future__ import annotations

import os

import click


@click.command()
@click.argument("folder", required=False, type=click.Path(file_okay=False))
@click.option(
    "--hours", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True, help="How much audio."
)
@click.option("--seed", default=1, show_default=True, help="Another seed gives other clips; 0 is the demo's.")
@click.option(
    "--workers", type=click.IntRange(1), default=os.cpu_count() or 1, show_default="one per core", help="Processes."
)
@click.option("--include-demo-test", is_flag=True, help="Make the test split from the demo's test tunes and sounds.")
@click.option("--battery", is_flag=True, help="Make the battery of single musical ideas instead, for `battery`.")
def command(folder, hours, seed, workers, include_demo_test, battery):
    """Render clips of 10 s with key, tempo, beats, chords, instruments and style into FOLDER.

    Without FOLDER they go where the dataset `rendered` is looked for. An interrupted run is continued by the same
    command. Needs FluidSynth, soundfonts and the scores of music21; what is missing is named. Songs of the
    Debian packages freedoom and openttd-openmsx are played too where these are installed.

    Example: sordino render --hours 5
    """
    from sordino.datasets.rendered import Rendered
    from sordino.render.corpus import render_corpus

    if battery:
        return click.echo(f"{make_battery(folder)} clips")
    folder = folder or Rendered.default_root()
    rows = render_corpus(folder, hours, seed, workers, include_demo_test)
    click.echo(f"{len(rows)} clips in {folder}")


def make_battery(folder):
    """The battery, where its dataset looks for it unless a folder is named."""
    from functools import partial

    from sordino.cli._progress import bars
    from sordino.datasets.battery import Battery
    from sordino.render.battery import write_battery

    with bars() as advance:
        return write_battery(folder or Battery.default_root(), advance=partial(advance, "clips"))
