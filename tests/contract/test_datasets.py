"""What every dataset keeps, known or new, read through a miniature of its true layout: nothing here names one."""

import os

import pytest

from sordino import audio, registry
from sordino.datasets import load_dataset
from sordino.datasets._prepare import prepare
from sordino.tasks import make_task
from sordino.training.recordings import check_splits

TASKS = [make_task(name) for name in registry.names("task")]
SPLITS = {"train", "validation", "test"}


@pytest.fixture(params=registry.names("dataset"))
def kind(request):
    return registry.find("dataset", request.param)


@pytest.fixture
def root(kind, tmp_path):
    """Where a miniature lies; a set that ships with the package lies where it lies."""
    if kind.builtin:
        return None
    kind.miniature(tmp_path / "data")
    return tmp_path / "data"


def test_says_what_it_is(kind):
    assert kind.title and kind.licence and kind.splits
    assert len(kind.__doc__) > 5
    assert kind.size == (0, 0.0) or (kind.size[0] > 0 and kind.size[1] > 0)


def test_tracks_are_whole_and_the_same_every_time(kind, root):
    dataset = kind(root)
    assert dataset.available()
    tracks = dataset.tracks()
    assert tracks == kind(root).tracks()
    assert len({track.id for track in tracks}) == len(tracks) > 0
    assert {track.split for track in tracks} <= SPLITS
    assert {name for track in tracks for name in track.labels} <= set(dataset.labels)
    for name in dataset.labels:
        assert kind.builtin or any(track.labels.get(name) is not None for track in tracks), f"nothing has a {name}"
    check_splits(tracks)


def test_sound_can_be_decoded(kind, root):
    for track in kind(root).tracks()[:8]:
        assert len(audio.read(track.path, 16_000, track.start_s, track.duration_s)) > 1000


def test_labels_are_understood_by_the_tasks_that_read_them(kind, root):
    for track in kind(root).tracks()[:50]:
        for task in TASKS:
            raw = track.labels.get(task.label)
            if raw is not None:
                assert task.parse(task.parse(raw)) == task.parse(raw)


def test_a_missing_corpus_says_where_it_was_looked_for(kind, tmp_path):
    if kind.builtin:
        return
    empty = tmp_path / "nothing"
    empty.mkdir()
    for place in (empty, tmp_path / "absent"):
        with pytest.raises(FileNotFoundError, match=str(place)):
            kind(place).tracks()
    assert not kind(tmp_path / "absent").available()


def test_a_root_behind_a_link_is_read(kind, root, tmp_path):
    if kind.builtin:
        return
    link = tmp_path / "link"
    link.symlink_to(root)
    assert [track.id for track in kind(link).tracks()] == [track.id for track in kind(root).tracks()]


def test_a_cut_off_file_is_named_and_the_rest_is_used(kind, root, tmp_path):
    if kind.builtin:
        return
    dataset = kind(root)
    tracks = dataset.tracks()
    victim = tracks[-1].path
    os.truncate(victim, victim.stat().st_size // 2)
    found = prepare(dataset, manifest=tmp_path / "manifest.jsonl")
    hit = {track.id for track in tracks if track.path == victim}
    assert set(found.broken) == hit
    assert str(victim) in found.broken[tracks[-1].id]
    assert {track.id for track in found.tracks} == {track.id for track in tracks} - hit
    assert len((tmp_path / "manifest.jsonl").read_text(encoding="utf-8").splitlines()) == len(found.tracks)


def test_can_be_opened_by_name(kind):
    assert load_dataset(kind.name).name == kind.name
