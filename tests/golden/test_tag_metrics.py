"""Tag metrics and regression against scikit-learn and torchmetrics."""

import numpy as np
import pytest
import torch
from sklearn import metrics
from torchmetrics.functional.classification import multilabel_auroc, multilabel_average_precision

from sordino.contracts import Prediction
from sordino.tasks import make_task
from sordino.tasks._tag_metrics import average_precision, best_thresholds, roc_auc


def random_case(rng, n_tracks, n_tags=7):
    """Targets with rare, absent and universal tags; scores with many ties."""
    targets = rng.random((n_tracks, n_tags)) < rng.choice([0.0, 0.05, 0.3, 0.9, 1.0], n_tags)
    return targets, np.round(rng.random((n_tracks, n_tags)) + 0.3 * targets, int(rng.integers(1, 5)))


@pytest.mark.parametrize("n_tracks", [1, 2, 13, 200])
def test_average_precision_and_roc_auc_equal_scikit_learn(n_tracks):
    rng = np.random.default_rng(n_tracks)
    for _ in range(60):
        targets, scores = random_case(rng, n_tracks)
        ours = average_precision(targets, scores), roc_auc(targets, scores)
        for tag, (true, score) in enumerate(zip(targets.T, scores.T, strict=True)):
            if true.all() or not true.any():
                assert np.isnan(ours[0][tag]) and np.isnan(ours[1][tag])
            else:
                assert ours[0][tag] == pytest.approx(metrics.average_precision_score(true, score), abs=1e-12)
                assert ours[1][tag] == pytest.approx(metrics.roc_auc_score(true, score), abs=1e-12)


def test_they_equal_torchmetrics():
    rng = np.random.default_rng(0)
    targets, scores = rng.random((300, 5)) < 0.3, rng.random((300, 5))
    given = torch.as_tensor(scores), torch.as_tensor(targets).long(), 5
    np.testing.assert_allclose(average_precision(targets, scores), multilabel_average_precision(*given, average=None))
    np.testing.assert_allclose(roc_auc(targets, scores), multilabel_auroc(*given, average=None), atol=1e-6)


def test_undefined_tags_count_as_torchmetrics_counts_them():
    """A tag that no track has and one that all have; left out of our means, which stand beside."""
    rng = np.random.default_rng(2)
    task = make_task("tagging", tags=list("abcd"))
    targets, scores = rng.random((40, 4)) < 0.4, rng.random((40, 4))
    targets[:, 1], targets[:, 2] = False, True
    references = [[tag for tag, given in zip("abcd", row, strict=True) if given] for row in targets]
    found = task.evaluate(references, [task.decode(row) for row in scores]).metrics
    given = torch.as_tensor(scores), torch.as_tensor(targets).long(), 4
    with pytest.warns(UserWarning, match="No (positive|negative) samples"):
        assert found["map_torchmetrics"] == pytest.approx(float(multilabel_average_precision(*given)), abs=1e-6)
        assert found["roc_auc_torchmetrics"] == pytest.approx(float(multilabel_auroc(*given)), abs=1e-6)
    assert found["map"] == pytest.approx(metrics.average_precision_score(targets[:, [0, 3]], scores[:, [0, 3]]))


def test_tagging_evaluates_to_the_macro_means():
    rng = np.random.default_rng(4)
    task = make_task("tagging", tags=list("abcd"))
    targets, scores = rng.random((80, 4)) < 0.4, rng.random((80, 4))
    references = [[tag for tag, given in zip("abcd", row, strict=True) if given] for row in targets]
    result = task.evaluate(references, [task.decode(row) for row in scores])
    assert result.metrics["map"] == pytest.approx(metrics.average_precision_score(targets, scores, average="macro"))
    assert result.metrics["roc_auc"] == pytest.approx(metrics.roc_auc_score(targets, scores, average="macro"))
    assert result.metrics["f1"] == pytest.approx(metrics.f1_score(targets, scores >= 0.5, average="macro"))
    by_track = metrics.f1_score(targets, scores >= 0.5, average="samples", zero_division=1.0)
    assert np.mean([row["f1"] for row in result.per_track]) == pytest.approx(by_track)


def partly_judged(rng, n_tracks=120):
    """Targets, scores, what was judged, and the labels; of the last tag nothing was judged."""
    targets, scores, judged = (rng.random((n_tracks, 5)) for _ in range(3))
    targets, judged = targets < 0.4, judged < [0.5, 0.9, 1.0, 0.1, 0.0]
    labels = [{tag: bool(true) if known else None for tag, true, known in zip("abcde", *row, strict=True)}
              for row in zip(targets, judged, strict=True)]  # fmt: skip
    return targets, np.round(scores + 0.3 * targets, 2), judged, labels


