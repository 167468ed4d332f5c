"""What a task keeps, on its own examples of labels; see `contracts/task.py` and docs/add_a_task.md."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sordino import registry
from sordino.checks.running import NotAsked, refused
from sordino.contracts import Prediction, Task

RATE_HZ = 25.0


class TaskCase:
    """A task that has learned from its examples.

    Args:
        name: its name.

    Attributes:
        labels: the examples, parsed.
    """

    def __init__(self, name: str):
        self.task: Task = registry.make("task", name, {})
        self.labels = [self.task.parse(example) for example in self.task.examples]
        self.task.fit(self.labels)

    def n_frames(self, label: Any) -> int:
        """Enough frames for a label."""
        return int(max(_numbers(label), default=1.0) * RATE_HZ) + 1 if self.task.level == "frame" else 40

    def answers(self, labels: list[Any]) -> list[Prediction]:
        """What is decoded from perfect outputs."""
        encoded = [self.task.encode(label, self.n_frames(label), RATE_HZ) for label in labels]
        outputs = [target.clamp_min(0) if self.task.level == "frame" else target for target in encoded]
        return [self.task.decode(target.numpy(), RATE_HZ) for target in outputs]

    def batch(self) -> tuple[Tensor, Tensor]:
        """Targets of all labels, and random logits for them."""
        length = max(self.n_frames(label) for label in self.labels)
        target = torch.stack([self.task.encode(label, length, RATE_HZ) for label in self.labels])
        return target, torch.randn(target.shape, generator=torch.Generator().manual_seed(0))


def _numbers(value: Any) -> list[float]:
    value = list(value.values()) if isinstance(value, dict) else value
    if isinstance(value, (list, tuple)):
        return [n for item in value for n in _numbers(item)]
    return [value] if isinstance(value, (int, float)) else []


def _close(a: Any, b: Any, tolerance: float) -> bool:
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(_close(a[k], b[k], tolerance) for k in a)
    if isinstance(a, list):
        same = isinstance(b, list) and len(a) == len(b)
        return same and all(_close(x, y, tolerance) for x, y in zip(a, b, strict=True))
    return abs(a - b) <= tolerance if isinstance(a, float) and isinstance(b, float) else a == b


def says_what_it_is(case: TaskCase) -> None:
    """It has a title, a label, a level, a length of segments, and three examples or more."""
    task = case.task
    assert isinstance(task, Task) and task.title and task.label and task.segment_s > 0
    assert task.level in ("clip", "frame") and len(case.labels) >= 3


def labels_are_plain_data(case: TaskCase) -> None:
    """Parsed labels are plain data, all different, and parsing them again changes nothing."""
    for label in case.labels:
        assert case.task.parse(label) == label
        assert case.task.parse(json.loads(json.dumps(label))) == label
    assert len({json.dumps(label) for label in case.labels}) == len(case.labels)


def nonsense_is_refused(case: TaskCase) -> None:
    """What is no label is refused and named."""
    with refused(ValueError, "not"):
        case.task.parse(object())


def decoding_what_was_encoded_gives_the_label(case: TaskCase) -> None:
    """An encoded label, decoded, is the label again."""
    tolerance = 1.5 / RATE_HZ if case.task.level == "frame" else 1e-3
    for label, answer in zip(case.labels, case.answers(case.labels), strict=True):
        assert _close(answer.value, label, tolerance), (label, answer.value)
        json.dumps([answer.value, answer.confidence, answer.details], allow_nan=False)


def perfect_answers_score_one(case: TaskCase) -> None:
    """Perfect answers score 1, exchanged ones less."""
    task, labels, given = case.task, case.labels, case.answers(case.labels)
    perfect = task.evaluate(labels, given)
    assert abs(perfect.metrics[task.metric] - 1.0) < 1e-6
    exchanged = task.evaluate(labels, given[1:] + given[:1])
    assert exchanged.metrics[task.metric] < 0.9
    assert len(perfect.per_track) == len(labels)
    assert all(row.keys() == perfect.per_track[0].keys() for row in exchanged.per_track)


def metric_of_a_resample_is_that_of_its_tracks(case: TaskCase) -> None:
    """Bootstrap draws are scored as the lists of tracks that they are."""
    task, labels, given = case.task, case.labels * 3, case.answers(case.labels)
    given = [*given, *given[1:], given[0], *given]
    rng = np.random.default_rng(0)
    draws = [np.arange(len(labels)), *rng.integers(0, len(labels), (20, len(labels)))]
    counts = np.stack([np.bincount(draw, minlength=len(labels)) for draw in draws]).astype(float)
    found = task.metric_of_draws(labels, given, task.evaluate(labels, given).per_track)(counts)
    expected = [task.evaluate([labels[i] for i in d], [given[i] for i in d]).metrics[task.metric] for d in draws]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    assert len(set(found.round(6))) > 3


def decides_as_it_evaluates(case: TaskCase) -> None:
    """The deciding metric alone is that of the whole evaluation, of right and of wrong answers."""
    task, labels, given = case.task, case.labels, case.answers(case.labels)
    for answers in (given, given[1:] + given[:1], [given[0]] * len(labels)):
        assert abs(task.decide(labels, answers) - task.evaluate(labels, answers).metrics[task.metric]) < 1e-9
    assert np.isnan(task.decide([], []))


def no_tracks_and_no_answer_are_defined(case: TaskCase) -> None:
    """No tracks score nan, and an output of zeros is an answer that scores low."""
    task, labels = case.task, case.labels
    assert np.isnan(task.evaluate([], []).metrics[task.metric])
    frames = (case.n_frames(labels[0]),) if task.level == "frame" else ()
    nothing = task.decode(np.zeros((*frames, task.n_outputs)), RATE_HZ)
    assert isinstance(nothing, Prediction)
    result = task.evaluate(labels, [nothing] * len(labels))
    assert result.metrics[task.metric] < 0.9


def loss_falls_towards_the_target(case: TaskCase) -> None:
    """Sixty steps on the logits lower the loss, with finite gradients; huge logits give a finite loss."""
    target, logits = case.batch()
    first = case.task.loss(logits.clone(), target).item()
    x = logits.clone().requires_grad_()
    optimiser = torch.optim.Adam([x], lr=0.1)
    for _ in range(60):
        optimiser.zero_grad()
        case.task.loss(x, target).backward()
        assert x.grad is not None and torch.isfinite(x.grad).all()
        optimiser.step()
    assert case.task.loss(x, target).item() < 0.8 * first
    assert torch.isfinite(case.task.loss(1e4 * logits, target))


def losses_of_parts_add_up(case: TaskCase) -> None:
    """With the counts of the whole, losses and gradients of parts add up, so that a step can be computed in parts."""
    task, (target, logits) = case.task, case.batch()
    logits.requires_grad_()
    n_real = torch.arange(len(target)) * target.shape[1] // len(target) + 1
    mask = torch.arange(target.shape[1]) < n_real[:, None] if task.level == "frame" else None
    whole = task.loss(logits, target, mask)
    (expected,) = torch.autograd.grad(whole, logits, retain_graph=True)
    counts = task.counts(target, mask)
    assert counts.shape == (task.n_counts,)
    parts = [slice(0, 1), slice(1, len(target))]
    own = [None if mask is None else mask[part] for part in parts]
    each = torch.stack([task.counts(target[p], m) for p, m in zip(parts, own, strict=True)])
    torch.testing.assert_close(each.sum(0), counts)
    losses = torch.stack([task.loss(logits[p], target[p], m, counts) for p, m in zip(parts, own, strict=True)])
    total = losses.sum()
    torch.testing.assert_close(total, whole)
    torch.testing.assert_close(torch.autograd.grad(total, logits)[0], expected)


def padding_does_not_count(case: TaskCase) -> None:
    """Frames of padding change no loss."""
    task = case.task
    if task.level != "frame":
        raise NotAsked("clips are pooled before")
    target, logits = case.batch()
    mask = torch.ones(target.shape[:2], dtype=torch.bool)
    assert task.loss(logits, target, mask) == task.loss(logits, target)
    longer, shown = (torch.cat([x, torch.full_like(x[:, :20], 9.0)], 1) for x in (logits, target))
    mask = torch.cat([mask, torch.zeros(len(mask), 20, dtype=torch.bool)], 1)
    torch.testing.assert_close(task.loss(longer, shown, mask), task.loss(logits, target))


def probabilities_keep_the_shape(case: TaskCase) -> None:
    """Probabilities have the shape of the logits and are finite."""
    target, logits = case.batch()
    assert target.shape[-1] == case.task.n_outputs
    for scale in (1.0, 1e4):
        probabilities = case.task.probabilities(scale * logits)
        assert probabilities.shape == logits.shape and torch.isfinite(probabilities).all()


def config_restores_it(case: TaskCase) -> None:
    """Its config, written as JSON and read, makes the same task."""
    task = case.task
    again = type(task).restore(json.loads(json.dumps(task.config(), allow_nan=False)))
    assert again.config() == task.config() and again.n_outputs == task.n_outputs
    target, logits = case.batch()
    torch.testing.assert_close(again.loss(logits, target), task.loss(logits, target))
    values = task.probabilities(logits)[0].numpy()
    assert again.decode(values, RATE_HZ) == task.decode(values, RATE_HZ)


def changes_of_pitch_and_speed_can_be_taken_back(case: TaskCase) -> None:
    """Transposed, stretched or shifted and back, a label is itself."""
    task = case.task
    for label in case.labels:
        assert task.transpose(label, 0) == label and task.transpose(label, 12) == label
        assert task.transpose(task.transpose(label, 5), -5) == label
        assert _close(task.stretch(task.stretch(label, 1.25), 1 / 1.25), label, 1e-9)
        assert task.parse(task.transpose(label, 3)) == task.transpose(label, 3)
        assert _close(task.shift(task.shift(label, 2.5), -2.5), label, 1e-9)
        assert (task.shift(label, 2.5) != label) == (task.level == "frame" and bool(label))


def plain_baseline_answers_whatever_it_hears(case: TaskCase) -> None:
    """The plain estimator answers noise, silence, one sample and none."""
    task, labels = case.task, case.labels
    if task.plain_baseline is None:
        raise NotAsked("has none")
    usual = task.evaluate(labels[:1], [Prediction(labels[0])]).per_track[0]
    noise = np.random.default_rng(0).normal(0, 0.1, 30_000)
    for wave in (noise, np.zeros(30_000), np.ones(1), np.zeros(0)):
        answer = task.plain_baseline(wave.astype(np.float32), 16_000)
        assert set(task.score(labels[0], answer.value)) == set(usual)
