"""What training may run into: numbers that are none, nothing to score, files that are broken."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import torch.distributed

from sordino.audio import AudioError
from sordino.contracts import Task, Track
from sordino.known_files import Known, damaged
from sordino.training.examples import Examples

T = TypeVar("T")
MOST_BROKEN = 0.5  # the share of labelled tracks that may be missing or broken
N_NAMED = 6


class Diverged(ValueError):
    """A loss, a gradient or an answer is not a number; says at which step, and with which tracks."""


def named(ids: Sequence[str]) -> str:
    """The first of some tracks."""
    different = list(dict.fromkeys(ids))
    return ", ".join(different[:N_NAMED]) + (
        f" and {len(different) - N_NAMED} more" if len(different) > N_NAMED else ""
    )


def without_damaged(
    known: Mapping[str, Known | AudioError],
    tracks: Sequence[Track],
    compute: Callable[[Mapping[str, Known | AudioError]], T],
    before_again: Callable[[], object] = lambda: None,
) -> T:
    """What a function makes of some tracks; when a file of them proves damaged, once more without all that are.

    Files are known by their heads; that one is damaged in the middle shows when it is decoded. Then all are, once, so
    that the damaged ones are left out together.

    Args:
        known: what reading the files found, by path.
        tracks: that may be read.
        compute: is given what is known by then.
        before_again: called before it is asked once more.
    """
    try:
        return compute(known)
    except AudioError:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            raise  # the other processes are in the middle of a step
        found = damaged(track.path for track in tracks if isinstance(known.get(str(track.path)), Known))
        if not found:
            raise
    before_again()
    return compute({**known, **found})


def check_scorable(examples: Examples, tasks: Mapping[str, Task], split: str = "test") -> None:
    """Raise ValueError for a task that no track of a split has a label for: its score would be no number."""
    for name, task in tasks.items():
        if not examples.recordings.labelled(name):
            raise ValueError(
                f'no track of the split {split} has a label "{task.label}" (task {name}), so nothing could be scored; '
                "give some a column `split`, split with another seed (DATA:seed=1), or set `test` to another corpus"
            )


def check_broken(splits: Mapping[str, Examples], most: float = MOST_BROKEN) -> None:
    """Raise ValueError where a larger share of the labelled tracks is missing or broken; counts the reasons."""
    broken = [line for examples in splits.values() for line in examples.recordings.broken]
    n_tracks = len(broken) + sum(len(examples.recordings) for examples in splits.values())
    if len(broken) > most * n_tracks:
        reasons = Counter(
            re.split(r"[,;(]", re.sub(r"\d+(\.\d+)?", "#", line.rpartition(": ")[2]))[0] for line in broken
        )
        told = ", ".join(
            f"{reason.strip()} {n}" for reason, n in sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))[:3]
        )
        raise ValueError(f"{len(broken)} of {n_tracks} labelled tracks are missing or broken ({told}), more than the "
                         f"share of {most:g} that is allowed (most_broken)")  # fmt: skip
