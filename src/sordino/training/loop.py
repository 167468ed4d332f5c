"""The training loop: cosine schedule, accumulation, clipping, best on validation, exact resume, any number of devices.

Every draw of a step (order, dropout, crops) is seeded by the run's seed and the step's number, so a run that was killed
and started again ends at the same weights as an undisturbed one (on a CPU, with the same number of threads).

A step's rows are shared among processes and then among `accumulate` parts; what a loss divides by is counted over the
whole step, so that the gradient is that of one large batch (but for BatchNorm and dropout).

Differs: the paper's public code leaves frozen modules in training mode; here they are in evaluation mode.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from sordino.compute import Compute
from sordino.config import Training
from sordino.files import write_text
from sordino.model import Model
from sordino.training.checkpoint import Checkpoint, Progress, load_checkpoint, save_checkpoint
from sordino.training.cost import peak_memory_bytes
from sordino.training.devices import summed
from sordino.training.evaluation import scores
from sordino.training.examples import Examples, Visit
from sordino.training.sampling import Order, class_balance
from sordino.training.schedule import Schedule, learning_rate
from sordino.training.sources import Source
from sordino.training.targets import Targets, batch_loss


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
    """

    steps: int
    best_step: int
    best_score: float
    step_s: float
    peak_memory_bytes: int
    cpu_s: float


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
        advance: called after every step with (step, steps, loss).
        log: called after every validation with (step, values by name), by the first process.

    Raises:
        ValueError: there is nothing to train on, or a step has fewer rows than there are parts of it.
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
        advance: Callable[[int, int, float], None] = lambda step, steps, loss: None,
        log: Callable[[int, Mapping[str, float]], None] = lambda step, values: None,
    ):
        self.model, self.settings, self.seed = model, settings, seed
        self.train, self.validation, self.advance = train, validation, advance
        self.checkpoint, self.log, self._tell = folder / "checkpoint" / "last.pt", folder / "log.jsonl", log
        self.fabric, self.compute = fabric, compute
        if not len(train[0]):
            raise ValueError("no training example: no track of the train split has a label for this task")
        n_parts = fabric.world_size * settings.accumulate
        if settings.batch_size < n_parts:
            raise ValueError(f"batch_size = {settings.batch_size} gives {fabric.world_size} processes x "
                             f"{settings.accumulate} parts no row each; make it {n_parts} or more")  # fmt: skip
        weights = class_balance(train[0]) if settings.balanced else None
        self.order = Order(len(train[0]), settings.batch_size, seed, weights)
        self.schedule = Schedule(settings, len(train[0]), model.start == model.backbone.top)

    def run(self) -> Fitted:
        """Train to the end, from the checkpoint if there is one."""
        settings, schedule, model = self.settings, self.schedule, self.model
        groups = model.parameter_groups(settings.lr)
        rates = [group["lr"] for group in groups]
        optimiser = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
        wrapped, optimiser = self.fabric.setup(model, optimiser)
        progress = self._resume(optimiser)
        if settings.head_first and progress.best is None:
            self._validate(progress, math.nan)
        saved_at = time.monotonic()
        while not schedule.ends(progress.step, progress.best_step):
            began, began_cpu_s = time.perf_counter(), time.process_time()
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = learning_rate(progress.step, schedule.steps, rate, settings.lr_min, settings.schedule)
            loss = self._step(wrapped, optimiser, progress.step)
            progress.step += 1
            progress.seconds.append(time.perf_counter() - began)
            progress.cpu_s += time.process_time() - began_cpu_s
            self.advance(progress.step, schedule.steps, loss)
            if progress.step % schedule.validate_every == 0 or progress.step == schedule.steps:
                self._validate(progress, loss)
            if schedule.ends(progress.step, progress.best_step) or time.monotonic() - saved_at > settings.checkpoint_s:
                self._save(progress, optimiser)
                saved_at = time.monotonic()
        if progress.best is not None:
            model.load_trained_state(progress.best)
        model.eval()
        step_s = float(np.median(progress.seconds[2:] or progress.seconds or [math.nan]))
        return Fitted(progress.step, progress.best_step, progress.best_score, step_s, progress.peak_memory_bytes,
                      progress.cpu_s)  # fmt: skip

    def _step(self, wrapped, optimiser, step: int) -> float:
        """One optimiser step; gives back the loss of this process's rows."""
        parts = self._parts(step)
        targets = [self._targets(part) for part in parts]
        counts = self._counts(targets)
        self.train[1].ahead([visit for part in parts for visit in part])
        if step + 1 < self.schedule.steps:
            self.train[1].ahead([visit for part in self._parts(step + 1) for visit in part])
        self.model.train()
        total = 0.0
        for number, (part, target) in enumerate(zip(parts, targets, strict=True)):
            torch.manual_seed(hash((self.seed, step, self.fabric.global_rank, number)) % 2**63)
            with self.fabric.no_backward_sync(wrapped, enabled=number + 1 < len(parts)):
                loss = self._loss(wrapped, part, target, counts)
                self.fabric.backward(loss * self.fabric.world_size)  # processes average, the step's loss is a sum
            total += float(loss.detach())
        if not math.isfinite(total):
            raise ValueError(f"the loss is {total} at step {step}; lower the learning rate (training.lr)")
        if self.settings.clip:
            self.fabric.clip_gradients(wrapped, optimiser, max_norm=self.settings.clip, error_if_nonfinite=False)
        optimiser.step()
        optimiser.zero_grad()
        return total

    def _parts(self, step: int) -> list[list[Visit]]:
        """This process's rows of a step, in as many parts as are accumulated."""
        mine = self.order.step(step)[self.fabric.global_rank :: self.fabric.world_size]
        return [mine[number :: self.settings.accumulate] for number in range(self.settings.accumulate)]

    def _targets(self, part: Sequence[Visit]) -> Targets:
        """What rows shall answer."""
        examples, device = self.train[0], self.compute.device
        segments = [examples.rows.segment(*visit) for visit in part]
        lengths = torch.tensor([examples.n_frames(segment.n_samples) for segment in segments])
        values, present = examples.targets(segments, int(lengths.max()))
        mask = torch.arange(int(lengths.max())) < lengths[:, None]
        return Targets(
            {name: value[present[name]].to(device) for name, value in values.items()},
            {name: rows.to(device) for name, rows in present.items()}, mask.to(device),
        )  # fmt: skip

    def _counts(self, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """What the losses divide by, over all parts and processes."""
        own = [each.counts(self.model) for each in targets]
        found = {}
        for name, task in self.model.tasks.items():
            zero = torch.zeros(task.n_counts, device=self.compute.device)
            found[name] = summed(self.fabric, sum((each[name] for each in own if name in each), zero))
        return found

    def _loss(self, wrapped, part: Sequence[Visit], targets: Targets, counts: dict[str, Tensor]) -> Tensor:
        """The loss of some rows of a step."""
        constant, mask = self.train[1](part)
        with self.compute.context():
            logits = wrapped(constant, mask)
        return batch_loss(self.model, logits, targets, counts, self.settings.loss_weights)

    def _validate(self, progress: Progress, loss: float) -> None:
        """Score the validation tracks and keep the weights if they are the best so far."""
        examples, source = self.validation
        self.model.eval()
        found = scores(self.model, examples, source, self.compute) if len(examples) else {}
        finite = [score for score in found.values() if math.isfinite(score)]
        score = sum(finite) / len(finite) if finite else math.nan
        if progress.best is None or math.isnan(score) or not score <= progress.best_score:
            progress.best, progress.best_step = self.model.trained_state(), progress.step
            progress.best_score = score
        line = {"step": progress.step, "loss": None if math.isnan(loss) else round(loss, 6), "validation": found}
        if self.fabric.is_global_zero:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
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
            return Progress(0, None, math.nan, 0, [], self._peak_memory_bytes())
        progress = found.progress
        self.model.load_trained_state(found.trained)
        optimiser.load_state_dict(found.optimiser)
        kept = [line for line in self.log.read_text(encoding="utf-8").splitlines(keepends=True)
                if line.endswith("\n") and json.loads(line)["step"] <= progress.step]  # fmt: skip
        if self.fabric.is_global_zero:
            write_text(self.log, "".join(kept))
        return progress

    def _peak_memory_bytes(self) -> int:
        """Of one part of the first step, computed as in training."""
        part = self._parts(0)[0]
        targets = self._targets(part)
        counts = {name: value.clamp_min(1) for name, value in targets.counts(self.model).items()}
        self.model.train()
        return peak_memory_bytes(self.model, lambda: self._loss(self.model, part, targets, counts))
