"""What the mean spectrum tells: against scikit-learn, and on sounds that differ by their spectrum alone."""

import numpy as np
import pytest
import soundfile
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from sordino.contracts import Track
from sordino.study import mel_statistics
from sordino.tasks import make_task

RATE_HZ = 16_000


def test_classes_are_learned_as_scikit_learn_does():
    rng = np.random.default_rng(0)
    labels = [f"class {number % 3}" for number in range(60)]
    x = rng.normal(2, 3, (60, 8)) + np.array([int(label[-1]) for label in labels])[:, None]
    other = rng.normal(2, 3, (20, 8))
    task = make_task("classification", label="genre")
    task.fit(labels)
    found = mel_statistics.answered(task, x, labels, other)
    scaler = StandardScaler().fit(x)
    wanted = LogisticRegression(max_iter=5000, tol=1e-8).fit(scaler.transform(x), labels)
    assert [each.value for each in found] == wanted.predict(scaler.transform(other)).tolist()
    surest = wanted.predict_proba(scaler.transform(other)).max(1)
    np.testing.assert_allclose([each.confidence for each in found], surest, atol=1e-3)


def test_numbers_are_learned_as_ridge_regression_does():
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (40, 5))
    labels = (3 + x @ np.arange(5) + rng.normal(0, 0.1, 40)).tolist()
    task = make_task("regression", label="arousal")
    task.fit(labels)
    weight, bias = mel_statistics.learned(
        task, torch.from_numpy(x), torch.stack([task.encode(label, 1, 1.0) for label in labels])
    )
    target = (np.array(labels) - np.mean(labels)) / np.std(labels)
    wanted = Ridge(alpha=0.5).fit(x, target)  # the squared error is not halved, the squared weights are
    np.testing.assert_allclose(weight[:, 0], wanted.coef_, atol=1e-3)
    np.testing.assert_allclose(bias[0], wanted.intercept_, atol=1e-3)


@pytest.fixture
def tracks(tmp_path):
    """Low and high noise, each in two splits, and a file that cannot be read."""
    rng, found = np.random.default_rng(0), []
    for number in range(16):
        low = number % 2
        wave = (
            np.convolve(0.1 * rng.standard_normal(RATE_HZ), np.ones(8) / 8, "same")
            if low
            else 0.1 * rng.standard_normal(RATE_HZ)
        )
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, wave, RATE_HZ)
        found.append((Track(str(number), path, {"sound": ["low"] if low else []}), ["low"] if low else []))
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")
    return found, (Track("broken", broken, {}), ["low"])


@pytest.mark.parametrize("folds", [1, 2])
def test_sounds_that_differ_by_their_spectrum_are_told_apart(tracks, folds):
    known, broken = tracks
    task = make_task("tagging", label="sound")
    task.fit([label for _, label in known])
    before = task.config()
    parts = [([*known[:8], broken], [*known[8:], broken]), ([*known[8:], broken], [*known[:8], broken])][:folds]
    scored = mel_statistics.scores(task, parts)
    assert scored["n_tracks"] == 8 * folds and scored["metrics"]["roc_auc"] == 1.0
    assert task.config() == before  # thresholds and vocabulary of the run stay its own
    assert mel_statistics.scores(task, [([broken], known)]) is None


def test_a_long_recording_is_heard_in_blocks_and_whole(monkeypatch):
    wave = np.random.default_rng(0).standard_normal(10 * RATE_HZ).astype(np.float32)
    whole = mel_statistics.features(wave)
    monkeypatch.setattr(mel_statistics, "BLOCK_SAMPLES", 2 * RATE_HZ)
    np.testing.assert_allclose(mel_statistics.features(wave), whole, atol=0.3)  # decibels; ends of blocks are faded
    assert np.isfinite(mel_statistics.features(wave[:100])).all()
