"""How much sound a run learns from and is tested on: counted where the data are here, else as published."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from sordino.config import Config
from sordino.contracts import Dataset, Track
from sordino.datasets import load_dataset, with_test_of
from sordino.known_files import Known, look
from sordino.tasks import choose_tasks
from sordino.training.plan import Plan
from sordino.training.recordings import parse_label
from sordino.training.splits import SPLITS

GUESSED = {"train": 0.8, "validation": 0.1, "test": 0.1}  # where a published size is all that is known


@dataclass
class Sound:
    """Recordings by split.

    Attributes:
        tracks: how many, by split.
        seconds: how long they are together, by split.
        lacking: what is not on this machine, and how to come by it.
    """

    tracks: dict[str, float] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0.0))
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0.0))
    lacking: list[str] = field(default_factory=list)

    @property
    def hours(self) -> float:
        """Of all splits."""
        return sum(self.seconds.values()) / 3600

    def usual_s(self, split: str) -> float:
        """The mean length of a split's recordings."""
        return self.seconds[split] / max(1.0, self.tracks[split])

    def fewer(self, tracks: int | None) -> Sound:
        """The same with so many training recordings at most."""
        n = self.tracks["train"] if tracks is None else min(tracks, self.tracks["train"])
        seconds = {**self.seconds, "train": n * self.usual_s("train")}
        return Sound({**self.tracks, "train": n}, seconds, self.lacking)

    def add(self, split: str, n: float, seconds: float) -> None:
        """Some recordings of a split."""
        self.tracks[split] += n
        self.seconds[split] += seconds


def sound_of(plan: Plan) -> Sound:
    """The labelled recordings of a run that was opened."""
    found = Sound()
    for track in plan.tracks:
        known = plan.known.get(str(track.path))
        if isinstance(known, Known) and any(parse_label(task, track) is not None for task in plan.tasks):
            found.add(track.split, 1, max(0.0, track.length_s(known.duration_s)))
    return found


def sound_named(config: Config) -> Sound:
    """The recordings that a config names: counted, with their mean length as published, or as published altogether."""
    dataset, found = with_test_of(load_dataset(config.data, config.root), config.test), Sound()
    learned, tested = ([dataset], []) if config.test is None else ([dataset.parts[0]], [dataset.parts[1]])  # type: ignore[attr-defined]
    for part in _parts(learned):
        _add(found, part, config, SPLITS if config.test is None else SPLITS[:2])
    for part in _parts(tested):
        _add(found, part, config, SPLITS[2:])
    return found


def _parts(datasets: list[Dataset]) -> list[Dataset]:
    return [part for dataset in datasets for part in getattr(dataset, "parts", [dataset])]


def _add(found: Sound, part: Dataset, config: Config, splits: tuple[str, ...]) -> None:
    n_published, hours = part.size
    try:
        tracks = part.tracks()
    except FileNotFoundError as error:
        found.lacking.append(str(error))
        whole = len(splits) == 1 or part.splits.startswith("all test")
        shares = {splits[-1]: 1.0} if whole else {split: GUESSED[split] for split in splits}
        for split, share in shares.items():
            share /= sum(shares.values())
            found.add(split, share * n_published, share * hours * 3600)
        return
    tasks = choose_tasks(config.resolved()["task"], tracks)
    labelled: dict[str, list[Track]] = defaultdict(list)
    for track in tracks:
        if track.split in splits and any(parse_label(task, track) is not None for task in tasks):
            labelled[track.split].append(track)
    lengths = {} if n_published else _lengths_s([track for own in labelled.values() for track in own])
    for split, own in labelled.items():
        each = hours * 3600 / n_published if n_published else 0.0
        found.add(split, len(own), sum(lengths.get(track.id, each) for track in own))


def _lengths_s(tracks: list[Track]) -> dict[str, float]:
    known = look([track.path for track in tracks])
    return {
        track.id: max(0.0, track.length_s(one.duration_s))
        for track in tracks
        if isinstance(one := known[str(track.path)], Known)
    }
