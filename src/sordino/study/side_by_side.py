"""Many runs: the frozen part computed once for all of them, then several at a time, each in a process of its own."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from threading import Thread
from typing import Any

import torch

from sordino.backbones import load_backbone
from sordino.compute import Compute
from sordino.config import Config
from sordino.contracts import Backbone
from sordino.memory import keep_freed_memory
from sordino.study.on_ray import train_on_ray
from sordino.training.filling import fill
from sordino.training.plan import Plan, Run, open_run, probe_before, with_config
from sordino.training.run import carry_out, train
from sordino.training.splits import Advance, silent

RUN_BYTES = 2 << 30  # that a run may need beside weights, gradients and moments
TELL_S = 0.2  # between two words of progress from a worker


def usual_jobs(configs: Sequence[Config]) -> int:
    """As many runs at a time as PyTorch has threads; one where something else than the processor computes them."""
    alone = any(
        config.training.devices > 1 or Compute.choose(config.training.accelerator).device.type != "cpu"
        for config in configs
    )
    return 1 if alone or "WORLD_SIZE" in os.environ else torch.get_num_threads()


def run_all(
    configs: Sequence[Config],
    out: str | Path,
    advance: Advance = silent,
    jobs: int = 1,
    before: Callable[[list[Plan]], None] | None = None,
    ray: str | None = None,
) -> list[Run]:
    """Train every config (those that are finished are only read).

    Args:
        configs: the runs.
        out: where run folders lie.
        advance: progress.
        jobs: runs at a time, fewer where the memory does not hold so many; they share PyTorch's threads. A program that
            asks for more than one must not start anything when it is imported (`if __name__ == "__main__"`).
        before: called with the runs that are not finished, before anything is computed.
        ray: address of a cluster that trains them, `local` for one on this machine; None to train them here.

    Returns:
        The runs, in the order of the configs.
    """
    plans, first = open_all(configs, out, advance, before, stored=ray is None)
    for stage in (*first, plans):
        todo = list({plan.folder: plan for plan in stage if plan.finished() is None}.values())
        if ray is not None and todo:
            train_on_ray(todo, ray, advance)
            continue
        at_once = min(jobs, len(todo), *(_room(plan.backbone) for plan in todo)) if todo else 1
        if at_once > 1:
            _in_workers(todo, at_once, advance)
    runs = []
    for number, plan in enumerate(plans):
        advance("runs", number, len(plans))
        runs.append(carry_out(plan, advance))  # what is finished is read
    advance("runs", len(plans), len(plans))
    return runs


def open_all(
    configs: Sequence[Config],
    out: str | Path,
    advance: Advance = silent,
    before: Callable[[list[Plan]], None] | None = None,
    stored: bool = True,
) -> tuple[list[Plan], list[list[Plan]]]:
    """Open runs, each dataset and backbone once, and store the states that several of them will read.

    Arguments are those of `run_all`, and `stored`: whether the states are stored here.

    Returns:
        The runs, and those that have to go first, in stages: each needs only those in stages before it.
    """
    backbones: dict[str, Backbone] = {}
    groups: dict[str, list[Plan]] = defaultdict(list)
    plans, probes = [], []
    for config in configs:
        plain = config.resolved()
        group = groups[json.dumps([plain[name] for name in ("data", "root", "test", "folds", "task", "backbone")])]
        if group:
            plan = with_config(group[0], config)
        else:
            spec = json.dumps(plain["backbone"])
            if spec not in backbones:
                backbones[spec] = load_backbone(**plain["backbone"])
            plan = open_run(config, out, advance, backbone=backbones[spec])
        plans.append(plan)
        probe = probe_before(plan)
        probes += [probe] if probe else []
        group += [plan, probe] if probe else [plan]
    if before and (todo := [plan for plan in plans if plan.finished() is None]):
        before(todo)
    for group in groups.values() if stored else ():
        fill(group, advance)
    return plans, [[first for plan in plans for first in plan.before], probes]


def _room(backbone: Backbone) -> int:
    """How many runs the memory holds that the system says it could give."""
    try:
        told = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        free = int(told["MemAvailable"].split()[0]) << 10
    except (OSError, KeyError, ValueError):  # another system
        return os.cpu_count() or 1
    return max(1, free // (RUN_BYTES + 4 * sum(p.numel() * p.element_size() for p in backbone.parameters())))


def _in_workers(plans: Sequence[Plan], jobs: int, advance: Advance) -> None:
    """Train in processes, which map one copy of each backbone into their memory."""
    context = get_context("spawn")  # a forked process could not start threads of OpenMP
    told = context.SimpleQueue()
    listener = Thread(target=_listen, args=(told, advance), daemon=True)
    listener.start()
    threads = max(1, torch.get_num_threads() // jobs)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="sordino-") as folder,
            ProcessPoolExecutor(jobs, context, _begin, (told, threads)) as pool,
        ):
            files = _written(plans, Path(folder))
            found = [pool.submit(_train, plan.config, plan.folder.parent, files[id(plan.backbone)]) for plan in plans]
            try:
                for number, run in enumerate(as_completed(found)):
                    advance("runs", number, len(found))
                    run.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        told.put(None)
        listener.join()


def _written(plans: Sequence[Plan], folder: Path) -> dict[int, Path]:
    """A file for each backbone, by its `id`, for workers to map."""
    files: dict[int, Path] = {}
    for plan in plans:
        if id(plan.backbone) not in files:
            files[id(plan.backbone)] = folder / f"{len(files)}.pt"
            torch.save(plan.backbone, files[id(plan.backbone)])
    return files


def _listen(told: Any, advance: Advance) -> None:
    """Pass on what workers tell."""
    numbers: dict[int, int] = {}
    while (news := told.get()) is not None:
        worker, what, done, total = news
        advance(f"{numbers.setdefault(worker, len(numbers) + 1)}: {what}", done, total)


_told: Any = None  # in a worker: where progress goes


def _begin(told: Any, threads: int) -> None:
    global _told
    _told = told
    keep_freed_memory()
    torch.set_num_threads(threads)


def _train(config: Config, out: Path, backbone: Path) -> None:
    """One run, in a worker."""
    last = 0.0

    def advance(what: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > TELL_S:
            last = time.monotonic()
            _told.put((os.getpid(), what, done, total))

    network = torch.load(backbone, mmap=True, weights_only=False)  # written by this very program
    train(config, out, advance, backbone=network)
