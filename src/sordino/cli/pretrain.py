"""`sordino pretrain`: masked prediction on a folder of music."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

EXAMPLE = """\b
Example:
  sordino pretrain ~/music --out runs/my-mini --steps 20000
  python -c "import sordino; sordino.load_backbone('mini', weights='runs/my-mini/mini.safetensors')"
"""


@click.command("pretrain", epilog=EXAMPLE)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of the run.")
@click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where decoded features are kept, about 100 MB per hour of music.  [default: OUT/store]",
)
@click.option(
    "--rendered",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with labels.jsonl and its sound files (docs/pretraining.md), taught along with the music.",
)
@click.option(
    "--sounds",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with a teacher's embeddings of the music, to be learned (docs/pretraining.md).",
)
@click.option(
    "--labels",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="labels.jsonl with what teachers agree on in the music, taught along with it.",
)
@click.option("--start-from", default="", help="Weights to begin with: `builtin` or a file; random by default.")
@click.option("--steps", default=20_000, show_default=True, help="Optimiser steps.")
@click.option("--batch-size", default=16, show_default=True, help="Crops in a step, on each device.")
@click.option("--lr", default=1e-3, show_default=True, help="Highest learning rate.")
@click.option("--n-layers", default=4, show_default=True, help="Conformer layers.")
@click.option("--dim", default=192, show_default=True, help="Width, a multiple of 64.")
@click.option(
    "--quantiser",
    type=click.Choice(["random", "residual"]),
    default="random",
    show_default=True,
    help="Where tokens come from: random projections, or codebooks learned beforehand.",
)
@click.option("--skip", multiple=True, help="Leave a question out (an objective's name); may be given again.")
@click.option("--precision", help="Fabric's name for it.  [default: bf16-mixed where the machine is good at it]")
@click.option("--devices", default="auto", show_default=True, help="How many devices.")
@click.option("--processes", default=2, show_default=True, help="Decoders at work while the store is built.")
@click.option("--seed", default=0, show_default=True, help="Of everything random.")
def command(
    folder: Path,
    out: Path,
    store: Path | None,
    rendered: Path | None,
    sounds: Path | None,
    labels: Path | None,
    processes: int,
    **options: Any,
) -> None:
    """Pretrain mini on the music below FOLDER; no labels are needed.

    Each track is decoded once, into a store. Training can be stopped at any time; the same command goes on
    where it was. OUT/mini.safetensors is the network as far as it has come, OUT/log.jsonl says how well it
    does on albums that it is not trained on: `mel_tokens` below 1 is better than knowing how common each token
    is.
    """
    from sordino.pretrain.batches import Material
    from sordino.pretrain.loop import PretrainConfig, pretrain, usual_precision
    from sordino.pretrain.show import bar, report_training

    store = store or out / "store"
    devices = options.pop("devices")
    options["precision"] = options["precision"] or usual_precision()
    config = PretrainConfig(n_heads=max(1, options["dim"] // 64), **options)
    material = Material(_store(folder, store, processes, bar), sounds=sounds, music_labels_file=labels)
    if rendered is not None:
        rendered_store = _store(rendered, out / "rendered_store", processes, bar)
        material = replace(material, rendered=rendered_store, labels_file=rendered / "labels.jsonl")
    with report_training(config.steps) as report:
        pretrain(config, material, out, int(devices) if devices.isdigit() else devices, report)
    click.echo(out / "mini.safetensors")


def _store(folder: Path, root: Path, processes: int, bar: Any) -> Path:
    """Build a store, say which files were left out, and give back its folder."""
    from sordino.pretrain.labels import read_labels
    from sordino.pretrain.store import Store, build_store

    labels_file = folder / "labels.jsonl"
    labels = read_labels(labels_file) if labels_file.is_file() else None
    with bar(f"decoding {folder}") as report:
        left_out = build_store(folder, root, labels=labels, n_processes=processes, report=report)
    for line in left_out:
        click.echo(line, err=True)
    hours = Store(root).duration_s / 3600
    if not hours:
        raise click.ClickException(f"{folder}: no music that can be read; see the lines above")
    click.echo(f"{root}: {hours:.1f} h", err=True)
    return root
