"""How long a run trains, and at which rate."""

from __future__ import annotations

import math

from sordino.config import Training

PASSES, PASSES_OF_HEADS = 20, 200  # over the rows; heads alone cost next to nothing on stored states
FEWEST_STEPS, MOST_STEPS = 100, 20_000
VALIDATIONS = 20  # in a run
PATIENCE = 6  # of them


def learning_rate(step: int, steps: int, lr: float, lr_min: float, schedule: str) -> float:
    """The rate of a step (from 0): constant, or half a cosine from `lr` down to `lr_min`; never above `lr`."""
    if schedule == "constant":
        return lr
    lr_min = min(lr_min, lr)
    return lr_min + 0.5 * (lr - lr_min) * (1 + math.cos(math.pi * step / max(1, steps)))


class Schedule:
    """The steps of a run.

    Args:
        settings: those of the run; what they leave open is decided by the data.
        n_rows: rows to train on.
        heads_only: nothing but heads is computed in a step.

    Attributes:
        steps: as many as set, or so many passes over the rows.
        validate_every: steps between two validations.
        patience: steps without a better score after which training stops; infinite for never.
    """

    def __init__(self, settings: Training, n_rows: int, heads_only: bool):
        wanted = math.ceil((PASSES_OF_HEADS if heads_only else PASSES) * n_rows / settings.batch_size)
        self.steps = settings.steps or min(MOST_STEPS, max(FEWEST_STEPS, wanted))
        self.validate_every = settings.validate_every or max(1, self.steps // VALIDATIONS)
        usual = None if settings.steps else PATIENCE
        validations = usual if settings.patience is None else settings.patience
        self.patience = math.inf if validations is None else validations * self.validate_every

    def ends(self, step: int, best_step: int) -> bool:
        """Whether training stops at a step, the best one so far being `best_step`."""
        return step >= self.steps or step - best_step >= self.patience
