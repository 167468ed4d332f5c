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
    """Where a run stands; everything lies on the host.

    Attributes:
        step: optimiser steps done.
        best: the trained tensors of the best validation so far; None before the first.
        best_score: its score.
        best_step: its step.
        seconds: duration of every step that was measured.
        peak_memory_bytes: of a step, measured at the start.
        cpu_s: CPU seconds of all steps, of all threads of this process.
    """

    step: int
    best: dict[str, Tensor] | None
    best_score: float
    best_step: int
    seconds: list[float]
    peak_memory_bytes: int
    cpu_s: float = 0.0


@dataclass
class Checkpoint:
    """What a restarted process goes on from.

    Attributes:
        progress: where the run stands.
        trained: the trained tensors (`Model.trained_state`).
        optimiser: the optimiser's state.
    """

    progress: Progress
    trained: dict[str, Tensor]
    optimiser: dict[str, Any]


class BrokenCheckpoint(ValueError):
    """A checkpoint that cannot be gone on from; says which, and how to begin anew."""

    def __init__(self, path: Path, error: Exception):
        told = " ".join(str(error).split())[:100]
        super().__init__(f"{path}: a broken checkpoint ({type(error).__name__}: {told}); delete it to begin anew")


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write it so that there is always one whole file."""
    write_stream(path, lambda file: torch.save(asdict(checkpoint), file))


def load_checkpoint(path: Path) -> Checkpoint | None:
    """Read it to the host; None when there is none.

    Raises:
        BrokenCheckpoint: it cannot be read.
    """
    if not path.is_file():
        return None
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        return Checkpoint(Progress(**found["progress"]), dict(found["trained"]), dict(found["optimiser"]))
    except MemoryError:
        raise
    except Exception as error:  # zip, pickle and torch raise many kinds
        raise BrokenCheckpoint(path, error) from error
