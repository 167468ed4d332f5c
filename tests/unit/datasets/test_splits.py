from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from sordino.contracts import Track
from sordino.datasets import load_dataset
from sordino.datasets._corpus import write_tone
from sordino.datasets._splits import filling_seed, split_of, split_tracks


def track(number, group=""):
    return Track(f"t{number}", Path(f"{number}.wav"), {}, group=group)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=80), st.integers(0, 5), st.data())
def test_where_a_group_goes_depends_on_nothing_else(groups, seed, data):
    tracks = [track(n, f"g{group}") for n, group in enumerate(groups)]
    whole = {one.id: one.split for one in split_tracks(tracks, seed)}
    some = data.draw(st.lists(st.sampled_from(tracks), unique_by=lambda one: one.id))
    assert all(whole[one.id] == one.split for one in split_tracks(some, seed))
    assert len({(one.group, one.split) for one in split_tracks(tracks, seed)}) == len(set(groups))


def test_shares_hold_and_are_these_on_every_machine():
    counts = Counter(split_of(f"artist {n}") for n in range(10_000))
    assert abs(counts["train"] - 8000) < 120 and abs(counts["test"] - 1000) < 90
    assert "".join(split_of(name)[1] for name in "abcdefghijk") == "ereerarrrra"  # [1] of train, validation, test
    counts = Counter(split_of(f"artist {n}", 0, {"train": 0.9, "validation": 0.1}) for n in range(1000))
    assert set(counts) == {"train", "validation"}


def test_another_seed_is_another_split():
    tracks = [track(n) for n in range(50)]
    assert split_tracks(tracks, seed=0) != split_tracks(tracks, seed=1)


def table(folder, n, more=()):
    rows = [f"{i}.wav,{'CG'[i % 2]} major,artist {i % 40}" for i in range(n)]
    (folder / "labels.csv").write_text("\n".join(["path,key,artist", *more, *rows]) + "\n")
    return folder / "labels.csv"


def test_a_new_row_never_moves_a_track(tmp_path):
    for i in range(71):
        write_tone(tmp_path / f"{i}.wav", 0.01)
    before = {one.id: one.split for one in load_dataset(table(tmp_path, 70)).tracks()}
    assert set(before.values()) == {"train", "validation", "test"}
    after = {one.id: one.split for one in load_dataset(table(tmp_path, 70, ["70.wav,D major,new"])).tracks()}
    assert {name: split for name, split in after.items() if name in before} == before


def test_of_few_tracks_the_seed_that_fills_all_splits_is_told(tmp_path):
    for i in range(6):
        write_tone(tmp_path / f"{i}.wav", 0.01)
    dataset = load_dataset(table(tmp_path, 6))
    seed = filling_seed(dataset.tracks())
    assert any(f"labels.csv:seed={seed} has some in each" in note for note in dataset.notes)
    again = load_dataset(f"{tmp_path / 'labels.csv'}:seed={seed}")
    assert {one.split for one in again.tracks()} == {"train", "validation", "test"}
    assert filling_seed(dataset.tracks()[:2]) is None
