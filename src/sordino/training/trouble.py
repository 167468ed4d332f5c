"""What training may run into: numbers that are none, a device that is full, nothing to score, files that are broken."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from sordino.contracts import Task
from sordino.training.examples import Examples

MOST_BROKEN = 0.5  # the share of labelled tracks that may be missing or broken
N_NAMED = 6


class Diverged(ValueError):
    """A loss, a gradient or an answer is not a number; says at which step, and with which tracks."""


def is_full(error: BaseException) -> bool:
    """Whether a device (or the host) had no memory for a tensor."""
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)


def named(ids: Sequence[str]) -> str:
    """The first of some tracks."""
    different = list(dict.fromkeys(ids))
    return ", ".join(different[:N_NAMED]) + (f" and {len(different) - N_NAMED} more" if len(different) > N_NAMED else "")


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
        reasons = Counter(re.split(r"[,;(]", re.sub(r"\d+(\.\d+)?", "#", line.rpartition(": ")[2]))[0] for line in broken)
        told = ", ".join(f"{reason.strip()} {n}" for reason, n in sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))[:3])
        raise ValueError(f"{len(broken)} of {n_tracks} labelled tracks are missing or broken ({told}), more than the "
                         f"share of {most:g} that is allowed (most_broken)")  # fmt: skip
