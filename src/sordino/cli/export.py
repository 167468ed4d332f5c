"""`sordino export`: an adapter for programs that are not sordino."""

from __future__ import annotations

import click


@click.command()
@click.argument("adapter")
@click.option("--onnx", metavar="FILE", type=click.Path(dir_okay=False), help="The whole model, frontend included.")
@click.option("--peft", metavar="FOLDER", type=click.Path(file_okay=False), help="Its work on the weights, as LoRA.")
@click.option("--segment-s", type=click.FloatRange(0, min_open=True), help="Length of what the ONNX model is given.")
@click.option("--rank", type=click.IntRange(1), help="The LoRA's highest rank; by default as much as there is.")
def command(adapter, onnx, peft, segment_s, rank):
    """Write ADAPTER as ONNX (`pip install 'sordino[onnx]'`), or as LoRA in the format of Hugging Face peft.

    The ONNX model takes one segment of fixed length and is compared with the original under onnxruntime before it is
    written. As LoRA goes whatever changes linear weights and nothing else: lora, dora, vera and their like.

    Example: sordino export runs/my-run/model.adapter --peft my-lora
    """
    from sordino.adapters import locate

    if not onnx and not peft:
        raise click.UsageError("nothing is asked for: give --onnx FILE or --peft FOLDER")
    folder = locate(adapter)
    if onnx:
        from sordino.share.onnx import export_onnx

        found = export_onnx(folder, onnx, segment_s)
        click.echo(f"{found.path}: {found.bytes / 1e6:.1f} MB, segments of {found.n_samples} samples, probabilities "
                   f"within {found.difference:.1g} of the original's")  # fmt: skip
    if peft:
        from sordino.share.as_lora import save_as_lora

        try:
            written = save_as_lora(folder, peft, rank)
        except TypeError as error:
            raise ValueError(f"{adapter}: {error}") from error
        click.echo(f"{written.folder}: LoRA of rank {written.rank} at most, {written.error:.1%} of the change lost")
