"""Runs of a study on the machines of a cluster, one task of Ray each.

Data and weights must be readable on every machine under the same paths. Run folders need not be: what a machine wrote
into its own is brought back. A run whose worker dies is taken up again, from its checkpoint where it can be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from sordino.cluster import connect
from sordino.config import make_config
from sordino.files import one_line, write_bytes, write_folder
from sordino.training.plan import Plan
from sordino.training.run import train
from sordino.training.splits import Advance, silent

RETRIES = 5  # of a run whose worker died; an error of the run itself ends the study


def train_on_ray(plans: Sequence[Plan], address: str, advance: Advance = silent, threads: int = 1) -> None:
    """Train runs side by side, as many as the cluster has cores for.

    Args:
        plans: opened, not finished, none needing another.
        address: see `connect`.
        advance: progress.
        threads: of each run.

    Raises:
        ImportError: Ray is not installed.
        RuntimeError: workers of a run died again and again.
    """
    ray = connect(address)
    task = ray.remote(num_cpus=threads, max_retries=RETRIES)(_train)
    waiting = {task.remote(plan.config.resolved(), str(plan.folder.parent.resolve()), threads): plan for plan in plans}
    while waiting:
        advance("runs", len(plans) - len(waiting), len(plans))
        (done,), _ = ray.wait(list(waiting), num_returns=1)
        plan = waiting.pop(done)
        try:
            files = ray.get(done)
        except ray.exceptions.RayTaskError as error:
            raise error.as_instanceof_cause() from None
        except ray.exceptions.RayError as error:
            told = f"{plan.folder.name}: its worker died {RETRIES + 1} times ({one_line(error, 160)})"
            raise RuntimeError(told) from error
        if plan.finished() is None:
            _bring(files, plan.folder)


def _train(config: dict[str, Any], out: str, threads: int) -> dict[str, bytes]:
    """One run, on a worker; gives back the files of its folder."""
    torch.set_num_threads(threads)
    folder = train(make_config(config, "the study"), out).folder
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _bring(files: dict[str, bytes], folder: Path) -> None:
    """Write the folder of a run that another machine has trained."""

    def fill(part: Path) -> None:
        for name, content in files.items():
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            write_bytes(part / name, content)

    write_folder(folder, fill)
