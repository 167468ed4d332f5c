from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from sordino.contracts import Track
from sordino.datasets._splits import split_tracks, stratify_by


def track(number, label="x", group=""):
    return Track(f"t{number}", Path(f"{number}.wav"), {"label": label}, group=group)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc")), min_size=1, max_size=80), st.integers(0, 5))
def test_groups_stay_whole_and_order_does_not_matter(rows, seed):
    tracks = [track(n, label, f"g{group}") for n, (group, label) in enumerate(rows)]
    first = split_tracks(tracks, "label", seed)
    assert [one.id for one in first] == [one.id for one in tracks]
    backwards = {one.id: one.split for one in split_tracks(tracks[::-1], "label", seed)}
    assert backwards == {one.id: one.split for one in first}
    for group in {one.group for one in first}:
        assert len({one.split for one in first if one.group == group}) == 1


def test_shares_hold_within_each_label():
    tracks = [track(n, "rare" if n % 10 == 0 else "often") for n in range(400)]
    counts = Counter((one.labels["label"], one.split) for one in split_tracks(tracks, "label"))
    assert counts["often", "train"] == 288 and counts["rare", "train"] == 32
    assert abs(counts["often", "test"] - 36) <= 1 and abs(counts["rare", "validation"] - 4) <= 1


def test_another_seed_is_another_split():
    tracks = [track(n) for n in range(50)]
    assert split_tracks(tracks, seed=0) != split_tracks(tracks, seed=1)


def test_only_labels_with_few_values_are_stratified_by():
    tracks = [Track(str(n), Path("a"), {"tempo": 60.0 + n, "genre": "ab"[n % 2]}) for n in range(9)]
    assert stratify_by(tracks, ["tempo", "genre"]) == "genre"
    assert stratify_by(tracks, ["tempo"]) is None
