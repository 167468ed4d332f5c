"""What the rows of a step shall answer, and what a model loses by its answers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sordino.model import Model


@dataclass
class Targets:
    """What some rows of a step shall answer.

    Attributes:
        values: by task, [row label] or [row frame label], of the rows that have a label.
        present: by task, [row], which those are.
        mask: [row frame], which frames are real.
    """

    values: dict[str, Tensor]
    present: dict[str, Tensor]
    mask: Tensor

    def counts(self, model: Model) -> dict[str, Tensor]:
        """By task, what its loss divides by."""
        return {
            name: model.tasks[name].counts(value, self.mask[self.present[name]]) for name, value in self.values.items()
        }


def batch_loss(
    model: Model, logits: dict[str, Tensor], targets: Targets, counts: dict[str, Tensor], weights: dict[str, float]
) -> Tensor:
    """The weighted sum of the tasks' losses over the rows that have a label.

    Args:
        model: whose tasks.
        logits: by task.
        targets: of the same rows.
        counts: by task, what its loss divides by, over the whole step.
        weights: by task; 1 for those not named.
    """
    total = 0.0 * torch.stack([value.float().sum() for value in logits.values()]).sum()
    for name, target in targets.values.items():
        task, rows = model.tasks[name], targets.present[name]
        mask = targets.mask[rows] if task.level == "frame" else None
        loss = task.loss(logits[name].float()[rows], target, mask, counts[name])
        total = total + weights.get(name, 1.0) * loss
    return total
