import numpy as np
import pytest
import torch

from sordino.contracts import Prediction
from sordino.tasks import make_task
from sordino.training.fewer import classes_of


def test_tags_are_learned_and_unknown_ones_ignored():
    task = make_task("tagging", label="instruments")
    with pytest.raises(ValueError, match="call fit"):
        _ = task.n_outputs
    task.fit([["piano"], ["drums", "piano"]])
    assert task.label == "instruments" and task.tags == ["drums", "piano"]
    assert task.encode(["piano", "tuba"]).tolist() == [0.0, 1.0]
    assert task.plain_baseline(np.zeros(1), 8000).value == ["drums", "piano"]
    given = make_task("tagging", tags=["b", "a"])
    given.fit([["a"], ["c"]])
    assert given.tags == ["b", "a"]


def test_undefined_tags_are_named_and_not_averaged():
    task = make_task("tagging", tags=["always", "never", "some"])
    references = [["always", "some"], ["always"]]
    result = task.evaluate(references, [task.decode(task.encode(r).numpy()) for r in references])
    assert result.metrics["map"] == 1.0
    assert "always" in result.notes[0] and "never" in result.notes[0] and "some" not in result.notes[0]
    assert np.isnan(result.tables["by_tag"]["map"]["never"])


def test_balanced_loss_weighs_rare_tags_by_their_rarity():
    task = make_task("tagging", balance=True)
    task.fit([["rare", "usual"]] + [["usual"]] * 8 + [[]])
    assert task.weights == pytest.approx([9.0, 1 / 9])
    logits, target = torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])
    plain = make_task("tagging", tags=task.tags)
    assert task.loss(logits, target) == pytest.approx((9 + 1) / 2 * np.log(2), rel=1e-5)
    assert plain.loss(logits, target) == pytest.approx(np.log(2), rel=1e-5)


def test_tuned_thresholds_decide():
    task = make_task("tagging", tags=["a", "b"])
    probabilities = np.array([[0.2, 0.9], [0.15, 0.8], [0.05, 0.6], [0.01, 0.55]])
    labels = [["a", "b"], ["a", "b"], [], []]
    task.tune(list(probabilities), labels)
    assert [task.decode(row).value for row in probabilities] == labels
    assert task.restore(task.config()).thresholds == pytest.approx([0.1, 0.7])


def test_the_most_probable_tags_are_given_even_below_their_thresholds():
    task = make_task("tagging", tags=["a", "b", "c", "d"], at_least=2)
    assert task.decode(np.array([0.1, 0.3, 0.05, 0.2])).value == ["b", "d"]
    assert task.decode(np.array([0.6, 0.9, 0.05, 0.7])).value == ["a", "b", "d"]
    assert make_task("tagging", tags=["a", "b"]).decode(np.array([0.1, 0.3])).value == []


def test_tags_in_texts_and_what_is_none():
    task = make_task("tagging")
    assert task.parse(" b; a|c ;") == ["a", "b", "c"] == task.parse("c, a,b,")
    assert task.parse("Folk, World; Latin") == ["Folk, World", "Latin"] and task.parse({"a": 1, "b": 0}) == ["a"]
    with pytest.raises(ValueError, match="is not a list of tags"):
        task.parse(3)


def test_tags_that_were_not_judged_are_told_apart_from_those_that_are_absent():
    task = make_task("tagging")
    label = task.parse({"voice": True, "flute": False, "piano": None})
    assert label == ["?piano", "voice"] == task.parse("voice; ?piano; ?") == task.parse(label)
    assert task.words(label) == ["voice"]
    assert task.parse(["?voice", "voice"]) == ["voice"]  # of two recordings in a mixture, one is sure
    task.fit([label, ["piano"], ["flute", "piano"]])
    assert task.tags == ["flute", "piano", "voice"] and task.frequencies == [1 / 3, 1.0, 1 / 3]
    np.testing.assert_array_equal(task.encode(label).tolist(), [0.0, np.nan, 1.0])
    assert task.score(label, ["piano", "voice"]) == {"f1": 1.0, "precision": 1.0, "recall": 1.0}
    assert classes_of(label, task) == ["voice"] and classes_of(["?piano"], task) == [""]


def test_classes_and_their_confusion():
    task = make_task("classification", label="genre")
    with pytest.raises(ValueError, match="call fit"):
        _ = task.n_outputs
    task.fit(["rock", "jazz", "rock"])
    assert task.classes == ["jazz", "rock"] and task.plain_baseline(np.zeros(1), 8000).value == "rock"
    result = task.evaluate(["rock", "rock", "jazz", "folk"], [Prediction(x) for x in ("rock", "jazz", "jazz", "rock")])
    assert result.metrics["accuracy"] == 0.5
    assert result.tables["confusion"] == {
        "classes": ["folk", "jazz", "rock"],
        "matrix": [[0, 0, 1], [0, 1, 0], [0, 1, 1]],
    }
    for wrong in ("", None, ["a", "b"], {"a": 1}):
        with pytest.raises(ValueError, match="is not the name of one class"):
            task.parse(wrong)


def test_numbers_alone_and_by_name():
    one = make_task("regression", label="danceability")
    one.fit([1.0, 3.0])
    assert one.encode(4.0).item() == 2.0 and one.decode(np.array([2.0])).value == 4.0
    assert one.plain_baseline(np.zeros(1), 8000).value == 2.0
    two = make_task("regression", names=["valence"])
    two.fit([{"arousal": 1.0, "valence": 5.0}, {"arousal": 2.0, "valence": 5.0}])
    assert two.n_outputs == 1 and two.decode(np.array([0.0])).value == {"valence": 5.0}
    with pytest.raises(ValueError, match="valence is missing"):
        two.encode({"arousal": 1.0})
    for wrong in ("loud", float("nan"), {}, {"a": None}, None):
        with pytest.raises(ValueError, match="is not a number"):
            one.parse(wrong)


def test_the_mean_of_the_references_has_no_r2():
    task = make_task("regression")
    task.fit([1.0, 2.0, 3.0])
    result = task.evaluate([1.0, 2.0, 3.0], [Prediction(2.0)] * 3)
    assert result.metrics["r2"] == pytest.approx(0.0)
    constant = task.evaluate([2.0, 2.0], [Prediction(1.0)] * 2)
    assert np.isnan(constant.metrics["r2"]) and "undefined" in constant.notes[0]
