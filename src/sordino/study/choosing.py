"""What to do with labels when nobody says: the task, the backbones that are here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sordino.contracts import Track
from sordino.registry import find, names
from sordino.tasks import label_names, make_task
from sordino.training.recordings import parse_label

OWN = ("key", "tempo", "beat", "chord")  # tasks whose label has their name
FEW = 12  # numbers of fewer different values are classes
UNDERSTOOD = 0.9  # the share of labels that a task must understand


@dataclass
class Choice:
    """What was chosen.

    Attributes:
        task: its spec, a name and options.
        n_labelled: tracks with a label for it.
        others: what else the labels would allow, as words for `--task`.
    """

    task: dict[str, Any]
    n_labelled: int
    others: list[str] = field(default_factory=list)

    @property
    def told(self) -> str:
        """The task and its label in a few words."""
        label = self.task.get("label")
        return self.task["name"] + (f" of the label `{label}`" if label else "")


def choose_task(tracks: Sequence[Track]) -> Choice:
    """The task of most labelled tracks; of equally many, one whose label has its name first.

    Args:
        tracks: with raw labels.

    Raises:
        ValueError: no label can be learned.
    """
    found = [choice for label in label_names(tracks) if (choice := _task_of(label, tracks))]
    found.sort(key=lambda choice: (-choice.n_labelled, choice.task["name"] not in OWN, choice.told))
    if not found:
        raise ValueError("no label can be learned: it wants one with at least two values, or numbers, for most tracks")
    first, *others = found
    first.others = [choice.told for choice in others]
    return first


def _task_of(label: str, tracks: Sequence[Track]) -> Choice | None:
    values = [track.labels[label] for track in tracks if track.labels.get(label) is not None]
    if label in OWN:
        spec: dict[str, Any] = {"name": label}
    elif any(isinstance(value, list | tuple | set) for value in values) or label in ("tags", "instruments"):
        spec = {"name": "tagging", "label": label}
    elif len(set(map(str, values))) > FEW and all(_number(value) is not None for value in values):
        spec = {"name": "regression", "label": label}
    else:
        spec = {"name": "classification", "label": label}
        counts = Counter(map(str, values))
        if len(counts) < 2 or len(counts) > len(values) / 3:
            return None
    task = make_task(**spec)
    labelled = [track for track in tracks if track.labels.get(label) is not None]
    n = sum(parse_label(task, track) is not None for track in labelled)
    return Choice(spec, n) if n and n >= UNDERSTOOD * len(labelled) else None


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def backbones_here() -> list[str]:
    """Backbones whose trained weights are on this machine: `mini`, and what was fetched."""
    here = ["mini"]
    for name in names("backbone"):
        published = find("backbone", name).published
        if published and Path(next(iter(published.values())).where()).exists():
            here.append(name)
    return here


def seconds_of(text: str) -> float:
    """A time such as `15m`, `2h`, `90s` or `900`.

    Raises:
        ValueError: it is none, or not more than 0.
    """
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number = _number(text[:-1] if text[-1:].lower() in units else text)
    if number is None or not 0 < number < float("inf"):
        raise ValueError(f'"{text}" is not a time; write 15m, 2h, 90s')
    return number * units.get(text[-1:].lower(), 1.0)
