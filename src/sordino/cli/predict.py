"""`sordino predict`: answers for sound files."""

from __future__ import annotations

import sys

import click


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path())
@click.option("--adapter", "-a", "adapters", multiple=True, required=True, type=click.Path(), help="An adapter folder.")
@click.option("--json", "form", flag_value="json", help="One JSON object per file and line.")
@click.option("--csv", "form", flag_value="csv", help="A table with a row per beat, chord, tag, key or tempo.")
@click.option("--jams", metavar="FOLDER", type=click.Path(file_okay=False), help="Also write FOLDER/<name>.jams.")
@click.option("--audacity", metavar="FOLDER", type=click.Path(file_okay=False), help="Also write labels for Audacity.")
@click.option(
    "--rekordbox", metavar="FILE", type=click.Path(dir_okay=False), help="Also write a library, with beat grids."
)
@click.option("--write-tags", is_flag=True, help="Write tempo, key and genre into FILES themselves.")
@click.option("--device", help="cpu, cuda, cuda:1, mps; by default a GPU if there is one.")
@click.option("--precision", default="auto", show_default=True, type=click.Choice(["auto", "float32", "bf16"]))
@click.option("--batch-size", type=click.IntRange(1), default=8, show_default=True, help="Segments computed at once.")
def command(files, adapters, form, jams, audacity, rekordbox, write_tags, device, precision, batch_size):
    """Answer FILES with one or several adapters; a file that cannot be read is named, and the others are answered.

    Example: sordino predict song.mp3 other.flac --adapter runs/my-run/model.adapter --json
    """
    import json

    from sordino import exports
    from sordino.datasets import file_tags
    from sordino.files import distinct_names
    from sordino.inference import Predictor
    from sordino.results import ANSWER_COLUMNS, answer_rows, to_csv, write_jams

    predictor = Predictor(adapters, device=device, precision=precision, batch_size=batch_size)
    if form == "csv":
        click.echo(to_csv([ANSWER_COLUMNS]), nl=False)
    n_failed, answers, names = 0, [], distinct_names(files)
    for answer in predictor.files(files):
        n_failed += answer.error is not None
        answers += [answer] if rekordbox else []
        if jams and answer.error is None:
            write_jams(answer, predictor.tasks, jams, names[answer.path])
        if audacity and answer.error is None:
            exports.write_audacity(answer, predictor.tasks, audacity, names[answer.path])
        if write_tags and answer.error is None:
            file_tags.write_tags(answer.path, exports.tag_values(answer, predictor.tasks))
        if form == "json":
            click.echo(json.dumps(answer.plain(), ensure_ascii=False))
        elif form == "csv":
            click.echo(to_csv(answer_rows(answer, predictor.tasks)), nl=False)
        elif answer.error is None:
            told = ", ".join(f"{task} {_short(p.value)}" for task, p in answer.answers.items())
            click.echo(f"{answer.path}: {told}")
        if answer.error is not None:
            click.echo(f"sordino: {answer.error}", err=True)
    if rekordbox:
        exports.write_rekordbox(answers, predictor.tasks, rekordbox)
    if n_failed:
        sys.exit(1)


def _short(value) -> str:
    """An answer in a few words."""
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, dict):
        return ", ".join(f"{len(v)} {k}" if isinstance(v, list) else f"{k} {_short(v)}" for k, v in value.items())
    if isinstance(value, list):
        return " ".join(map(str, value[:6])) + (f" ... ({len(value)})" if len(value) > 6 else "")
    return str(value)
