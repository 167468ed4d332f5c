from itertools import product

import numpy as np
import pytest
import torch

from sordino.contracts import Prediction
from sordino.tasks import make_task
from sordino.tasks._chord_names import parse_chord, transpose_chord
from sordino.tasks.chord import smooth

SPELLINGS = {
    "C": "C:maj",
    "Cm": "C:min",
    "C:min7": "C:min7",
    "F#m7": "F#:min7",
    "Gb": "F#:maj",
    "A#:7": "Bb:7",
    "Bbdim": "Bb:dim",
    "Em7b5": "E:hdim7",
    "D7": "D:7",
    "G/B": "G:maj/3",
    "A:min/b3": "A:min/b3",
    "C:maj/1": "C:maj",
    "E#:sus4(b7)": "F:sus4(b7)",
    "B:": "B:maj",
    "N.C.": "N",
    "none": "N",
    "?": "X",
    "Cb:maj(9)": "B:maj(9)",
    "D:(1,5)": "D:(1,5)",
}


def test_usual_spellings():
    assert {text: parse_chord(text) for text in SPELLINGS} == SPELLINGS
    assert all(parse_chord(chord) == chord for chord in SPELLINGS.values())


@pytest.mark.parametrize("text", ["H", "c#m", "C:foo", "bass", "C/H", "C:maj/99", "C:maj:min"])
def test_what_is_no_chord(text):
    with pytest.raises(ValueError, match="Harte's syntax"):
        parse_chord(text)


def test_transposing_keeps_quality_and_bass():
    assert transpose_chord("A:min7/b3", 4) == "Db:min7/b3"
    assert (transpose_chord("N", 5), transpose_chord("X", 5)) == ("N", "X")


@pytest.mark.parametrize("vocabulary, size", [("majmin", 25), ("sevenths", 61)])
def test_vocabularies(vocabulary, size):
    task = make_task("chord", vocabulary=vocabulary)
    assert task.n_outputs == size == len(set(task.chords)) and task.metric == vocabulary
    for chord in task.chords:
        label = task.parse([[0.0, 2.0, chord]])
        assert task.decode(task.encode(label, 50, 25.0).numpy(), 25.0).value == label


@pytest.mark.parametrize(
    "chord, majmin, sevenths",
    [
        ("C:maj7", "C:maj", "C:maj7"),
        ("D:9", "D:maj", "D:7"),
        ("E:min6", "E:min", "E:min"),
        ("F:min7/5", "F:min", "F:min7"),
        ("G:maj(9)", "G:maj", "G:maj"),
        ("A:dim", None, None),
        ("Bb:sus4", None, None),
        ("X", None, None),
        ("N", "N", "N"),
    ],
)
def test_chords_outside_of_the_vocabulary_count_as_their_triad_or_not_at_all(chord, majmin, sevenths):
    for vocabulary, expected in (("majmin", majmin), ("sevenths", sevenths)):
        task = make_task("chord", vocabulary=vocabulary)
        target = task.encode([[0.0, 1.0, chord]], 25, 25.0)
        assert (target.sum(1) == (0 if expected is None else 1)).all()
        if expected:
            assert task.chords[int(target[0].argmax())] == expected


def test_bass_is_predicted_as_a_pitch_class():
    task = make_task("chord", vocabulary="sevenths", bass=True)
    label = task.parse([[0.0, 1.0, "C:maj/3"], [1.0, 2.0, "A:min7"], [2.0, 3.0, "N"], [3.0, 4.0, "G:7/b7"]])
    target = task.encode(label, 100, 25.0)
    assert task.n_outputs == 61 + 13 and (target.sum(1) == 2).all()
    answer = task.decode(target.numpy(), 25.0)
    assert answer.value == label
    assert task.score(label, answer.value)["sevenths_inv"] == 1.0


def test_frames_without_a_chord_are_left_out_of_the_loss():
    task = make_task("chord")
    target = task.encode(task.parse([[1.0, 2.0, "C"]]), 100, 25.0)[None]
    assert target.sum() == 25
    logits = torch.randn(1, 100, 25, requires_grad=True)
    task.loss(logits, target).backward()
    assert (logits.grad[0, :25] == 0).all() and (logits.grad[0, 25:50] != 0).any() and (logits.grad[0, 50:] == 0).all()
    assert task.loss(logits, 0 * target) == 0


def test_smoothing_equals_trying_every_path():
    rng = np.random.default_rng(0)
    for _ in range(20):
        probabilities = rng.dirichlet(np.ones(3), 6)
        cost = rng.uniform(0, 2)
        log = np.log(probabilities)

        def value(path, log=log, cost=cost):
            return log[np.arange(6), path].sum() - cost * np.count_nonzero(np.diff(path))

        best = max(product(range(3), repeat=6), key=value)
        assert value(smooth(probabilities, cost)) == pytest.approx(value(best))


def test_smoothing_removes_a_flicker_at_any_frame_rate():
    for rate_hz in (10.0, 25.0, 75.0):
        task = make_task("chord")
        logits = 6 * task.encode(task.parse([[0, 4, "C"], [4, 8, "G"]]), int(8 * rate_hz), rate_hz).numpy()
        flicker = slice(int(2 * rate_hz), int(2.1 * rate_hz))
        logits[flicker] = 0
        logits[flicker, 5] = 2.0
        probabilities = task.probabilities(torch.as_tensor(logits)).numpy()
        assert [row[2] for row in task.decode(probabilities, rate_hz).value] == ["C:maj", "G:maj"]


def test_scores_by_hand():
    task = make_task("chord")
    reference = task.parse([[0, 4, "C:maj"], [4, 6, "A:min"], [6, 8, "D:dim"]])
    estimated = task.parse([[0, 3, "C:maj"], [3, 4, "C:min"], [4, 6, "A:min"], [6, 10, "F"]])
    scores = task.score(reference, estimated)
    assert scores["majmin"] == pytest.approx(5 / 6)  # the diminished chord is not compared
    assert scores["root"] == pytest.approx(6 / 8)
    assert scores["duration_s"] == 8.0
    assert task.score(reference, [])["majmin"] == 0.0
    assert np.isnan(task.score(task.parse([[0, 4, "D:dim"]]), estimated)["majmin"])


def test_long_tracks_weigh_more():
    task = make_task("chord")
    short, long = task.parse([[0, 10, "C"]]), task.parse([[0, 30, "D"]])
    result = task.evaluate([short, long], [Prediction(short), Prediction(short)])
    assert result.metrics["majmin"] == pytest.approx(0.25) and result.metrics["majmin_mean"] == pytest.approx(0.5)


def test_labels_that_overlap_or_run_backwards_are_refused():
    task = make_task("chord")
    for wrong in ([[0, 2, "C"], [1, 3, "G"]], [[2, 1, "C"]], [["a", 1, "C"]], [[0, 1]], "C", {"a": 1}):
        with pytest.raises(ValueError, match="chord"):
            task.parse(wrong)
    assert task.parse([[0, 1.0, "C"], [0.999, 2, "G"], [2, 2, "D"]]) == [
        [0.0, 1.0, "C:maj"],
        [1.0, 2.0, "G:maj"],
    ]
    with pytest.raises(ValueError, match="it wants majmin or sevenths"):
        make_task("chord", vocabulary="all")


def test_a_wrong_chord_is_named_with_its_row():
    with pytest.raises(ValueError, match=r"chord 2 \(at 1.5 s\): .*H:maj"):
        make_task("chord").parse([[0, 1.5, "C"], [1.5, 3, "H:maj"]])
