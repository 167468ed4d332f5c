"""How fast this machine is: steps of a model measured on noise, changes of sound as well."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch

from sordino.answering import Constant
from sordino.augment import Augmentation
from sordino.compute import Compute
from sordino.model import Model

ROWS = 4  # of the larger measured step on a processor
TRIAL_S = 5.0  # of noise in the measured step, at most
TRIALS_S = 0.5  # spent on measuring a step, unless two take longer


@dataclass
class Speed:
    """How long this machine takes.

    Attributes:
        constant: to compute what is frozen, seconds for a second of sound.
        step: to train on it, behind what is frozen, seconds for a second of sound.
        anyhow: seconds of a step, however much sound it has.
    """

    constant: float
    step: float
    anyhow: float


@torch.random.fork_rng(devices=[])
def measured(model: Model, noise_s: float, at_once: int, compute: Compute) -> Speed:
    """The speed of a model with random weights, which cost what others cost.

    Args:
        model: on its device.
        noise_s: length of a row.
        at_once: rows of the larger step; the smaller one has a single row.
        compute: device and precision.
    """
    one = torch.from_numpy(_noise(noise_s, model.backbone.sample_rate_hz)).to(compute.device)
    optimiser = model.optimiser(0.0)

    def hear(rows: int) -> Constant:
        with compute.context():
            return model.constant(one.repeat(rows, 1))

    def step(constant: Constant) -> None:
        with compute.context():
            loss = torch.stack([value.float().square().mean() for value in model(*constant).values()]).sum()
        (loss + model.penalty()).backward()
        optimiser.step()
        model.after_step(1, 2)
        optimiser.zero_grad()

    model.train()
    heard = _seconds(partial(hear, at_once), compute)
    few, many = (_seconds(partial(step, hear(rows)), compute) for rows in (1, at_once))
    row = max(0.0, many - few) / (at_once - 1) if at_once > 1 else many
    return Speed(heard / (at_once * noise_s), row / noise_s, max(0.0, many - at_once * row))


@cache
def changing(names: tuple[str, ...], rate_hz: int) -> float:
    """Seconds that augmentations take for a second of sound, the mean over their versions."""
    wave, versions = _noise(1.0, rate_hz), list(Augmentation.named(names).versions())
    began = time.perf_counter()
    for changes in versions:
        for change in changes:
            change.apply(wave, rate_hz, np.random.default_rng(0), wave if change.wants_other else None)
    return (time.perf_counter() - began) / len(versions)


def _noise(length_s: float, rate_hz: int) -> np.ndarray:
    n_samples = max(1, round(length_s * rate_hz))
    return 0.1 * np.random.default_rng(0).standard_normal(n_samples).astype(np.float32)


def _seconds(work: Callable[[], object], compute: Compute) -> float:
    """The least of some times, for other programs take their share too; the first finds memory and kernels."""
    found: list[float] = []
    while len(found) < 2 or (len(found) < 5 and sum(found) < TRIALS_S):
        began = time.perf_counter()
        work()
        if compute.device.type == "cuda":
            torch.cuda.synchronize(compute.device)
        found.append(time.perf_counter() - began)
    return min(found[1:])
