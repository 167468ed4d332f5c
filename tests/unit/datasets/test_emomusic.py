"""emoMusic: the published split from the real artists, odd cells, and the regression that reads it."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from sordino.checks.datasets import check_splits
from sordino.contracts import Prediction
from sordino.datasets import load_dataset
from sordino.datasets.emomusic import EmoMusic, plain_artist, published_split
from sordino.tasks import make_task

ARTISTS = Path(__file__).parent / "vocabularies" / "emomusic_artists.tsv"  # artist, part of MediaEval 2013, songs


def test_the_published_split_of_the_744_songs():
    rows = [line.split("\t") for line in ARTISTS.read_text(encoding="utf-8").splitlines()]
    sizes, artists = Counter(), {}
    for artist, part, n in rows:
        split = published_split(plain_artist(artist), part)
        sizes[split] += int(n)
        artists.setdefault(split, Counter())[plain_artist(artist)] += int(n)
    assert sizes == {"train": 504, "validation": 115, "test": 125}
    assert not artists["train"].keys() & artists["validation"].keys()
    learned = artists["train"].keys() | artists["validation"].keys()
    assert sum(n for artist, n in artists["test"].items() if artist in learned) == 66  # as `splits` tells


def test_cells_with_tabs_and_songs_without_annotation(tmp_path):
    EmoMusic.miniature(tmp_path)
    tracks = {track.id: track for track in EmoMusic(tmp_path).tracks()}
    assert list(tracks) == ["2", "3", "4", "7"] and tracks["3"].split == "test"
    assert (
        tracks["2"].labels["emotion"] == {"arousal": "3.1", "valence": "3"} and tracks["2"].labels["genre"] == "Blues"
    )
    assert tracks["4"].info["artist"] == "Kevin, MacLeod" and plain_artist("Sláinte") == "slinte"


def test_by_artist_no_artist_is_in_two_splits(tmp_path):
    EmoMusic.miniature(tmp_path)
    tracks = {track.id: track for track in load_dataset("emomusic:split=artist", tmp_path).tracks()}
    assert tracks["3"].group == tracks["4"].group == "kevin macleod"
    assert tracks["3"].split == tracks["4"].split
    check_splits(list(tracks.values()))


def test_regression_scores_arousal_and_valence_by_r2(tmp_path):
    EmoMusic.miniature(tmp_path)
    task = make_task("regression")
    labels = [task.parse(track.labels["emotion"]) for track in EmoMusic(tmp_path).tracks()]
    task.fit(labels)
    assert task.names == ["arousal", "valence"] and task.mean == pytest.approx([4.725, 4.7125])
    usual = Prediction(task.plain_baseline.estimate(np.zeros(9), 9))
    assert usual.value == {"arousal": pytest.approx(4.725), "valence": pytest.approx(4.7125)}
    usual = task.evaluate(labels, [usual] * 4).metrics
    assert [usual[name] for name in ("r2", "r2_arousal", "r2_valence")] == pytest.approx([0, 0, 0])
