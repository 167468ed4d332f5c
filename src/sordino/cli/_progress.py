"""Progress on stderr: one bar per phase of a run; a line now and then where stderr is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sordino.cli._common import said

Advance = Callable[[str, int, int], None]
LINE_EVERY_S = 10.0


@contextmanager
def bars(quiet: bool = False) -> Iterator[Advance]:
    """Gives a function (what, done, total) that draws; a phase is told by the words of `what` before a bracket."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    quiet = quiet or said("quiet")
    console = Console(stderr=True, quiet=quiet)
    if quiet or not console.is_terminal:
        yield (lambda what, done, total: None) if quiet else lines()
        return
    columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        known: dict[str, TaskID] = {}

        def advance(what: str, done: int, total: int) -> None:
            phase = what.partition(" (")[0]
            if phase not in known:
                known[phase] = progress.add_task(what, total=total)
            progress.update(known[phase], completed=done, description=what, total=total)

        yield advance


def _clock(seconds: float) -> str:
    """A time as h:mm:ss, or m:ss."""
    minutes, s = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{s:02}" if minutes >= 60 else f"{minutes}:{s:02}"


def lines() -> Advance:
    """A function that writes a line for each phase's beginning and end, and every ten seconds between."""
    import click

    told: dict[str, float] = {}
    began: dict[str, tuple[float, int]] = {}

    def advance(what: str, done: int, total: int) -> None:
        phase, now = what.partition(" (")[0], time.monotonic()
        if phase not in told or (done == total and told[phase] < now) or now - told[phase] > LINE_EVERY_S:
            told[phase] = float("inf") if total and done == total else now
            since, first = began.setdefault(phase, (now, done))
            left = (now - since) / (done - first) * (total - done) if first < done < total else 0.0
            more = f", {_clock(left)} left" if left else ""
            click.echo(f"{what}: {done:,} of {total:,}{more}" if total else what, err=True)

    return advance
