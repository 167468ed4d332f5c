"""The training loop: Fabric for devices and precision, cosine schedule, clipping, best on validation, exact resume.

Every draw of a step (order, dropout, crops) is seeded by the run's seed and the step's number, so a run that was killed
and started again ends at the same weights as an undisturbed one (on a CPU, with the same number of threads).

Differs: the paper's public code leaves frozen modules in training mode; here they are in evaluation mode.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from sordino.config import Training
from sordino.files import write_text
from sordino.model import Model
from sordino.training.checkpoint import Progress, load_progress, save_progress
from sordino.training.cost import peak_memory_bytes
from sordino.training.data import Examples
from sordino.training.sampling import class_balance, order
from sordino.training.sources import Source, joined_probabilities


@dataclass
class Fitted:
    """What a finished training says of itself.

    Attributes:
        best_step: the step whose weights are kept.
        best_score: its score on the validation tracks (nan without any).
        step_s: median seconds per step.
        peak_memory_bytes: of tensors in a step.
    """

    best_step: int
    best_score: float
    step_s: float
    peak_memory_bytes: int


def make_fabric(settings: Training) -> Fabric:
    """Fabric for the configured devices; precision `auto` is bf16 autocast where the machine computes in it."""
    accelerator = settings.accelerator
    if accelerator == "auto":
        accelerator = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    has_bf16 = {"cuda": torch.cuda.is_available() and torch.cuda.is_bf16_supported(), "cpu": _cpu_bf16()}
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    wanted = settings.precision
    if wanted == "auto":
        wanted = "bf16" if has_bf16.get(accelerator, False) else "float32"
    return Fabric(
        accelerator=accelerator,
        devices=settings.devices,
        strategy="ddp" if settings.devices > 1 else "auto",
        precision="bf16-mixed" if wanted == "bf16" else "32-true",
    )


def _cpu_bf16() -> bool:
    """Whether this processor multiplies bf16 itself."""
    check = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(check and check())


def learning_rate(step: int, steps: int, lr: float, lr_min: float, schedule: str) -> float:
    """The rate of a step (from 0): constant, or half a cosine from `lr` to `lr_min`."""
    if schedule == "constant":
        return lr
    return lr_min + 0.5 * (lr - lr_min) * (1 + math.cos(math.pi * step / max(1, steps)))


def batch_loss(
    model: Model, logits: dict[str, Tensor], targets: dict[str, Tensor], present: dict[str, Tensor],
    mask: Tensor | None, weights: dict[str, float],
) -> Tensor:  # fmt: skip
    """The weighted sum of the tasks' losses over the rows that have a label."""
    total = 0.0 * torch.stack([value.float().sum() for value in logits.values()]).sum()
    for name, target in targets.items():
        rows = present[name].to(target.device)
        if not bool(rows.any()):
            continue
        own_mask = mask[rows] if mask is not None and model.tasks[name].level == "frame" else None
        loss = model.tasks[name].loss(logits[name].float()[rows], target[rows], own_mask)
        total = total + weights.get(name, 1.0) * loss
    return total


def validation_score(model: Model, examples: Examples, source: Source) -> dict[str, float]:
    """Every task's own metric on the validation tracks."""
    scores = {}
    for name, rows in joined_probabilities(model, examples, source).items():
        task = model.tasks[name]
        labelled = examples.labelled(name)
        references = [examples.labels[i][name] for i in labelled]
        predictions = [task.decode(rows[i], examples.frame_rate_hz) for i in labelled]
        scores[name] = task.evaluate(references, predictions).metrics[task.metric] if labelled else float("nan")
    return scores


