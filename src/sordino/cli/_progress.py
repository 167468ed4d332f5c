"""Progress on stderr: one bar per phase of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bars() -> Iterator[Callable[[str, int, int], None]]:
    """Gives a function (what, done, total) that draws; a phase is told by the first two words of `what`."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        known: dict[str, TaskID] = {}

        def advance(what: str, done: int, total: int) -> None:
            phase = what.partition(" (")[0]
            if phase not in known:
                known[phase] = progress.add_task(what, total=total)
            progress.update(known[phase], completed=done, description=what, total=total)

        yield advance
