"""Flags that every verb has: how much is told on stderr, and what is told when something goes wrong."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

import click

QUIET = "quiet"
_began = time.monotonic()
_said: set[str] = set()


def said(flag: str) -> bool:
    """Whether a flag (`quiet`, `verbose`, `debug`) was given, to `sordino` or to the verb."""
    return flag in _said


def forget() -> None:
    """Begin a command line: nothing was given yet."""
    _said.clear()
    logging.getLogger("sordino").setLevel(logging.NOTSET)


def with_common(command: click.Command) -> click.Command:
    """A verb with the flags that it does not have of its own."""
    own = {param.name: param for param in command.params}
    if QUIET in own:
        own[QUIET].callback = _note
    command.params += [option for option in common() if option.name not in own]
    return command


def common() -> list[click.Option]:
    """The flags."""
    return [
        _flag(QUIET, "q", "No progress on stderr."),
        _flag("verbose", "v", "At the end, tell time, memory and versions on stderr."),
        click.Option(
            ["--plugin"],
            multiple=True,
            metavar="PLACE",
            expose_value=False,
            callback=_use,
            help="Import PLACE (FILE.py, or a module) for the methods, tasks, backbones and datasets in it.",
        ),
        click.Option(
            ["--remote-code"],
            multiple=True,
            metavar="REPOSITORY",
            expose_value=False,
            callback=_trust,
            help="Run the code of REPOSITORY (or of a model's folder) where an adapter's backbone wants it.",
        ),
        _flag("debug", None, "When something goes wrong, show where in the program; log what libraries say."),
    ]


def _flag(name: str, letter: str | None, told: str) -> click.Option:
    words = [f"--{name}", *([f"-{letter}"] if letter else [])]
    return click.Option(words, is_flag=True, expose_value=False, help=told, callback=_note)


def _note(context: click.Context, option: click.Parameter, value: bool) -> bool:
    if value and option.name:
        _said.add(option.name)
    if value and option.name == QUIET:
        logging.getLogger("sordino").setLevel(logging.ERROR)
    if value and option.name == "debug":
        logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(name)s: %(message)s")
    return value


def _use(context: click.Context, option: click.Parameter, value: tuple[str, ...]) -> None:
    if value:
        from sordino.outside import named_by_user

        named_by_user(value)


def _trust(context: click.Context, option: click.Parameter, value: tuple[str, ...]) -> None:
    if value:
        from sordino.outside import trust

        trust(value)


def tell_at_end() -> None:
    """With --verbose: how long it took, how much memory, by which versions."""
    if not said("verbose"):
        return
    import resource

    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << (30 if sys.platform == "darwin" else 20))
    loaded: Any = sys.modules.get("torch")
    versions = f", torch {loaded.__version__}, {loaded.get_num_threads()} threads" if loaded else ""
    import sordino

    click.echo(f"{time.monotonic() - _began:.1f} s, {peak_gb:.2f} GB at most; sordino {sordino.__version__}, "
               f"Python {sys.version.split()[0]}{versions}", err=True)  # fmt: skip
