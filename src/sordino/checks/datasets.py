"""What a dataset keeps, read through a miniature of its true layout; see `contracts/dataset.py`."""

from __future__ import annotations

import os
from pathlib import Path

from sordino import audio, registry
from sordino.checks.running import NotAsked, refused
from sordino.contracts import Dataset
from sordino.datasets import load_dataset, prepare
from sordino.tasks import make_task
from sordino.training.recordings import check_splits

SPLITS = {"train", "validation", "test"}


class DatasetCase:
    """A dataset and a miniature of it; a set that ships with the package lies where it lies.

    Args:
        name: its name, with a version or without.
        place: an empty folder.
    """

    def __init__(self, name: str, place: Path):
        self.name, self.place = name, place
        corpus, _, version = name.partition(":")
        self.cls = registry.find("dataset", corpus)
        self.root = None if self.cls.builtin else place / "data"
        if self.root is not None:
            self.cls.miniature(self.root, **({"version": version} if version else {}))

    def opened(self, root: Path | None) -> Dataset:
        """The dataset, from where it lies."""
        return load_dataset(self.name, root)

    def copied(self) -> Path:
        """Where the miniature lies.

        Raises:
            NotAsked: it ships with the package.
        """
        if self.root is None:
            raise NotAsked("it ships with the package")
        return self.root


def says_what_it_is(case: DatasetCase) -> None:
    """It has a title, a licence, a description, and says where its splits come from."""
    cls = case.cls
    assert cls.title and cls.licence and cls.splits
    assert len(cls.__doc__ or "") > 5
    assert cls.size == (0, 0.0) or (cls.size[0] > 0 and cls.size[1] > 0)


def can_be_opened_by_name(case: DatasetCase) -> None:
    """It is opened by its name."""
    assert load_dataset(case.name).name == case.name


def refuses_an_unknown_version(case: DatasetCase) -> None:
    """A version that it has not is refused."""
    with refused(ValueError, f'{case.cls.name} has no version "none such"; versions: '):
        load_dataset(f"{case.cls.name}:none such")


def tracks_are_whole_and_the_same_every_time(case: DatasetCase) -> None:
    """Its tracks have ids of their own, a split, no labels but those it names, and are the same every time."""
    dataset = case.opened(case.root)
    assert dataset.available()
    tracks = dataset.tracks()
    assert tracks == case.opened(case.root).tracks()
    assert len({track.id for track in tracks}) == len(tracks) > 0
    assert {track.split for track in tracks} <= SPLITS
    assert {name for track in tracks for name in track.labels} <= set(dataset.labels)
    for name in dataset.labels:
        assert case.cls.builtin or any(t.labels.get(name) is not None for t in tracks), f"nothing has a {name}"
    check_splits(tracks)


def sound_can_be_decoded(case: DatasetCase) -> None:
    """The sound of its tracks can be read."""
    for track in case.opened(case.root).tracks()[:8]:
        assert len(audio.read(track.path, 16_000, track.start_s, track.duration_s)) > 1000


def labels_are_understood(case: DatasetCase) -> None:
    """The tasks that read its labels understand them."""
    tasks = [make_task(name) for name in registry.names("task")]
    for track in case.opened(case.root).tracks()[:50]:
        for task in tasks:
            raw = track.labels.get(task.label)
            if raw is not None:
                assert task.parse(task.parse(raw)) == task.parse(raw)


def says_where_it_looked(case: DatasetCase) -> None:
    """Where the corpus is not, the error says where it was looked for."""
    case.copied()
    empty = case.place / "nothing"
    empty.mkdir()
    for place in (empty, case.place / "absent"):
        with refused(FileNotFoundError, str(place)):
            case.opened(place).tracks()
    assert not case.opened(case.place / "absent").available()


def reads_behind_a_link(case: DatasetCase) -> None:
    """A root that is a link is read."""
    root, link = case.copied(), case.place / "link"
    link.symlink_to(root)
    assert [track.id for track in case.opened(link).tracks()] == [track.id for track in case.opened(root).tracks()]


def names_a_cut_off_file(case: DatasetCase) -> None:
    """A file that is cut off is named, and the rest is used."""
    root, manifest = case.copied(), case.place / "manifest.jsonl"
    dataset = case.opened(root)
    tracks = dataset.tracks()
    victim = tracks[-1].path
    os.truncate(victim, victim.stat().st_size // 2)
    found = prepare(dataset, manifest=manifest)
    hit = {track.id for track in tracks if track.path == victim}
    assert set(found.broken) == hit
    assert str(victim) in found.broken[tracks[-1].id]
    assert {track.id for track in found.tracks} == {track.id for track in tracks} - hit
    assert len(manifest.read_text(encoding="utf-8").splitlines()) == len(found.tracks)
