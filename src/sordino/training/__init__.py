"""Training: data, loop, checkpoints, runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sordino.config import load_config
from sordino.training.plan import Run
from sordino.training.run import train

__all__ = ["Run", "adapt", "train"]


def adapt(
    data: str | Path = "demo",
    task: Any = "key",
    method: Any = "lora",
    backbone: Any = "mini",
    out: str | Path = "runs",
    **settings: Any,
) -> Run:
    """Adapt a frozen music model to labelled music, evaluate it, and write a run folder.

    Args:
        data: a named dataset, or a path to your own.
        task: what is learned: a name, a table with options, or several.
        method: what is attached and trained: a name (`lora`, `lora+prefix`), a table with options, or several.
        backbone: the frozen model, a name or a table with options.
        out: where run folders lie.
        **settings: other keys of a config (`seed`, `head`, `training`).

    Returns:
        The run: its folder, its result, its adapter.

    Raises:
        ValueError: a wrong setting, label or split; says which.
        FileNotFoundError: the data or the weights are not on this machine.
    """
    config = load_config(None, (), data=str(data), task=task, method=method, backbone=backbone, **settings)
    return train(config, out)
