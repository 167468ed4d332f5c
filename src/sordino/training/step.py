"""One step of the optimiser: in parts, over processes, in as many parts as the memory has room for.

A step's rows are shared among processes and then among `accumulate` parts; what a loss divides by is counted over the
whole step, so that the gradient is that of one large batch (but for BatchNorm and dropout). Every draw of a step
(order, dropout, crops) is seeded by the run's seed and the step's number.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from lightning_fabric import Fabric
from torch import Tensor

from sordino.compute import Compute
from sordino.config import Training
from sordino.memory import is_full, release
from sordino.model import Model
from sordino.training.cost import peak_memory_bytes
from sordino.training.devices import summed
from sordino.training.examples import Examples, Visit
from sordino.training.sampling import Order, class_balance
from sordino.training.sources import Source
from sordino.training.targets import Targets, batch_loss
from sordino.training.trouble import Diverged, named

T = TypeVar("T")


class Step:
    """Computes steps of a training.

    Args:
        model: what is trained.
        settings: how.
        seed: of everything drawn.
        train: examples and their source.
        fabric: processes.
        compute: device and precision.

    Attributes:
        notes: what a reader of the result must know: that the memory was full, ...

    Raises:
        ValueError: there is nothing to train on, or a step has fewer rows than there are parts of it.
    """

    def __init__(self, model: Model, settings: Training, seed: int, train: tuple[Examples, Source], fabric: Fabric,
                 compute: Compute):  # fmt: skip
        self.model, self.settings, self.seed = model, settings, seed
        self.examples, self.source = train
        self.fabric, self.compute = fabric, compute
        if not len(self.examples):
            raise ValueError("no training example: no track of the train split has a label for this task")
        self.n_parts, self.notes = settings.accumulate, list[str]()
        n_parts = fabric.world_size * settings.accumulate
        if settings.batch_size < n_parts:
            raise ValueError(f"batch_size = {settings.batch_size} gives {fabric.world_size} processes x "
                             f"{settings.accumulate} parts no row each; make it {n_parts} or more")  # fmt: skip
        weights = class_balance(self.examples) if settings.balanced else None
        self.order = Order(len(self.examples), settings.batch_size, seed, weights)

    def take(self, wrapped, optimiser, number: int, steps: int) -> float:
        """Take a step, in more parts where the memory is full; gives back its loss.

        Args:
            wrapped: the model as Fabric wrapped it.
            optimiser: as Fabric wrapped it.
            number: of the step, from 0.
            steps: how many there are at most.

        Raises:
            Diverged: the loss or the gradient is not a number.
            MemoryError: a single row has no room.
        """
        return self._in_room(lambda: self._taken(wrapped, optimiser, number, steps))

    def peak_memory_bytes(self) -> int:
        """Of one part of the first step, computed as in training."""
        return self._in_room(self._peak_memory_bytes)

    def note(self, text: str) -> None:
        """Tell something now, and in the result."""
        self.notes.append(text)
        print(text, file=sys.stderr)

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
            release()
            self.n_parts *= 2
            self.note(f"{self.compute.device} was full: a step of {self.settings.batch_size} rows is computed in "
                       f"{self.n_parts} parts")  # fmt: skip

    def _taken(self, wrapped, optimiser, step: int, steps: int) -> float:
        """The loss over all processes."""
        parts = self._parts(step)
        targets = [self._targets(part) for part in parts]
        counts = self._counts(targets)
        self.source.ahead([visit for part in parts for visit in part])
        if step + 1 < steps:
            self.source.ahead([visit for part in self._parts(step + 1) for visit in part])
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
        self.model.after_step(step + 1, steps)
        optimiser.zero_grad()
        return total

    def _diverged(self, what: str, step: int, parts: Sequence[Sequence[Visit]]) -> Diverged:
        recordings, tracks = self.examples.recordings.tracks, self.examples.rows.tracks
        ids = [recordings[int(tracks[row])].id for part in parts for row, _ in part]
        return Diverged(f"{what} at step {step} (with {named(ids)}); lower the learning rate (training.lr)")

    def _parts(self, step: int) -> list[list[Visit]]:
        """This process's rows of a step, in as many parts as are accumulated."""
        mine = self.order.step(step)[self.fabric.global_rank :: self.fabric.world_size]
        return [mine[number :: self.n_parts] for number in range(self.n_parts)]

    def _targets(self, part: Sequence[Visit]) -> Targets:
        """What rows shall answer."""
        examples, device = self.examples, self.compute.device
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
        """The loss of some rows of a step, with their share of what the methods add."""
        constant, mask = self.source(part)
        with self.compute.context():
            logits = wrapped(constant, mask)
        loss = batch_loss(self.model, logits, targets, counts, self.settings.loss_weights)
        return loss + self.model.penalty() / (self.n_parts * self.fabric.world_size)

    def _peak_memory_bytes(self) -> int:
        """Of one part of the first step, computed as in training."""
        part = self._parts(0)[0]
        targets = self._targets(part)
        counts = {name: value.clamp_min(1) for name, value in targets.counts(self.model).items()}
        self.model.train()
        return peak_memory_bytes(self.model, lambda: self._loss(self.model, part, targets, counts))
