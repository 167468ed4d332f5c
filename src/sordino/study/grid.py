"""A study: one run for every point of a grid, and one row for every point that differs by more than its seed.

    data = "demo"
    [grid]
    task = ["key", "tempo"]
    method = ["probe", {name = "lora", r = 4}]
    seed = [0, 1, 2]

Every run lies in a folder named by its settings, so a study that was stopped goes on, and one that grew computes only
what is new.
"""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sordino.config import Config, build, override, specs
from sordino.training.run import Run, train


@dataclass
class Row:
    """One line of a table: a point of the grid, its seeds taken together.

    Attributes:
        name: what it is, short.
        task: the task that was scored.
        metric: the metric's name.
        scores: one for each seed.
        interval: the ends of the 95 % interval over tracks, averaged over seeds.
        n_tracks: test tracks.
        weights: the backbone's weights, in words; empty where there is no backbone.
        parameters: what the method trains, head not counted; None where nothing is trained.
        share: of the backbone's parameters.
        step_s: median seconds per training step.
        peak_memory_bytes: of a training step.
        metrics: all metrics, means over seeds.
        kept_start: no step of any seed was better on the validation tracks than what it began with.
    """

    name: str
    task: str
    metric: str
    scores: list[float]
    interval: tuple[float, float]
    n_tracks: int
    weights: str = ""
    parameters: int | None = None
    share: float | None = None
    step_s: float | None = None
    peak_memory_bytes: float | None = None
    metrics: Mapping[str, float] | None = None
    kept_start: bool = False

    @property
    def score(self) -> float:
        """Mean over seeds."""
        return float(np.mean(self.scores))


def read_study(path: str | Path, assignments: Iterable[str] = ()) -> list[Config]:
    """The configs of a study file, in the order of its grid (the last key varies fastest).

    Raises:
        ValueError: the file is not TOML, has no `[grid]`, or a config in it is wrong.
    """
    try:
        plain = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not valid TOML: {error}") from error
    grid = plain.pop("grid", None)
    if not grid:
        raise ValueError(f'{path} has no [grid]; it names what varies, for example method = ["probe", "lora"]')
    plain = override(plain, assignments)
    points = itertools.product(*grid.values())
    return [build(Config, {**plain, **dict(zip(grid, point, strict=True))}, str(path)) for point in points]


def run_all(
    configs: Iterable[Config], out: str | Path, advance: Callable[[str, int, int], None], **shared: Any
) -> list[Run]:
    """Train every config (those that are finished are only read).

    Args:
        configs: the runs.
        out: where run folders lie.
        advance: progress.
        **shared: a dataset or backbone that is open already.
    """
    configs = list(configs)
    runs = []
    for number, config in enumerate(configs):
        advance("runs", number, len(configs))
        runs.append(train(config, out, advance, **shared))
    advance("runs", len(configs), len(configs))
    return runs


def rows_of(runs: Iterable[Run], name: Callable[[dict[str, Any]], str] | None = None) -> list[Row]:
    """One row for each task and point of the grid; runs that differ only by their seed share one.

    Args:
        runs: finished runs.
        name: a row's name from a run's resolved config; None for method and whatever options it was given.
    """
    grouped: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for run in runs:
        label = (name or describe)(run.result["config"])
        for task in run.result["tasks"]:
            grouped.setdefault((task, label), []).append(run.result)
    return [_row(label, task, results) for (task, label), results in grouped.items()]


def describe(config: Mapping[str, Any]) -> str:
    """Method and options in a few words; the backbone when it is not the pretrained built-in one."""
    words = []
    for spec in specs(config["method"], "method"):
        options = ", ".join(f"{key} {value}" for key, value in spec.items() if key != "name")
        words.append(spec["name"] + (f" ({options})" if options else ""))
    backbone = config["backbone"]
    told = {key: value for key, value in backbone.items() if not (key == "name" and value == "mini")}
    where = ", ".join(str(value) if key in ("name", "weights") else f"{key} {value}" for key, value in told.items())
    return " + ".join(words) + (f" on {where}" if where else "")


def plain_row(name: str, task: str, scored: Mapping[str, Any]) -> Row:
    """A row for a baseline that trains nothing."""
    metric = scored["metric"]
    return Row(name, task, metric, [scored["metrics"][metric]], tuple(scored["interval"]), scored["n_tracks"],
               metrics=scored["metrics"])  # fmt: skip


def _row(label: str, task: str, results: list[dict[str, Any]]) -> Row:
    scored = [result["tasks"][task] for result in results]
    metric = scored[0]["metric"]
    ends = np.mean([row["interval"] for row in scored], axis=0)
    first = results[0]
    return Row(
        label, task, metric, [row["metrics"][metric] for row in scored], (float(ends[0]), float(ends[1])),
        scored[0]["n_tracks"], first["weights"], first["parameters"]["method"], first["parameters"]["share"],
        float(np.median([r["step_s"] for r in results])), float(np.mean([r["peak_memory_bytes"] for r in results])),
        {name: float(np.mean([row["metrics"][name] for row in scored])) for name in scored[0]["metrics"]},
        all(result["best_step"] == 0 for result in results),
    )  # fmt: skip
