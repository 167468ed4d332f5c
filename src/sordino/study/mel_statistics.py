"""What the mean spectrum tells: a linear map of each mel band's mean and deviation, learned from the training tracks.

It stands beside the results of tasks that no estimator was built for (genres, moods, instruments, numbers), and shows
what a network adds to a spectrum.

Conventions: 128 bands in decibels, 50 frames a second; features have mean 0 and deviation 1 over the training tracks.
The sum of the task's loss over these and half the squared weights (the bias is free) is minimised, which for classes is
scikit-learn's `LogisticRegression` with its default C = 1. At most `MOST` training tracks are heard, evenly chosen.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from sordino import audio
from sordino.backbones._mel import LogMel
from sordino.contracts import Prediction, Task, Track
from sordino.training.report import report

TITLE = "mel statistics"
RATE_HZ, HOP_SAMPLES, BLOCK_SAMPLES = 24_000, 480, 60 * 24_000
MOST = 1_000

Labelled = Sequence[tuple[Track, Any]]


def scores(task: Task, folds: Sequence[tuple[Labelled, Labelled]]) -> dict[str, Any] | None:
    """The scores on the test tracks of all folds, in the form of a run's; None where there is nothing to learn from.

    Args:
        task: of level `clip`; it is not changed.
        folds: training and test tracks with their labels; one pair where there is one test split.
    """
    ids, references, predictions = [], [], []
    heard: dict[str, np.ndarray | None] = {}

    def given(pairs: Labelled) -> tuple[list[Track], list[Any], np.ndarray]:
        """The tracks that can be read, their labels and features."""
        for track, _ in pairs:
            if track.id not in heard:
                heard[track.id] = _heard(track)
        real = [(track, label, x) for track, label in pairs if (x := heard[track.id]) is not None]
        return [t for t, _, _ in real], [y for _, y, _ in real], np.array([x for _, _, x in real])

    for train, test in folds:
        known, labels, x = given(train[:: -(-len(train) // MOST) or 1])
        tracks, wanted, other = given(test)
        if not known or not tracks:
            return None
        own = copy.deepcopy(task)
        own.fit(labels)
        ids += [track.id for track in tracks]
        references += wanted
        predictions += answered(own, x, labels, other)
    return report(task, ids, references, predictions) if ids else None


def answered(
    task: Task,
    known: Float64[np.ndarray, "known feature"],
    labels: Sequence[Any],
    asked: Float64[np.ndarray, "asked feature"],
) -> list[Prediction]:
    """Answers to some features, learned from others with labels, to which the task is fitted."""
    mean, deviation = known.mean(0), known.std(0) + 1e-6
    x, other = (torch.from_numpy((features - mean) / deviation) for features in (known, asked))
    weight, bias = learned(task, x, torch.stack([task.encode(label, 1, 1.0) for label in labels]))
    own, found = (task.probabilities(features @ weight + bias).numpy() for features in (x, other))
    if task.tunes:
        task.tune(list(own), list(labels))
    return [task.decode(row, 1.0) for row in found]


def learned(task: Task, x: Float[Tensor, "track feature"], target: Tensor) -> tuple[Tensor, Tensor]:
    """Weights [feature output] and bias [output]."""
    weight = torch.zeros(x.shape[1], task.n_outputs, dtype=x.dtype, requires_grad=True)
    bias = torch.zeros(task.n_outputs, dtype=x.dtype, requires_grad=True)
    target = target.to(x.dtype) if target.is_floating_point() else target
    whole = torch.ones(task.n_counts, dtype=x.dtype)  # the loss is then a sum
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        found = task.loss(x @ weight + bias, target, counts=whole) + weight.square().sum() / 2
        found.backward()
        return found

    optimiser.step(loss)  # pyright: ignore[reportArgumentType]  (torch asks for a float, and wants the tensor)
    return weight.detach(), bias.detach()


@functools.cache
def _mel() -> LogMel:
    return LogMel(RATE_HZ, 2048, HOP_SAMPLES, 128, pad_mode="constant")


@torch.no_grad()
def features(wave: np.ndarray) -> Float64[np.ndarray, " feature"]:
    """Mean and deviation of each band over a recording [time] of any length."""
    frames = torch.cat([_mel()(block[None])[0] for block in torch.from_numpy(wave).split(BLOCK_SAMPLES)])
    return torch.cat([frames.mean(0), frames.std(0, correction=0)]).double().numpy()


def _heard(track: Track) -> np.ndarray | None:
    """The features of a track; None if it cannot be read, as in a run."""
    try:
        return features(audio.read(track.path, RATE_HZ, track.start_s, track.duration_s))
    except audio.AudioError:
        return None
