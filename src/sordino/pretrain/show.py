"""Progress of decoding and of pretraining, on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar that is moved by calls with (done, total)."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def report_training(steps: int) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A bar over the steps, and above it a line for each line of the log."""
    console = Console(stderr=True)
    with bar("pretraining") as move:

        def report(row: dict[str, Any]) -> None:
            move(int(row["step"]), steps)
            asked = {name: row[name] for name in ("mel_tokens", "pitch_tokens") if name in row}
            tokens = ", ".join(f"{name} {loss:.3f}" for name, loss in asked.items()) or "no tokens"
            console.print(
                f"step {row['step']:.0f}  loss {row['loss']:.3f}  {tokens} of the unigram entropy  perplexity "
                f"{row['perplexity_mel']:.0f} mel, {row['perplexity_pitch']:.0f} pitch  "
                f"{row['times_real_time']:.0f}x real time",
                highlight=False,
            )

        yield report
