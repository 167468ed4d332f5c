from pathlib import Path

import numpy as np
import pytest
import torch

from sordino.contracts import Prediction, Track
from sordino.tasks import make_task
from sordino.training.recordings import parse_label


def test_targets_are_those_of_the_paper_for_whole_bpm():
    target = make_task("tempo").encode(120.0).numpy()
    np.testing.assert_allclose(target[116:123], np.array([0, 0.5, 0.5, 1, 0.5, 0.5, 0]) / 3, atol=1e-7)
    assert target.sum() == pytest.approx(1) and np.count_nonzero(target) == 5


@pytest.mark.parametrize("bpm", [40.0, 60.25, 99.5, 120.5, 133.33, 240.01, 296.9])
def test_fractions_survive(bpm):
    task = make_task("tempo")
    assert task.decode(task.encode(bpm).numpy()).value == pytest.approx(bpm, abs=1e-4)


def test_tempi_beyond_the_range_are_folded_and_never_crash():
    task = make_task("tempo")
    for bpm in (300.0, 300.5, 312.0, 401.0, 999.0, 0.5):
        target = task.encode(bpm)
        assert target.sum() == pytest.approx(1)
    assert task.decode(task.encode(312.0).numpy()).value == pytest.approx(156, abs=1e-3)
    assert task.score(312.0, 156.0)["half"] == 1.0


@pytest.mark.parametrize(
    "reference, estimated, accuracy1, accuracy2, kind",
    [
        (100.0, 104.0, 1, 1, None),
        (100.0, 104.1, 0, 0, "other"),
        (100.0, 96.0, 1, 1, None),
        (100.0, 95.9, 0, 0, "other"),
        (100.0, 207.9, 0, 1, "double"),
        (100.0, 290.0, 0, 1, "triple"),
        (100.0, 51.0, 0, 1, "half"),
        (100.0, 34.0, 0, 1, "third"),
        (320.5, 320.5, 1, 1, None),
        (100.0, 0.0, 0, 0, "other"),
    ],
)
def test_accuracies_by_hand(reference, estimated, accuracy1, accuracy2, kind):
    scores = make_task("tempo").score(reference, estimated)
    assert (scores["accuracy1"], scores["accuracy2"]) == (accuracy1, accuracy2)
    assert [name for name in ("double", "triple", "half", "third", "other") if scores[name]] == ([kind] if kind else [])


def test_usual_forms_of_a_label():
    task = make_task("tempo")
    for raw in (120, "120", "120 BPM", "120.0bpm", {"bpm": 120}, (120, 0, 1.0), np.float32(120)):
        assert task.parse(raw) == 120.0
    both = {"bpm": 60.0, "tempi": [60.0, 120.0], "salience": 0.7}
    for raw in ((60, 120, 0.7), "60.0\t120.0\t0.7", {"tempi": [60, 120], "salience": 0.7}, both):
        assert task.parse(raw) == both
    swapped = task.parse((120, 60, 0.3))
    assert swapped["tempi"] == [60, 120] and swapped["salience"] == 0.7


@pytest.mark.parametrize("raw", ["fast", 0, -3, None, float("nan"), (60, 120, 1.5), "60/120 x", [], {"tempo": 3}])
def test_what_is_no_tempo(raw):
    with pytest.raises(ValueError, match="tempo"):
        make_task("tempo").parse(raw)


def test_two_tempi_with_salience():
    task = make_task("tempo")
    label = task.parse((60, 120, 0.3))
    answer = task.decode(task.encode(label).numpy())
    assert answer.value == pytest.approx(120, abs=1e-3)
    assert answer.details["tempi"] == pytest.approx([60, 120], abs=1e-3)
    assert answer.details["salience"] == pytest.approx(0.3, abs=1e-6)
    assert task.evaluate([label], [answer]).metrics["p_score"] == 1.0
    only_one = task.evaluate([label], [Prediction(120.0, 1.0)])
    assert only_one.metrics["p_score"] == pytest.approx(0.7) and only_one.metrics["accuracy1"] == 1.0
    assert "p_score" not in task.evaluate([120.0], [answer]).metrics


def test_silence_is_no_tempo():
    task = make_task("tempo")
    answer = task.decode(np.zeros(300))
    assert (answer.value, answer.confidence) == (0.0, 0.0)
    assert task.evaluate([task.parse((60, 120, 0.3))], [answer]).metrics["p_score"] == 0.0


def test_a_flat_bump_beats_a_lonely_spike():
    probabilities = torch.zeros(300)
    probabilities[79] = 0.16
    probabilities[137:142] = torch.tensor([0.1, 0.14, 0.15, 0.14, 0.1])
    assert make_task("tempo").decode(probabilities.numpy()).value == pytest.approx(140, abs=0.1)


def test_stretching_scales_every_tempo():
    task = make_task("tempo")
    assert task.stretch(100.0, 1.05) == pytest.approx(105)
    assert task.stretch(task.parse((60, 120, 0.3)), 2.0)["tempi"] == [120, 240]


def test_tempi_beyond_the_classes_can_be_left_out():
    task = make_task("tempo", fastest_bpm=300)
    assert [task.admits(task.parse(bpm)) for bpm in (300, 321.64, (150, 310, 0.7), (150, 310, 0.3))] == [
        True, False, True, False,
    ]  # fmt: skip
    assert make_task("tempo").admits(321.64)
    track = Track("jazz.00031", Path("absent"), {"tempo": 321.64})
    assert parse_label(task, track) is None and parse_label(make_task("tempo"), track) == 321.64
    assert type(task).restore(task.config()) == task
