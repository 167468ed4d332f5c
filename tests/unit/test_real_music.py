"""The yardstick of real music: what it makes of known answers."""

import sys
from pathlib import Path

import numpy as np
import pytest

from sordino.datasets.gtzan_key import GTZANKey
from sordino.datasets.gtzan_rhythm import GTZANRhythm

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import real_music
import real_music_scores


@pytest.fixture
def yardstick(tmp_path):
    GTZANKey.miniature(tmp_path, "mini")
    GTZANRhythm.miniature(tmp_path, "mini")
    return real_music.Yardstick(tmp_path)


def test_labels_of_both_corpora_stand_beside_each_other(yardstick):
    assert [track.id for track in yardstick.tracks] == ["blues.00000", "jazz.00011", "rock.00000"]
    assert yardstick.labels["key"] == [None, "B minor", None]
    assert yardstick.about()["key"] == 1
    assert yardstick.about()["tempo"] == 1


@pytest.mark.parametrize(
    "bpm, kind",
    [(100, "correct"), (103, "correct"), (201, "2"), (50, "1/2"), (66, "2/3"), (133, "4/3"), (150, "3/2"), (75, "3/4"),
     (300, "3"), (33.3, "1/3"), (87, "other"), (0, "other")],
)  # fmt: skip
def test_errors_of_tempo_have_names(bpm, kind):
    assert real_music_scores.tempo_error(100, bpm) == kind


def test_answers_are_scored_and_errors_counted(yardstick):
    scores, errors = yardstick.score("key", ["C major", "D major", "C major"])
    assert scores["weighted"].tolist() == [0.3] and errors == {"relative": 1}
    tempi = [yardstick.labels["tempo"][0]] * 3
    scores, errors = yardstick.score("tempo", [2 * bpm for bpm in tempi])
    assert scores["accuracy 1"].tolist() == [0] and scores["accuracy 2"].tolist() == [1] and errors == {"2": 1}


def test_rows_are_compared_track_by_track():
    table = real_music_scores.Table()
    first = np.tile([0.0, 1.0], 50)
    table.add("key", "weighted", "first", first)
    table.add("key", "weighted", "better", np.stack([np.maximum(first, 0.2), np.maximum(first, 0.4)]))
    better = table.rows[1]
    assert better["mean"] == pytest.approx(0.65) and better["difference"] == pytest.approx(0.15)
    low, high = better["difference_interval"]
    assert 0.1 < low < 0.15 < high < 0.2  # far narrower than the interval of either row
    assert "| key (100) | weighted | better | 0.650 |" in table.markdown()


def test_genres_are_told_from_the_state_that_holds_them():
    rng = np.random.default_rng(0)
    genres = np.repeat([f"genre {n}" for n in range(4)], 10)
    telling = np.repeat(np.eye(4), 10, axis=0) * 5 + rng.normal(size=(40, 4))
    noise = rng.normal(size=(40, 4))
    hit, chosen = real_music_scores.classify(np.stack([noise, telling], axis=1), genres)
    assert hit[1].mean() > 0.95 and chosen.mean() > 0.95
    assert hit[0].mean() < 0.5


def test_a_row_without_states_to_choose_from_is_one_row():
    yardstick = type("Genres", (), {"genres": np.repeat(["a", "b"], 10)})
    table = real_music_scores.Table()
    real_music.add_genre(table, yardstick, "mel", [np.repeat([[[0.0]], [[1.0]]], 10, axis=0)])
    assert [(row["name"], row["mean"]) for row in table.rows] == [("mel", 1.0)]


def test_the_tempo_of_beats_is_that_of_their_median_interval():
    beats = [{"beats": [0.0, 0.5, 1.0, 3.0]}, {"beats": [1.0]}]
    assert real_music.with_tempo_of_beats({"beat": beats})["tempo"] == [120.0, 0.0]
