"""What every task keeps, known or new: nothing here names one."""

import json

import numpy as np
import pytest
import torch

from sordino import registry
from sordino.contracts import Prediction, Task
from sordino.tasks import make_task

RATE_HZ = 25.0


def prepared(name):
    task = make_task(name)
    labels = [task.parse(example) for example in task.examples]
    task.fit(labels)
    return task, labels


@pytest.fixture(params=registry.names("task"))
def case(request):
    return prepared(request.param)


def numbers(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [n for item in value for n in numbers(item)]
    return [value] if isinstance(value, (int, float)) else []


def n_frames(task, label):
    return int(max(numbers(label), default=1.0) * RATE_HZ) + 1 if task.level == "frame" else 40


def close(a, b, tolerance):
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(close(a[k], b[k], tolerance) for k in a)
    if isinstance(a, list):
        same = isinstance(b, list) and len(a) == len(b)
        return same and all(close(x, y, tolerance) for x, y in zip(a, b, strict=True))
    return abs(a - b) <= tolerance if isinstance(a, float) and isinstance(b, float) else a == b


def answers(task, labels):
    encoded = [task.encode(label, n_frames(task, label), RATE_HZ) for label in labels]
    return [task.decode(target.clamp_min(0).numpy() if task.level == "frame" else target.numpy(), RATE_HZ)
            for target in encoded]  # fmt: skip


def batch(task, labels):
    length = max(n_frames(task, label) for label in labels)
    target = torch.stack([task.encode(label, length, RATE_HZ) for label in labels])
    return target, torch.randn(target.shape, generator=torch.Generator().manual_seed(0))


def test_it_says_what_it_is(case):
    task, labels = case
    assert isinstance(task, Task) and task.title and task.label and task.segment_s > 0
    assert task.level in ("clip", "frame") and len(labels) >= 3


def test_labels_are_plain_data_and_parsing_them_again_changes_nothing(case):
    task, labels = case
    for label in labels:
        assert task.parse(label) == label
        assert task.parse(json.loads(json.dumps(label))) == label
    assert len({json.dumps(label) for label in labels}) == len(labels)


def test_nonsense_is_refused_with_its_name(case):
    task, _ = case
    with pytest.raises(ValueError, match="not"):
        task.parse(object())


def test_decoding_an_encoded_label_gives_the_label(case):
    task, labels = case
    tolerance = 1.5 / RATE_HZ if task.level == "frame" else 1e-3
    for label, answer in zip(labels, answers(task, labels), strict=True):
        assert close(answer.value, label, tolerance), (label, answer.value)
        json.dumps([answer.value, answer.confidence, answer.details], allow_nan=False)


def test_perfect_answers_score_one_and_exchanged_ones_less(case):
    task, labels = case
    given = answers(task, labels)
    perfect = task.evaluate(labels, given)
    assert perfect.metrics[task.metric] == pytest.approx(1.0, abs=1e-6)
    exchanged = task.evaluate(labels, given[1:] + given[:1])
    assert exchanged.metrics[task.metric] < 0.9
    assert len(perfect.per_track) == len(labels)
    assert all(row.keys() == perfect.per_track[0].keys() for row in exchanged.per_track)


def test_its_metric_of_a_resample_is_that_of_the_tracks_in_it(case):
    task, labels = case
    labels, given = labels * 3, answers(task, labels)
    given = [*given, *given[1:], given[0], *given]
    rng = np.random.default_rng(0)
    draws = [np.arange(len(labels)), *rng.integers(0, len(labels), (20, len(labels)))]
    counts = np.stack([np.bincount(draw, minlength=len(labels)) for draw in draws]).astype(float)
    found = task.metric_of_draws(labels, given, task.evaluate(labels, given).per_track)(counts)
    expected = [task.evaluate([labels[i] for i in d], [given[i] for i in d]).metrics[task.metric] for d in draws]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    assert len(set(found.round(6))) > 3


def test_no_tracks_and_no_answer_are_defined(case):
    task, labels = case
    assert np.isnan(task.evaluate([], []).metrics[task.metric])
    frames = (n_frames(task, labels[0]),) if task.level == "frame" else ()
    nothing = task.decode(np.zeros((*frames, task.n_outputs)), RATE_HZ)
    assert isinstance(nothing, Prediction)
    result = task.evaluate(labels, [nothing] * len(labels))
    assert result.metrics[task.metric] < 0.9


def test_loss_falls_towards_the_target_and_has_finite_gradients(case):
    task, labels = case
    target, logits = batch(task, labels)
    first = task.loss(logits.clone(), target).item()
    x = logits.clone().requires_grad_()
    optimiser = torch.optim.Adam([x], lr=0.1)
    for _ in range(60):
        optimiser.zero_grad()
        task.loss(x, target).backward()
        assert torch.isfinite(x.grad).all()
        optimiser.step()
    assert task.loss(x, target).item() < 0.8 * first
    assert torch.isfinite(task.loss(1e4 * logits, target))


def test_losses_of_parts_add_up_to_the_whole(case):
    """With the counts of the whole: so a step can be computed in parts and by several processes."""
    task, labels = case
    target, logits = batch(task, labels)
    logits.requires_grad_()
    n_real = torch.arange(len(target)) * target.shape[1] // len(target) + 1
    mask = torch.arange(target.shape[1]) < n_real[:, None] if task.level == "frame" else None
    whole = task.loss(logits, target, mask)
    (expected,) = torch.autograd.grad(whole, logits, retain_graph=True)
    counts = task.counts(target, mask)
    assert counts.shape == (task.n_counts,)
    parts = [slice(0, 1), slice(1, len(target))]
    own = [None if mask is None else mask[part] for part in parts]
    torch.testing.assert_close(sum(task.counts(target[p], m) for p, m in zip(parts, own, strict=True)), counts)
    total = sum(task.loss(logits[p], target[p], m, counts) for p, m in zip(parts, own, strict=True))
    torch.testing.assert_close(total, whole)
    torch.testing.assert_close(torch.autograd.grad(total, logits)[0], expected)


def test_padding_does_not_count(case):
    task, labels = case
    if task.level != "frame":
        pytest.skip("clips are pooled before")
    target, logits = batch(task, labels)
    mask = torch.ones(target.shape[:2], dtype=torch.bool)
    assert task.loss(logits, target, mask) == task.loss(logits, target)
    longer = [torch.cat([x, torch.full_like(x[:, :20], 9.0)], 1) for x in (logits, target)]
    mask = torch.cat([mask, torch.zeros(len(mask), 20, dtype=torch.bool)], 1)
    torch.testing.assert_close(task.loss(*longer, mask), task.loss(logits, target))


def test_probabilities_keep_the_shape(case):
    task, labels = case
    target, logits = batch(task, labels)
    assert target.shape[-1] == task.n_outputs
    for scale in (1.0, 1e4):
        probabilities = task.probabilities(scale * logits)
        assert probabilities.shape == logits.shape and torch.isfinite(probabilities).all()


def test_config_restores_it(case):
    task, labels = case
    again = type(task).restore(json.loads(json.dumps(task.config(), allow_nan=False)))
    assert again.config() == task.config() and again.n_outputs == task.n_outputs
    target, logits = batch(task, labels)
    torch.testing.assert_close(again.loss(logits, target), task.loss(logits, target))
    values = task.probabilities(logits)[0].numpy()
    assert again.decode(values, RATE_HZ) == task.decode(values, RATE_HZ)


def test_changes_of_pitch_and_speed_can_be_taken_back(case):
    task, labels = case
    for label in labels:
        assert task.transpose(label, 0) == label and task.transpose(label, 12) == label
        assert task.transpose(task.transpose(label, 5), -5) == label
        assert close(task.stretch(task.stretch(label, 1.25), 1 / 1.25), label, 1e-9)
        assert task.parse(task.transpose(label, 3)) == task.transpose(label, 3)
        assert close(task.shift(task.shift(label, 2.5), -2.5), label, 1e-9)
        assert (task.shift(label, 2.5) != label) == (task.level == "frame" and bool(label))


@pytest.mark.parametrize("sound", ["noise", "silence", "one sample", "empty"])
def test_the_plain_baseline_answers_whatever_it_hears(case, sound):
    task, labels = case
    if task.plain_baseline is None:
        pytest.skip("has none")
    rng = np.random.default_rng(0)
    wave = {"noise": rng.normal(0, 0.1, 30_000), "silence": np.zeros(30_000),
            "one sample": np.ones(1), "empty": np.zeros(0)}[sound]  # fmt: skip
    answer = task.plain_baseline(wave.astype(np.float32), 16_000)
    usual = task.evaluate(labels[:1], [Prediction(labels[0])]).per_track[0]
    assert set(task.score(labels[0], answer.value)) == set(usual)
