"""A run: from a config to a folder with an adapter, a log and results. A finished run is never run twice.

runs/key-mini-lora-3f2a91c07b/
    config.json     everything resolved, written first
    log.jsonl       one line per validation
    checkpoint/     what a restarted process goes on from
    model.adapter/  the adapter file
    result.json     metrics with intervals, per-track scores, parameters, time, memory, versions; written last
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from sordino.adapter_file import save_adapter
from sordino.compute import Compute
from sordino.config import Config
from sordino.contracts import Backbone, Dataset
from sordino.files import write_json
from sordino.holding import held
from sordino.model import Model
from sordino.training.beginning import begin
from sordino.training.devices import Fabric, launched, wait
from sordino.training.evaluation import evaluate, evaluate_under, tune
from sordino.training.examples import Examples
from sordino.training.folds import scored_by_folds
from sordino.training.loggers import opened
from sordino.training.loop import Fitted, Loop
from sordino.training.plan import Plan, Run, open_run
from sordino.training.recordings import tell_left_out
from sordino.training.report import protocol, versions
from sordino.training.sources import Source
from sordino.training.splits import Advance, cut_splits, make_source, silent
from sordino.training.trained_on import trained_on
from sordino.training.trouble import check_broken, check_scorable, without_damaged

Tell = Callable[[str], None]


def mute(line: str) -> None:
    """A `Tell` that tells nobody."""


def train(
    config: Config,
    out: str | Path = "runs",
    advance: Advance = silent,
    dataset: Dataset | None = None,
    backbone: Backbone | None = None,
) -> Run:
    """Train, evaluate on the test split, and write the run's folder; continue where a former process stopped.

    Arguments and errors are those of `open_run`.
    """
    return carry_out(open_run(config, out, advance, dataset, backbone), advance)


def carry_out(plan: Plan, advance: Advance = silent, fabric: Fabric | None = None, tell: Tell = mute) -> Run:
    """Train and evaluate what was opened, unless it is finished; one process at a time, others wait for it.

    Args:
        plan: the run.
        advance: called with what is done, how far, of how much.
        fabric: devices and processes, launched already; None to launch them.
        tell: called with a line after each validation, and after each fold with the score so far.
    """
    if plan.folds and not plan.finished():
        plan = scored_by_folds(plan, lambda fold: carry_out(fold, advance), advance, tell)
    fabric = launched(plan.config.training) if fabric is None else fabric
    with held(plan.folder) if fabric.is_global_zero else nullcontext():
        wait(fabric)  # until the run is ours
        finished = plan.finished()
        wait(fabric)  # nobody begins to write before everybody has looked
        if finished and fabric.is_global_zero:  # killed, or the disk full, between the result and this
            shutil.rmtree(plan.folder / "checkpoint", ignore_errors=True)
        return finished or without_damaged(
            plan.known, plan.tracks, lambda known: _carried_out(replace(plan, known=known), advance, fabric, tell),
            lambda: shutil.rmtree(plan.folder / "checkpoint", ignore_errors=True),  # of other rows
        )  # fmt: skip


def _carried_out(plan: Plan, advance: Advance, fabric: Fabric, tell: Tell) -> Run:
    """The run, carried out to its end; nobody else writes into its folder.

    Raises:
        AudioError: a file turns out to be damaged.
    """
    began = time.time()
    tell_left_out(plan.left_out)
    compute = Compute.choose(fabric.device, plan.config.training.precision)
    begun = begin(plan, lambda first: carry_out(first, advance, fabric))
    model = begun.model.to(fabric.device)
    if fabric.is_global_zero:
        write_json(plan.folder / "config.json", plan.config.resolved())
    splits = cut_splits(plan.tracks, plan.known, model, plan.config.training, plan.config.seed)
    check_broken(splits, plan.config.most_broken)
    if plan.scored is None:
        check_scorable(splits["test"], model.tasks)

    def source(examples: Examples, name: str) -> Source:
        return make_source(model, examples, compute, begun.fingerprint, plan.config.training, advance, name)

    sources = {name: source(examples, name) for name, examples in splits.items()}
    names = plan.config.training.loggers if fabric.is_global_zero else []
    with opened(names, plan.folder, plan.config.resolved()) as log:
        loop = Loop(
            model, plan.config.training, plan.config.seed, (splits["train"], sources["train"]),
            (splits["validation"], sources["validation"]), plan.folder, fabric, compute, begun.trained,
            lambda step, steps, loss: advance(f"train (loss {loss:.3f})", step, steps), also_told(log, tell),
        )  # fmt: skip
        fitted = loop.run()
    result = result_of(plan, model, splits, sources, compute, fitted)
    if plan.config.under:
        result["under"] = evaluate_under(plan.config.under, model, splits["test"], source, compute)
    result["seconds"] = round(time.time() - began, 2)
    result["train_cpu_s"] = round(begun.cpu_s + fitted.cpu_s, 3)
    if fabric.is_global_zero:
        save(plan, model, splits, result)
    wait(fabric)
    model.detach()
    return Run(plan.folder, json.loads((plan.folder / "result.json").read_text(encoding="utf-8")))


def also_told(
    log: Callable[[int, Mapping[str, float]], None], tell: Tell
) -> Callable[[int, Mapping[str, float]], None]:
    """A log of validations that tells their scores in a line too."""

    def noted(step: int, values: Mapping[str, float]) -> None:
        log(step, values)
        scores = [f"{name.partition('/')[2]} {value:.3f}" for name, value in values.items() if "/" in name]
        if scores:
            tell(f"step {step:,}: validation {', '.join(scores)}")

    return noted


def result_of(
    plan: Plan,
    model: Model,
    splits: Mapping[str, Examples],
    sources: Mapping[str, Source],
    compute: Compute,
    fitted: Fitted,
) -> dict[str, Any]:
    """Scores of the test split and what they depend on: the contents of `result.json`."""
    tune(model, splits["validation"], sources["validation"], compute)
    return {
        "config": plan.config.resolved(),
        "identity": plan.identity,
        "protocol": protocol(plan.dataset, splits, model, compute),
        **(plan.scored or {"tasks": evaluate(model, splits["test"], sources["test"], compute)}),
        "parameters": model.count(),
        "weights": plan.backbone.weights,
        "steps": fitted.steps,
        "best_step": fitted.best_step,
        "best_validation": fitted.best_score,
        "step_s": fitted.step_s,
        "peak_memory_bytes": fitted.peak_memory_bytes,
        "broken": [line for examples in splits.values() for line in examples.recordings.broken],
        "left_out": plan.left_out,
        "notes": fitted.notes,
        "versions": versions(),
    }


def save(plan: Plan, model: Model, splits: Mapping[str, Examples], result: Mapping[str, Any]) -> None:
    """Write the adapter, then the result, and remove the checkpoint."""
    about = {"metrics": {name: row["metrics"] for name, row in result["tasks"].items()}, "data": plan.dataset.name,
             "protocol": result["protocol"], "config": result["config"],
             "trained_on": trained_on(splits["train"].recordings)}  # fmt: skip
    segment_s = splits["train"].grid.length_samples / model.backbone.sample_rate_hz
    spec = plan.config.resolved()["backbone"]
    save_adapter(model, plan.folder / "model.adapter", spec, plan.fingerprint, segment_s, about)
    write_json(plan.folder / "result.json", result)
    shutil.rmtree(plan.folder / "checkpoint", ignore_errors=True)
