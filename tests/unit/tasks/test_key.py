import numpy as np
import pytest

from sordino.contracts import Prediction
from sordino.tasks import make_task
from sordino.tasks.key import KEYS, MAJOR, MINOR, NO_KEY

SPELLINGS = {
    "A minor": [
        "a",
        "Am",
        "A min",
        "A:min",
        "a minor",
        "A-minor",
        "a-moll",
        "8A",
        "1m",
        "A aeolian",
        "A natural minor",
    ],
    "C major": ["C", "C maj", "CM", "C:major", "C-Dur", "8B", "1d", "C ionian", "B# major"],
    "Eb major": ["Eb", "E♭ maj", "E-flat major", "E- major", "es-dur", "D# major", "5B", "10d"],
    "F# minor": ["f#", "F♯m", "Gb minor", "F sharp minor", "fis-Moll", "11A", "4m"],
    "B major": ["B", "H-Dur", "Cb major", "1B"],
    "Bb major": ["Bb", "B-Dur", "A# maj"],
    "B minor": ["b minor", "h moll", "Bm"],
    "D minor": ["D dorian", "d harmonic minor"],
    NO_KEY: ["", "N", "X", "none", "no key", "-", None],
}


@pytest.mark.parametrize("key", SPELLINGS)
def test_usual_spellings(key):
    assert [make_task("key").parse(text) for text in SPELLINGS[key]] == [key] * len(SPELLINGS[key])


@pytest.mark.parametrize("text", ["H major", "A minor / C major", "13A", "0B", "major", "C#x minor", "X major", "7"])
def test_what_is_no_key(text):
    with pytest.raises(ValueError, match="is not a key; use"):
        make_task("key").parse(text)


def test_every_transposition_walks_through_all_keys():
    task = make_task("key")
    for names, mode in ((MAJOR, "major"), (MINOR, "minor")):
        walk = [task.transpose(f"C {mode}", step) for step in range(-12, 12)]
        assert walk == 2 * [f"{name} {mode}" for name in names]
    assert task.transpose(NO_KEY, 3) == NO_KEY


@pytest.mark.parametrize(
    "estimated, score, descending, kind",
    [
        ("D major", 1.0, 1.0, None),
        ("A major", 0.5, 0.5, "fifth"),
        ("G major", 0.0, 0.5, "fifth_below"),
        ("B minor", 0.3, 0.3, "relative"),
        ("D minor", 0.2, 0.2, "parallel"),
        ("E major", 0.0, 0.0, "other"),
        (NO_KEY, 0.0, 0.0, "other"),
    ],
)
def test_relations_by_hand(estimated, score, descending, kind):
    scores = make_task("key").score("D major", estimated)
    assert (scores.pop("weighted_score"), scores.pop("weighted_score_descending")) == (score, descending)
    assert scores.pop("accuracy") == float(kind is None)
    assert [name for name, value in scores.items() if value] == ([kind] if kind else [])


def test_no_key_can_be_right():
    assert make_task("key").score(NO_KEY, NO_KEY)["weighted_score"] == 1.0


def test_answers_name_the_alternatives():
    probabilities = np.full(25, 0.01)
    probabilities[[3, 9]] = 0.5, 0.25
    answer = make_task("key").decode(probabilities)
    assert isinstance(answer, Prediction) and answer.value == KEYS[3] and answer.confidence == 0.5
    assert list(answer.details["alternatives"])[:2] == [KEYS[3], KEYS[9]]


def test_24_classes_leave_recordings_without_a_key_out():
    task = make_task("key", no_key=False)
    assert task.n_outputs == 24 and make_task("key").n_outputs == 25
    assert not task.admits("none") and task.admits("A minor") and make_task("key").admits("none")
    assert type(task).restore(task.config()) == task
    assert task.decode(np.eye(24)[23]).value == "B minor"
