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
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from sordino.answering import NotANumber
from sordino.compute import Compute
from sordino.config import Training
from sordino.files import write_text
from sordino.memory import is_full
from sordino.model import Model
from sordino.training.checkpoint import BrokenCheckpoint, Checkpoint, Progress, load_checkpoint, save_checkpoint
from sordino.training.cost import peak_memory_bytes
from sordino.training.devices import summed
from sordino.training.evaluation import scores
from sordino.training.examples import Examples, Visit
from sordino.training.sampling import Order, class_balance
from sordino.training.schedule import Schedule, learning_rate
from sordino.training.sources import Source
from sordino.training.targets import Targets, batch_loss
from sordino.training.trouble import Diverged, named

T = TypeVar("T")
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
        begins_trained: bool = False,
        advance: Callable[[int, int, float], None] = lambda step, steps, loss: None,
        log: Callable[[int, Mapping[str, float]], None] = lambda step, values: None,
    ):
        self.model, self.settings, self.seed = model, settings, seed
        self.train, self.validation, self.advance = train, validation, advance
        self.checkpoint, self.log, self._tell = folder / "checkpoint" / "last.pt", folder / "log.jsonl", log
        self.fabric, self.compute, self.begins_trained = fabric, compute, begins_trained
        if not len(train[0]):
            raise ValueError("no training example: no track of the train split has a label for this task")
        self.n_parts, self.notes = settings.accumulate, list[str]()
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
                self._note(
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
                      progress.cpu_s, self.notes)  # fmt: skip

    def _begin(self) -> None:
        """Let methods start from the rows of the first steps; all processes see all of them, and so start alike."""
        attachments = self.model.backbone.attached[self.model.n_frozen :]
        for method, attachment in zip(self.model.own_methods, attachments, strict=True):
            method.begin(attachment, self._see)

    @torch.no_grad()
    def _see(self) -> None:
        for step in range(N_STEPS_SEEN):
            constant, mask = self.train[1](self.order.step(step))
            with self.compute.context():
                self.model(constant, mask)

    def _forward(self, wrapped, optimiser, progress: Progress) -> None:
        """One step, and a validation where it is time for one.

        Raises:
            Diverged: a loss, a gradient or an answer is not a number.
        """
        began, began_cpu_s = time.perf_counter(), time.process_time()
        loss = self._in_room(lambda: self._step(wrapped, optimiser, progress.step))
        progress.step += 1
        progress.seconds.append(time.perf_counter() - began)
        progress.cpu_s += time.process_time() - began_cpu_s
        self.advance(progress.step, self.schedule.steps, loss)
        if progress.step % self.schedule.validate_every == 0 or progress.step == self.schedule.steps:
            self._validate(progress, loss)

    def _in_room(self, compute: Callable[[], T]) -> T:
        """What a function computes; in twice as many parts, with the same gradient, while the memory is full."""
        while True:
            try:
                return compute()
            except RuntimeError as error:
                if not is_full(error) or self.fabric.world_size > 1:
                    raise
            self.model.zero_grad()
            if 2 * self.n_parts > self.settings.batch_size:
                raise MemoryError(
                    f"{self.compute.device} has no room for one row of a step; shorten training.segment_s"
                )
            if self.compute.device.type == "cuda":
                torch.cuda.empty_cache()
            self.n_parts *= 2
            self._note(f"{self.compute.device} was full: a step of {self.settings.batch_size} rows is computed in "
                       f"{self.n_parts} parts")  # fmt: skip

    def _note(self, text: str) -> None:
        self.notes.append(text)
        print(text, file=sys.stderr)

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
        total = float(
            summed(self.fabric, torch.tensor(total, device=self.compute.device))
        )  # all processes go on, or none
        if not math.isfinite(total):
            raise self._diverged(f"the loss is {total}", step, parts)
        if self.settings.clip:
            norm = self.fabric.clip_gradients(wrapped, optimiser, max_norm=self.settings.clip, error_if_nonfinite=False)
            if not math.isfinite(float(norm if norm is not None else 0.0)):
                raise self._diverged("the gradient is not a number", step, parts)
        optimiser.step()
        optimiser.zero_grad()
        return total

    def _diverged(self, what: str, step: int, parts: Sequence[Sequence[Visit]]) -> Diverged:
        recordings, tracks = self.train[0].recordings.tracks, self.train[0].rows.tracks
        ids = [recordings[int(tracks[row])].id for part in parts for row, _ in part]
        return Diverged(f"{what} at step {step} (with {named(ids)}); lower the learning rate (training.lr)")

    def _parts(self, step: int) -> list[list[Visit]]:
        """This process's rows of a step, in as many parts as are accumulated."""
        mine = self.order.step(step)[self.fabric.global_rank :: self.fabric.world_size]
        return [mine[number :: self.n_parts] for number in range(self.n_parts)]

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
        try:
            found = scores(self.model, examples, source, self.compute) if len(examples) else {}
        except NotANumber as error:
            raise Diverged(
                f"{error} (validation at step {progress.step}); lower the learning rate (training.lr)"
            ) from error
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
            return Progress(0, None, math.nan, 0, [], self._in_room(self._peak_memory_bytes))
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

    def _peak_memory_bytes(self) -> int:
        """Of one part of the first step, computed as in training."""
        part = self._parts(0)[0]
        targets = self._targets(part)
        counts = {name: value.clamp_min(1) for name, value in targets.counts(self.model).items()}
        self.model.train()
        return peak_memory_bytes(self.model, lambda: self._loss(self.model, part, targets, counts))


def _step_of(line: str) -> int:
    """The step of a line of the log; -1 for one that was not written to its end."""
    try:
        return int(json.loads(line)["step"]) if line.endswith("\n") else -1
    except (ValueError, LookupError, TypeError):
        return -1
