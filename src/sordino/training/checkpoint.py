"""Checkpoints of a run: one file, replaced in one move, read without unpickling code."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sordino.files import write_stream


@dataclass
class Progress:
    """Where a run stands.

    Attributes:
        step: optimiser steps done.
        trained: the trained tensors (`Model.trained_state`).
        optimiser: the optimiser's state.
        best: the trained tensors of the best validation so far; None before the first.
        best_score: its score.
        best_step: its step.
        seconds: duration of every step that was measured.
        peak_memory_bytes: of a step, measured at the start.
    """

    step: int
    trained: dict[str, Tensor]
    optimiser: dict[str, Any]
    best: dict[str, Tensor] | None
    best_score: float
    best_step: int
    seconds: list[float]
    peak_memory_bytes: int


def save_progress(progress: Progress, path: Path) -> None:
    """Write it so that there is always one whole file."""
    write_stream(path, lambda file: torch.save(asdict(progress), file))


def load_progress(path: Path) -> Progress | None:
    """Read it; None when there is none."""
    if not path.is_file():
        return None
    return Progress(**torch.load(path, map_location="cpu", weights_only=True))