class Loop:
    """Trains a model; see the module's head.

    Args:
        model: what is trained; at the end it holds the best weights.
        settings: how.
        seed: of everything drawn.
        train: examples and their source.
        validation: examples and their source; may be empty.
        folder: where `log.jsonl` and `checkpoint/` lie.
        advance: called after every step with (step, steps, loss).
    """

    def __init__(
        self,
        model: Model,
        settings: Training,
        seed: int,
        train: tuple[Examples, Source],
        validation: tuple[Examples, Source],
        folder: Path,
        fabric: Fabric,
        advance: Callable[[int, int, float], None] = lambda step, steps, loss: None,
    ):
        self.model, self.settings, self.seed = model, settings, seed
        self.train, self.validation, self.advance = train, validation, advance
        self.checkpoint, self.log = folder / "checkpoint" / "last.pt", folder / "log.jsonl"
        self.fabric = fabric
        self.row_weights = class_balance(train[0]) if settings.balanced else None

    def run(self) -> Fitted:
        """Train to the end, from the checkpoint if there is one.

        Raises:
            ValueError: there is nothing to train on.
        """
        if not len(self.train[0]):
            raise ValueError("no training example: no track of the train split has a label for this task")
        settings, model = self.settings, self.model
        groups = model.parameter_groups(settings.lr)
        rates = [group["lr"] for group in groups]
        optimiser = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
        wrapped, optimiser = self.fabric.setup(model, optimiser)
        progress = self._resume(optimiser)
        validate_every = settings.validate_every or max(1, settings.steps // 20)
        if settings.head_first and progress.best is None:
            self._validate(progress, math.nan)
        saved_at = time.monotonic()
        while progress.step < settings.steps:
            began = time.perf_counter()
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = learning_rate(progress.step, settings.steps, rate, settings.lr_min, settings.schedule)
            loss = self._step(wrapped, optimiser, progress.step)
            progress.step += 1
            progress.seconds.append(time.perf_counter() - began)
            self.advance(progress.step, settings.steps, loss)
            last = progress.step == settings.steps
            if progress.step % validate_every == 0 or last:
                self._validate(progress, loss)
            if last or time.monotonic() - saved_at > settings.checkpoint_s:
                self._save(progress, optimiser)
                saved_at = time.monotonic()
        model.load_trained_state(progress.best or progress.trained)
        model.eval()
        step_s = float(np.median(progress.seconds[2:] or progress.seconds or [math.nan]))
        return Fitted(progress.best_step, progress.best_score, step_s, progress.peak_memory_bytes)

    def _step(self, wrapped, optimiser, step: int) -> float:
        """One optimiser step; gives back the loss."""
        loss = self._loss(wrapped, step)
        self.fabric.backward(loss)
        if self.settings.clip:
            self.fabric.clip_gradients(wrapped, optimiser, max_norm=self.settings.clip, error_if_nonfinite=False)
        if not bool(torch.isfinite(loss)):
            raise ValueError(f"the loss is {float(loss)} at step {step}; lower the learning rate (training.lr)")
        optimiser.step()
        optimiser.zero_grad()
        return float(loss.detach())

    def _rows(self, step: int) -> list[int]:
        """This process's rows of a step."""
        rows = order(len(self.train[0]), self.settings.batch_size, step, self.seed, self.row_weights)
        return rows[self.fabric.global_rank :: self.fabric.world_size]

    def _loss(self, wrapped, step: int) -> Tensor:
        """The loss of one step's batch."""
        examples, source = self.train
        rows = self._rows(step)
        source.ahead(rows)
        source.ahead(self._rows(step + 1) if step + 1 < self.settings.steps else [])
        self.model.train()
        torch.manual_seed(hash((self.seed, step, self.fabric.global_rank)) % 2**63)
        constant, mask = source(rows)
        n_frames = next(iter(constant.values())).shape[1]
        targets, present = examples.targets(rows, n_frames)
        targets = {name: target.to(self.fabric.device) for name, target in targets.items()}
        return batch_loss(self.model, wrapped(constant, mask), targets, present, mask, self.settings.loss_weights)

    def _validate(self, progress: Progress, loss: float) -> None:
        """Score the validation tracks and keep the weights if they are the best so far."""
        examples, source = self.validation
        self.model.eval()
        scores = validation_score(self.model, examples, source) if len(examples) else {}
        finite = [score for score in scores.values() if math.isfinite(score)]
        score = sum(finite) / len(finite) if finite else math.nan
        if progress.best is None or math.isnan(score) or not score <= progress.best_score:
            progress.best, progress.best_step = self.model.trained_state(), progress.step
            progress.best_score = score
        line = {"step": progress.step, "loss": None if math.isnan(loss) else round(loss, 6), "validation": scores}
        if self.fabric.is_global_zero:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    def _save(self, progress: Progress, optimiser) -> None:
        progress.trained, progress.optimiser = self.model.trained_state(), optimiser.state_dict()
        if self.fabric.is_global_zero:
            save_progress(progress, self.checkpoint)

    def _resume(self, optimiser) -> Progress:
        """Where a former process got to, or the very beginning (where the cost of a step is measured)."""
        progress = load_progress(self.checkpoint)
        if progress is None:
            self.log.write_text("", encoding="utf-8")
            with self.fabric.autocast():
                peak = peak_memory_bytes(self.model, lambda: self._loss(self.model, 0))
            return Progress(0, self.model.trained_state(), {}, None, math.nan, 0, [], peak)
        self.model.load_trained_state(progress.trained)
        optimiser.load_state_dict(progress.optimiser)
        kept = [line for line in self.log.read_text(encoding="utf-8").splitlines(keepends=True)
                if line.endswith("\n") and json.loads(line)["step"] <= progress.step]  # fmt: skip
        write_text(self.log, "".join(kept))
        return progress