def test_what_was_not_judged_counts_in_no_score():
    """Against scikit-learn on each tag's judged tracks, torchmetrics without the others, and on resampled tracks."""
    rng = np.random.default_rng(3)
    targets, scores, judged, labels = partly_judged(rng)
    task = make_task("tagging", tags=list("abcde"))
    references, predictions = [task.parse(label) for label in labels], [task.decode(row) for row in scores.clip(0, 1)]
    scores = scores.clip(0, 1)
    found = task.evaluate(references, predictions)
    by_tag = found.tables["by_tag"]
    for column, tag in enumerate("abcd"):
        true, score = targets[judged[:, column], column], scores[judged[:, column], column]
        assert by_tag["map"][tag] == pytest.approx(metrics.average_precision_score(true, score))
        assert by_tag["roc_auc"][tag] == pytest.approx(metrics.roc_auc_score(true, score))
        assert by_tag["f1"][tag] == pytest.approx(metrics.f1_score(true, score >= 0.5))
    assert all(np.isnan(by_tag[name]["e"]) for name in ("map", "roc_auc", "f1"))
    known = torch.as_tensor(np.where(judged, targets, -1))[:, :4]
    given = torch.as_tensor(scores)[:, :4], known.long(), 4
    assert found.metrics["map"] == pytest.approx(float(multilabel_average_precision(*given, ignore_index=-1)), abs=1e-6)
    assert found.metrics["roc_auc"] == pytest.approx(float(multilabel_auroc(*given, ignore_index=-1)), abs=1e-6)
    for row, own in enumerate(found.per_track):
        true, answer = targets[row, judged[row]], scores[row, judged[row]] >= 0.5
        assert own["f1"] == pytest.approx(metrics.f1_score(true, answer, zero_division=1.0))
    n = (~judged).sum()
    assert found.notes[-1] == f"{n} of 600 tags of tracks were not judged and do not count"
    draw = rng.integers(0, 120, 120)
    again = task.evaluate([references[row] for row in draw], [predictions[row] for row in draw]).metrics["map"]
    counts = np.bincount(draw, minlength=120)[None].astype(float)
    assert task.metric_of_draws(references, predictions, found.per_track)(counts) == pytest.approx(again)


def test_thresholds_are_tuned_by_what_was_judged():
    targets, scores, judged, labels = partly_judged(np.random.default_rng(8))
    task = make_task("tagging", tags=list("abcde"))
    task.tune(list(scores), [task.parse(label) for label in labels])
    alone = [float(best_thresholds(targets[rows, tag, None], scores[rows, tag, None])[0])
             for tag, rows in enumerate(judged.T[:4])]  # fmt: skip
    assert task.thresholds == pytest.approx([*alone, 0.5])


def test_what_was_not_judged_counts_in_no_loss():
    """Against torch on the judged entries alone, with its gradient; parts of a batch add up to the whole."""
    targets, _, judged, labels = partly_judged(np.random.default_rng(9), 12)
    task = make_task("tagging", tags=list("abcde"), balance=True)
    references = [task.parse(label) for label in labels]
    task.fit(references)
    weights = [
        (known & ~true).sum() / max((known & true).sum(), 1) for known, true in zip(judged.T, targets.T, strict=True)
    ]
    assert task.weights == pytest.approx(np.clip(weights, 1 / 50, 50))
    target = torch.stack([task.encode(label) for label in references])
    logits = torch.randn(12, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = task.loss(logits, target)
    known, (gradient,) = torch.as_tensor(judged), torch.autograd.grad(loss, logits)
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(
        logits[known],
        torch.as_tensor(targets)[known].float(),
        pos_weight=torch.tensor(task.weights).expand(12, 5)[known],
    )
    torch.testing.assert_close(loss, wanted)
    torch.testing.assert_close(gradient, torch.autograd.grad(wanted, logits)[0])
    assert (gradient[~known] == 0).all() and (gradient[known] != 0).all()
    parts = [(logits[:5], target[:5]), (logits[5:], target[5:])]
    counts = sum(task.counts(part) for _, part in parts)
    torch.testing.assert_close(sum(task.loss(*part, counts=counts) for part in parts), loss)
    assert task.loss(logits[:1], torch.full((1, 5), float("nan"))) == 0


def test_tuned_thresholds_are_the_best_there_are():
    rng = np.random.default_rng(5)
    for _ in range(4):
        targets, scores = random_case(rng, 40)
        for tag, threshold in enumerate(best_thresholds(targets, scores)):
            true, score = targets[:, tag], scores[:, tag]
            if true.all() or not true.any():
                assert threshold == 0.5
                continue
            best = max(metrics.f1_score(true, score >= t, zero_division=0) for t in np.unique(score))
            assert metrics.f1_score(true, score >= threshold) == pytest.approx(best)


def test_classification_equals_scikit_learn():
    rng = np.random.default_rng(6)
    true, given = rng.choice(list("abcd"), 200), rng.choice(list("abcd"), 200)
    task = make_task("classification", classes=list("abcd"))
    result = task.evaluate(true.tolist(), [Prediction(str(g)) for g in given])
    assert result.metrics["accuracy"] == pytest.approx(metrics.accuracy_score(true, given))
    assert result.metrics["f1"] == pytest.approx(metrics.f1_score(true, given, average="macro"))
    np.testing.assert_array_equal(result.tables["confusion"]["matrix"], metrics.confusion_matrix(true, given))


def test_regression_equals_scikit_learn():
    rng = np.random.default_rng(7)
    true, given = rng.normal(size=(60, 2)), rng.normal(size=(60, 2))
    task = make_task("regression")
    labels = [task.parse({"arousal": a, "valence": v}) for a, v in true]
    task.fit(labels)
    answers = [Prediction({"arousal": float(a), "valence": float(v)}) for a, v in given]
    result = task.evaluate(labels, answers)
    assert result.metrics["r2"] == pytest.approx(metrics.r2_score(true, given))
    assert result.metrics["mae"] == pytest.approx(metrics.mean_absolute_error(true, given))
