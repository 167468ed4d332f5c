"""`sordino analyze`: what the layers of a model tell of timbre, tone and time."""

from __future__ import annotations

import click


@click.command()
@click.argument("data")
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--backbone", "-b", default="mini", show_default=True, help="The model.")
@click.option("--adapter", type=click.Path(exists=True, file_okay=False), help="The model with this adapter attached.")
@click.option("--before", is_flag=True, help="Compare the adapted model's states with those before.")
@click.option("--root", type=click.Path(), help="Where a named dataset lies.")
@click.option("--split", default="all", show_default=True, type=click.Choice(["train", "validation", "test", "all"]))
@click.option("--segment-s", default=10.0, show_default=True, help="Longer tracks are cut.")
@click.option("--out", type=click.Path(file_okay=False), help="Write analysis.json, .md and .png into this folder.")
def command(data, settings, backbone, adapter, before, root, split, segment_s, out):
    """Hear DATA once and fit every hidden state to simple musical attributes, held out by group.

    Timbre: cepstra and the shape of the spectrum. Tone: chroma and key profiles. Time: onsets and tempi. No labels
    are needed. Settings are the backbone's: `weights=random`, `depth=6`.

    Example: sordino analyze demo -b mini --split test
    """
    from pathlib import Path

    from sordino.adapter_file import backbone_of, load_adapter, read_card
    from sordino.analysis.report import analyse, markdown, picture
    from sordino.analysis.states import hear
    from sordino.backbones import load_backbone
    from sordino.cli._progress import bars
    from sordino.compute import Compute
    from sordino.config import override
    from sordino.datasets import load_dataset
    from sordino.files import write_json, write_text
    from sordino.training.report import versions

    if before and not adapter:
        raise click.UsageError("--before compares an adapted model with itself before: it wants --adapter")
    compute = Compute.choose()
    model = load_adapter(adapter).to(compute.device) if adapter else None
    heard_by = model.backbone if model else load_backbone(**override({"name": backbone}, settings)).to(compute.device)
    title = Path(adapter).name if adapter else f"{backbone}: {heard_by.weights}"
    tracks = [track for track in load_dataset(data, root).tracks() if split in ("all", track.split)]
    with bars() as advance:
        heard, other = hear(heard_by, tracks, segment_s, compute, advance), None
        if before:
            bare = backbone_of(read_card(adapter), adapter).to(compute.device)
            other = hear(bare, tracks, segment_s, compute, advance)
        found = analyse(heard, other)
    click.echo(markdown(found), nl=False)
    for line in heard.broken:
        click.echo(f"left out: {line}", err=True)
    if out:
        folder = Path(out)
        about = {"data": data, "split": split, "segment_s": segment_s, "title": title, "adapter": adapter,
                 "versions": versions()}  # fmt: skip
        write_json(folder / "analysis.json", {**about, **found.plain()})
        write_text(folder / "analysis.md", markdown(found))
        click.echo(f"report: {picture(found, folder / 'analysis.png', title)}")
