"""The training loop: cosine schedule, accumulation, clipping, best on validation, exact resume, any number of devices.

Every draw of a step (order, dropout, crops) is seeded by the run's seed and the step's number, so a run that was killed
and started again ends at the same weights as an undisturbed one (on a CPU, with the same number of threads).

Differs: the paper's public code leaves frozen modules in training mode; here they are in evaluation mode.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric

from sordino.answering import NotANumber
from sordino.compute import Compute
from sordino.config import Training
from sordino.files import finite, write_text
from sordino.model import Model
from sordino.training.checkpoint import BrokenCheckpoint, Checkpoint, Progress, load_checkpoint, save_checkpoint
from sordino.training.evaluation import scores
from sordino.training.examples import Examples
from sordino.training.schedule import Schedule, learning_rate
from sordino.training.sources import Source
from sordino.training.step import Step
from sordino.training.trouble import Diverged

N_STEPS_SEEN = 4  # whose rows a method may start from


@dataclass
class Fitted:
    """What a finished training says of itself.

    Attributes:
        steps: how many were taken.
        best_step: the step whose weights are kept.
        best_score: its score on the validation tracks (nan without any).
        step_s: median seconds per step.
        peak_memory_bytes: of tensors in a step.
        cpu_s: CPU seconds of all steps, validations not counted.
        notes: what a reader must know: that training diverged, that the memory was full.
    """

    steps: int
    best_step: int
    best_score: float
    step_s: float
    peak_memory_bytes: int
    cpu_s: float
    notes: list[str]


class Loop:
    """Trains a model; see the module's head.

    Args:
        model: what is trained; at the end it holds the best weights.
        settings: how.
        seed: of everything drawn.
        train: examples and their source.
        validation: examples and their source; may be empty.
        folder: where `log.jsonl` and `checkpoint/` lie.
        fabric: processes.
        compute: device and precision.
        begins_trained: what it begins with was trained before, and is kept unless a later step is better.
        advance: called after every step with (step, steps, loss).
        log: called after every validation with (step, values by name), by the first process.

    Raises:
        ValueError: see `Step`.
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
        compute: Compute,
        begins_trained: bool = False,
        advance: Callable[[int, int, float], None] = lambda step, steps, loss: None,
        log: Callable[[int, Mapping[str, float]], None] = lambda step, values: None,
    ):
        self.model, self.settings, self.validation, self.advance = model, settings, validation, advance
        self.checkpoint, self.log, self._tell = folder / "checkpoint" / "last.pt", folder / "log.jsonl", log
        self.fabric, self.compute, self.begins_trained = fabric, compute, begins_trained
        self.step = Step(model, settings, seed, train, fabric, compute)
        self.schedule = Schedule(settings, len(train[0]), model.start == model.backbone.top)

    def run(self) -> Fitted:
        """Train to the end, from the checkpoint if there is one."""
        settings, schedule, model = self.settings, self.schedule, self.model
        optimiser = model.optimiser(settings.lr, settings.weight_decay)
        rates = [group["lr"] for group in optimiser.param_groups]
        wrapped, optimiser = self.fabric.setup(model, optimiser)
        progress = self._resume(optimiser)
        if progress.step == 0:
            self._begin()
        if self.begins_trained and progress.best is None:
            self._validate(progress, math.nan)
        saved_at = time.monotonic()
        while not schedule.ends(progress.step, progress.best_step):
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = learning_rate(progress.step, schedule.steps, rate, settings.lr_min, settings.schedule)
            try:
                self._forward(wrapped, optimiser, progress)
            except Diverged as error:
                if progress.best is None:
                    raise
                self.step.note(
                    f"training diverged and was ended: {error}; kept are the weights of step {progress.best_step}"
                )
                break
            if schedule.ends(progress.step, progress.best_step) or time.monotonic() - saved_at > settings.checkpoint_s:
                self._save(progress, optimiser)
                saved_at = time.monotonic()
        if progress.best is not None:
            model.load_trained_state(progress.best)
        model.eval()
        step_s = float(np.median(progress.seconds[2:] or progress.seconds or [math.nan]))
        return Fitted(progress.step, progress.best_step, progress.best_score, step_s, progress.peak_memory_bytes,
                      progress.cpu_s, self.step.notes)  # fmt: skip

    def _begin(self) -> None:
        """Let methods start from the rows of the first steps; all processes see all of them, and so start alike."""
        for method, attachment in self.model.own_attached:
            method.begin(attachment, self._see)

    @torch.no_grad()
    def _see(self) -> None:
        for step in range(N_STEPS_SEEN):
            constant, mask = self.step.source(self.step.order.step(step))
            with self.compute.context():
                self.model(constant, mask)

    def _forward(self, wrapped, optimiser, progress: Progress) -> None:
        """One step, and a validation where it is time for one.

        Raises:
            Diverged: a loss, a gradient or an answer is not a number.
        """
        began, began_cpu_s = time.perf_counter(), time.process_time()
        loss = self.step.take(wrapped, optimiser, progress.step, self.schedule.steps)
        progress.step += 1
        progress.seconds.append(time.perf_counter() - began)
        progress.cpu_s += time.process_time() - began_cpu_s
        self.advance(progress.step, self.schedule.steps, loss)
        if progress.step % self.schedule.validate_every == 0 or progress.step == self.schedule.steps:
            self._validate(progress, loss)

    def _validate(self, progress: Progress, loss: float) -> None:
        """Score the validation tracks and keep the weights if they are the best so far."""
        examples, source = self.validation
        self.model.eval()
        try:
            found = scores(self.model, examples, source, self.compute) if len(examples) else {}
        except NotANumber as error:
            raise Diverged(
                f"{error} (validation at step {progress.step}); lower the learning rate (training.lr)"
            ) from error
        defined = [score for score in found.values() if math.isfinite(score)]
        score = sum(defined) / len(defined) if defined else math.nan
        if progress.best is None or math.isnan(progress.best_score) or score > progress.best_score:
            progress.best, progress.best_step = self.model.trained_state(), progress.step
            progress.best_score = score
        line = {"step": progress.step, "loss": round(loss, 6), "validation": found}
        if self.fabric.is_global_zero:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(finite(line)) + "\n")
            told = {"loss": loss, **{f"validation/{name}": value for name, value in found.items()}}
            self._tell(progress.step, {name: value for name, value in told.items() if math.isfinite(value)})

    def _save(self, progress: Progress, optimiser) -> None:
        if self.fabric.is_global_zero:
            save_checkpoint(Checkpoint(progress, self.model.trained_state(), optimiser.state_dict()), self.checkpoint)

    def _resume(self, optimiser) -> Progress:
        """Where a former process got to, or the very beginning (where the cost of a step is measured)."""
        found = load_checkpoint(self.checkpoint)
        if found is None:
            if self.fabric.is_global_zero:
                write_text(self.log, "")
            return Progress(0, None, math.nan, 0, [], self.step.peak_memory_bytes())
        progress = found.progress
        try:
            self.model.load_trained_state(found.trained)
            optimiser.load_state_dict(found.optimiser)
            if progress.best is not None:
                self.model.check_state(progress.best)
        except (ValueError, TypeError, LookupError, AttributeError, RuntimeError) as error:
            raise BrokenCheckpoint(self.checkpoint, error) from error
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.is_file() else ""
        kept = [line for line in text.splitlines(keepends=True) if 0 <= _step_of(line) <= progress.step]
        if self.fabric.is_global_zero:
            write_text(self.log, "".join(kept))
        return progress


def _step_of(line: str) -> int:
    """The step of a line of the log; -1 for one that was not written to its end."""
    try:
        return int(json.loads(line)["step"]) if line.endswith("\n") else -1
    except (ValueError, LookupError, TypeError):
        return -1
