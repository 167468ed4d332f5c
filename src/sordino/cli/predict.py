"""`sordino predict`: answers for sound files."""

from __future__ import annotations

import sys
import time

import click

from sordino.cli.completion import adapters

SINGLE = "a file for one song, a folder for several"


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.option("--adapter", "-a", "adapters", multiple=True, shell_complete=adapters,
              help="A folder, a name (`key`), or hf:user/name; NAME=ADAPTER tells several of one task apart. Without: "
              "the song card.")  # fmt: skip
@click.option("--json", "form", flag_value="json", help="One JSON object per file and line.")
@click.option("--csv", "form", flag_value="csv", help="A table with a row per beat, chord, tag, key or tempo.")
@click.option("--out", metavar="PLACE", help="Keep answers in NAME.jsonl, NAME.csv, or a folder of parquet parts.")
@click.option("--jams", metavar="FOLDER", type=click.Path(file_okay=False), help="Also write FOLDER/<name>.jams.")
@click.option("--audacity", metavar="FOLDER", type=click.Path(file_okay=False), help="Also write labels for Audacity.")
@click.option(
    "--rekordbox", metavar="FILE", type=click.Path(dir_okay=False), help="Also write a library, with beat grids."
)
@click.option("--sonify", metavar="PLACE", help=f"Also write the song with clicks and chords: {SINGLE}.")
@click.option("--plot", metavar="PLACE", help=f"Also draw waveform, beats, chords and key over time: {SINGLE}.")
@click.option("--write-tags", is_flag=True, help="Write tempo, key and genre into FILES themselves.")
@click.option("--skip-existing", is_flag=True, help="Leave out what PLACE or the folders have answers of already.")
@click.option("--device", help="cpu, cuda, cuda:1, mps; by default a GPU if there is one.")
@click.option("--precision", default="auto", show_default=True, type=click.Choice(["auto", "float32", "bf16"]))
@click.option("--batch-size", type=click.IntRange(1), default=8, show_default=True, help="Segments computed at once.")
@click.option("--workers", type=click.IntRange(1), help="Processes; by default one on each core for many files.")
@click.option("--ray", metavar="ADDRESS", help="Answer on a Ray cluster (`local`: started here) into --out FOLDER.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing on stderr but what could not be answered.")
def command(files, adapters, form, out, skip_existing, device, precision, batch_size, workers, ray, quiet, **written):
    """Answer FILES: with the song card (key, tempo, metre, beats, chords, instruments, tags), or with adapters.

    FILES are sound files, folders, globs, playlists (m3u), tables with a column `path`, places that fsspec knows
    (s3://bucket/music), or `-` for a list of paths, or a sound, on stdin. A file that cannot be read, or of which
    something cannot be written, is told in one line, and the others are answered; the exit status is 1 then.

    Example: sordino predict song.mp3
    """
    from sordino.bulk import processes
    from sordino.bulk.asked import Asked
    from sordino.bulk.kept import open_kept
    from sordino.bulk.sounds import expand
    from sordino.cli._progress import bars
    from sordino.files import one_line
    from sordino.song.outputs import Outputs

    asked, sounds = Asked(adapters, device, precision, batch_size), expand(files)
    if ray and (not out or out.endswith((".jsonl", ".csv"))):
        raise click.UsageError("--ray writes parts of parquet: name their folder with --out FOLDER")
    if skip_existing and not (out or any(written[name] for name in ("jams", "audacity", "sonify", "plot"))):
        raise click.UsageError("--skip-existing wants a place where answers are kept: --out, --jams, --plot, ...")
    outputs = Outputs(asked.tasks, **written)
    kept = open_kept(out, asked.tasks, skip_existing) if out else None
    known = kept.paths() if kept and skip_existing else set()
    todo = [s for s in sounds if s.path not in known and not (skip_existing and outputs.there(s.name))]
    if len(todo) < len(sounds) and not quiet:
        click.echo(f"{len(sounds) - len(todo)} of {len(sounds)} are answered already", err=True)
    count = Count(len(todo))
    with bars(quiet or len(todo) < 2) as advance:
        if ray:
            on_ray(asked, todo, out, ray, workers, count, advance)
        else:
            workers = workers or processes.usual_workers(len(todo), device)
            show = shown(form or ("nothing" if out else "text"), bool(adapters), asked.tasks)
            for answer in processes.answers(asked, todo, workers):
                count.note(answer.path, answer.duration_s, answer.error)
                advance("predict", count.n, len(todo))
                if kept:
                    kept.add(answer)
                if answer.error is None:
                    try:
                        outputs.write(answer)
                    except (ValueError, OSError) as error:
                        count.fail(one_line(error))
                show(answer)
    if kept and not ray:
        kept.close()
    outputs.finish()
    if out and not quiet:
        click.echo(count.told(), err=True)
    if count.n_failed:
        sys.exit(1)


def shown(form, with_adapters, tasks):
    """A function that prints an answer, after the head of a table where it needs one."""
    import json

    from sordino.results import ANSWER_COLUMNS, answer_rows, to_csv
    from sordino.song.card import lines

    if form == "csv":
        click.echo(to_csv([ANSWER_COLUMNS]), nl=False)

    def show(answer):
        if form == "json":
            click.echo(json.dumps(answer.plain(), ensure_ascii=False))
        elif form == "csv":
            click.echo(to_csv(answer_rows(answer, tasks)), nl=False)
        elif form == "text" and answer.error is None:
            told = ", ".join(f"{task} {_short(p.value)}" for task, p in answer.answers.items())
            click.echo(f"{answer.path}: {told}" if with_adapters else "\n".join(lines(answer, tasks)))

    return show


def on_ray(asked, todo, out, address, workers, count, advance):
    """Answer on a cluster; what is told of a recording comes here, its answer stays there."""
    import os

    from sordino.bulk.on_ray import answer_on_ray

    def tell(path, duration_s, error):
        count.note(path, duration_s, error or None)
        advance("predict", count.n, count.total)

    if todo:
        answer_on_ray(asked, todo, out, address, workers or os.cpu_count() or 1, tell)


class Count:
    """How much was answered, and how fast."""

    def __init__(self, total):
        self.total, self.n, self.n_failed, self.heard_s, self.began = total, 0, 0, 0.0, time.monotonic()

    def note(self, path, duration_s, error):
        """One more; a failure is told in one line."""
        self.n += 1
        self.heard_s += duration_s
        if error is not None:
            self.fail(error)

    def fail(self, told):
        """What could not be read, or written beside its answer."""
        self.n_failed += 1
        click.echo(f"sordino: {told}", err=True)

    def told(self):
        """Hours of audio an hour, and by calculation what a million such tracks take."""
        hours, good = (time.monotonic() - self.began) / 3600, max(1, self.n - self.n_failed)
        return (f"{self.n} files ({self.n_failed} failed), {self.heard_s / 3600:.2f} h of sound in "
                f"{60 * hours:.1f} min: {self.heard_s / 3600 / hours:,.0f} hours an hour; a million such would take "
                f"{hours / good * 1e6:,.0f} h here")  # fmt: skip


def _short(value) -> str:
    """An answer in a few words."""
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, dict):
        return ", ".join(f"{len(v)} {k}" if isinstance(v, list) else f"{k} {_short(v)}" for k, v in value.items())
    if isinstance(value, list):
        return " ".join(map(str, value[:6])) + (f" ... ({len(value)})" if len(value) > 6 else "")
    return str(value)
