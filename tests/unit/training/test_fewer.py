"""Fewer labels: so many of each class, nested, whatever the order of the tracks."""

from collections import Counter
from pathlib import Path

import pytest

from sordino.config import load_config
from sordino.contracts import Track
from sordino.tasks import make_task
from sordino.training.fewer import fewer
from sordino.training.run import train
from tests.conftest import TINY

KEYS = ["C major"] * 20 + ["A minor"] * 10 + ["D major"] * 3
TRACKS = [Track(f"t{n}", Path("x.wav"), {"key": key}) for n, key in enumerate(KEYS)] + [
    Track("none", Path("x.wav"), {})
]
KEY = make_task("key")


def counts(tracks, label="key"):
    return Counter(track.labels[label] for track in tracks)


def test_each_class_has_so_many_tracks_where_it_has_them():
    assert counts(fewer(TRACKS, [KEY], 5, None, 0)) == {"C major": 5, "A minor": 5, "D major": 3}
    assert fewer(TRACKS, [KEY], None, None, 0) == TRACKS[:-1]  # those without a label are no training tracks
    assert len(fewer(TRACKS, [KEY], None, 7, 0)) == 7 and len(fewer(TRACKS, [KEY], 5, 7, 0)) == 7


def test_draws_are_nested_follow_the_seed_and_not_the_order():
    for small, large in ((1, 2), (2, 5), (5, 10)):
        assert {t.id for t in fewer(TRACKS, [KEY], small, None, 3)} <= {
            t.id for t in fewer(TRACKS, [KEY], large, None, 3)
        }
    turned = fewer(TRACKS[::-1], [KEY], 2, None, 3)
    assert turned[::-1] == fewer(TRACKS, [KEY], 2, None, 3) != fewer(TRACKS, [KEY], 2, None, 4)


def test_every_tag_has_enough_where_it_can():
    tags = [["a"], ["a", "b"], ["b"], ["a"], ["c", "a"], ["c"], ["a"], ["b", "c"]] * 4
    tracks = [Track(f"t{n}", Path("x.wav"), {"tags": own}) for n, own in enumerate(tags)]
    chosen = fewer(tracks, [make_task("tagging", tags=["a", "b", "c"])], 3, None, 0)
    found = Counter(tag for track in chosen for tag in track.labels["tags"])
    assert min(found.values()) >= 3 and len(chosen) <= 9


def test_what_has_no_classes_says_so():
    tracks = [Track("t", Path("x.wav"), {"tempo": 120.0})]
    with pytest.raises(ValueError, match=r"training\.shots counts classes, and tempo"):
        fewer(tracks, [make_task("tempo")], 3, None, 0)


def test_a_run_learns_from_so_many_tracks_only(triads, tmp_path):
    config = load_config(None, (), data=str(triads), task="key", backbone=TINY, method="probe",
                         training={"steps": 2, "segment_s": 1.0, "shots": 1, "precision": "float32"})  # fmt: skip
    run = train(config, tmp_path)
    assert run.result["protocol"]["tracks"] == {"train": 6, "validation": 6, "test": 6}  # one of each of six keys
