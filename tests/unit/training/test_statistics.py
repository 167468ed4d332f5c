"""The bootstrap: known answers, the same numbers in any blocks, nothing made of what is undefined."""

import tracemalloc

import numpy as np
import pytest

from sordino.contracts import Prediction
from sordino.tasks import make_task
from sordino.training import statistics
from sordino.training.report import report
from sordino.training.statistics import interval, resampled, share_interval


def key_case(hits, task=None):
    """Tracks in C major, answered rightly where `hits` says so, elsewhere with a key that scores 0."""
    task = task or make_task("key")
    references = ["C major"] * len(hits)
    predictions = [Prediction("C major" if hit else "F# major") for hit in hits]
    return task, references, predictions, task.evaluate(references, predictions).per_track


def gathered(values, seed, n_resamples=1000):
    """The percentiles of the means of all resamples, drawn at once."""
    draws = np.random.default_rng(seed).integers(0, len(values), (n_resamples, len(values)))
    return np.percentile(np.asarray(values, float)[draws].mean(1), [2.5, 97.5])


@pytest.mark.parametrize("block", [1, 7 * 37, 2**22])
def test_the_numbers_are_those_of_the_seed_in_blocks_of_any_size(block, monkeypatch):
    hits = np.random.default_rng(3).random(37) < 0.7
    monkeypatch.setattr(statistics, "BLOCK_SIZE", block)
    found = interval(resampled(*key_case(hits), seed=5))
    np.testing.assert_allclose(found[:2], gathered(hits, 5), rtol=1e-12)
    assert found.n_undefined == 0 and found[:2] != interval(resampled(*key_case(hits), seed=6))[:2]


def test_memory_is_linear_in_tracks(monkeypatch):
    monkeypatch.setattr(statistics, "BLOCK_SIZE", 1000)
    case = key_case([True, False] * 2000)
    tracemalloc.start()
    interval(resampled(*case))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 200 * 4000  # all resamples at once are 32 MB


def test_a_mean_weighted_by_duration_is_resampled_so():
    task = make_task("chord")
    references = [[[0.0, length, "C"]] for length in (1.0, 2.0, 10.0)]
    predictions = [Prediction([[0.0, length, name]]) for length, name in ((1.0, "C"), (2.0, "C"), (10.0, "F#"))]
    metric = task.metric_of_draws(references, predictions, task.evaluate(references, predictions).per_track)
    counts = np.array([[1.0, 1, 1], [0, 2, 1], [0, 0, 3]])
    np.testing.assert_allclose(metric(counts), [3 / 13, 4 / 14, 0.0], atol=1e-12)


def test_undefined_resamples_are_left_out_and_counted():
    """Regression on two different references: R2 is undefined when one of them is drawn twice, as in half of all."""
    task = make_task("regression", label="value")
    task.fit([1.0, 2.0])
    references, predictions = [1.0, 2.0], [Prediction(1.1), Prediction(1.9)]
    rows = task.evaluate(references, predictions).per_track
    low, high, n_undefined = interval(resampled(task, references, predictions, rows))
    draws = np.random.default_rng(0).integers(0, 2, (1000, 2))
    assert n_undefined == (draws[:, 0] == draws[:, 1]).sum() > 400
    assert low == pytest.approx(0.96) and high == pytest.approx(0.96)
    told = report(task, ["a", "b"], references, predictions)
    assert told["undefined_resamples"] == n_undefined
    assert f"r2 is undefined in {n_undefined} of 1000 resamples: left out of its interval" in told["notes"]


def test_without_a_defined_resample_there_is_no_interval():
    task = make_task("regression", label="value")
    task.fit([1.0, 2.0])
    rows = task.evaluate([3.0], [Prediction(1.0)]).per_track
    low, high, n_undefined = interval(resampled(task, [3.0], [Prediction(1.0)], rows))
    assert np.isnan([low, high]).all() and n_undefined == 1000
    assert np.isnan(interval(resampled(task, [], [], []))[:2]).all()
    task = make_task("beat")
    nothing = [{"f_measure": float("nan")}] * 3
    assert interval(resampled(task, [{}] * 3, [Prediction({})] * 3, nothing)).n_undefined == 1000


def test_a_resample_without_a_defined_track_is_no_zero():
    task = make_task("beat")
    rows = [{"f_measure": 1.0}, {"f_measure": float("nan")}]
    low, high, n_undefined = interval(resampled(task, [{}] * 2, [Prediction({})] * 2, rows))
    assert (low, high) == (1.0, 1.0) and 150 < n_undefined < 350


def test_right_or_wrong_is_never_certain():
    """Wilson's interval, against statsmodels' proportion_confint(method="wilson")."""
    for n_right, n, low, high in ((0, 8, 0.0, 0.3244076), (8, 8, 0.6755924, 1.0), (3, 10, 0.1077913, 0.6032219)):
        assert share_interval(n_right, n) == pytest.approx((low, high), abs=1e-6)
    task, references, predictions, _ = key_case([False] * 8)
    told = report(task, list("abcdefgh"), references, predictions)
    assert told["interval"] == pytest.approx((0.0, 0.3244), abs=1e-4) and told["n_tracks"] == 8
    predictions[0] = Prediction("G major")  # half a point
    assert report(task, list("abcdefgh"), references, predictions)["interval"][0] == 0.0


def test_scoring_is_not_repeated_for_resamples(monkeypatch):
    task, references, predictions, rows = key_case([True, False, True])
    told = []
    monkeypatch.setattr(type(task), "score", lambda *given: told.append(given))
    interval(resampled(task, references, predictions, rows))
    assert told == []
