"""A row of a study's table: runs that differ by nothing but their seed, taken together."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from sordino.config import Config, make_config
from sordino.petl import whole_methods
from sordino.study.names import row_names
from sordino.training.plan import Run, finished_runs

SAME_COST = ("data", "task", "backbone")  # and, of `training`:
SAME_STEP = ("batch_size", "segment_s", "precision", "accelerator", "devices")


@dataclass
class Row:
    """One line of a table.

    Attributes:
        name: what it is, short: the method, and whatever else differs from the other rows of its task.
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
        beside: those that stand beside the score in tables.
        kept_start: no step of any seed was better on the validation tracks than what it began with.
        config: the resolved config without the seed; empty where nothing is trained.
        tracks: a hash of the names of the test tracks that have a label; empty where they are not told.
        machine: what computed it; costs are compared on one machine only.
        n_train: training tracks; None where nothing is trained.
        train_cpu_s: CPU seconds of all training steps, mean over seeds; None where nothing is trained.
        resamples: the metric on resampled tracks, mean over seeds, [draw]; None where a run has none.
        by_track: the metric of each test track, mean over seeds; empty where it is none of tracks.
        tables: what the task tells beside (scores by tag, ...), of the first seed.
        answers: what was asked and answered on each track, of all seeds.
        under: by change of the sound, the score, and the 95 % interval of what it is less than on the sound as it is.
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
    metrics: Mapping[str, float] = field(default_factory=dict)
    beside: tuple[str, ...] = ()
    kept_start: bool = False
    config: Mapping[str, Any] = field(default_factory=dict)
    tracks: str = ""
    machine: str = ""
    n_train: int | None = None
    train_cpu_s: float | None = None
    resamples: Float[np.ndarray, " draw"] | None = field(default=None, compare=False)
    by_track: Mapping[str, float] = field(default_factory=dict)
    tables: Mapping[str, Any] = field(default_factory=dict)
    answers: Sequence[tuple[Any, Any]] = ()
    under: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """Mean over seeds."""
        return float(np.mean(self.scores))

    @property
    def is_full(self) -> bool:
        """Whether it is full fine-tuning, what the others' costs are compared with."""
        return [spec["name"] for spec in self.config.get("method", ())] == ["finetune"]

    def costs_like(self, other: Row) -> bool:
        """Whether a step of both does the same work but for the method, on the same machine."""
        mine, theirs = (
            [row.config.get(key) for key in SAME_COST] + [row.config.get("training", {}).get(key) for key in SAME_STEP]
            for row in (self, other)
        )
        return bool(self.config) and mine == theirs and self.machine == other.machine


def rows_of(runs: Iterable[Run], names: Sequence[str] | None = None) -> list[Row]:
    """One row for each task and config without its seed, in the order of the runs; tasks in the order they are met.

    Args:
        runs: finished runs.
        names: the name of each run's row; None for what differs between them (`row_names`).
    """
    groups: dict[str, dict[int, dict[str, Any]]] = {}
    given: dict[str, str] = {}
    for number, run in enumerate(runs):
        key = same_but_for_seed(run.result["config"])
        groups.setdefault(key, {}).setdefault(run.result["config"]["seed"], run.result)
        given.setdefault(key, names[number] if names else "")
    whole = {key: list(seeds.values()) for key, seeds in groups.items()}
    rows = []
    for task in dict.fromkeys(task for results in whole.values() for task in _tasks(results[0])):
        own = {key: results for key, results in whole.items() if task in _tasks(results[0])}
        found = [given[key] for key in own] if names else row_names([json.loads(key) for key in own])
        rows += [_row(name, task, results) for name, results in zip(found, own.values(), strict=True)]
    return rows


def finished_of(configs: Iterable[Config], out: str | Path) -> list[Run]:
    """Those runs of a study that are finished, in the order of their configs; neither data nor weights are opened.

    Runs of an earlier version are known by the settings there were; one that cannot be read any more is none of them.
    """
    known = {}
    for run in finished_runs([out]):
        with suppress(ValueError):
            known[_deciding(make_config(run.result["config"]))] = run
    return [known[key] for key in map(_deciding, configs) if key in known]


def _deciding(config: Config) -> tuple[str, int]:
    settings = config.deciding()
    return same_but_for_seed(settings), settings["seed"]


def same_but_for_seed(config: Mapping[str, Any]) -> str:
    """What is equal for two resolved configs that differ by nothing but their seed, as JSON."""
    whole = {**config, "method": whole_methods(config["method"])}
    return json.dumps({key: value for key, value in whole.items() if key != "seed"}, sort_keys=True)


def plain_row(name: str, task: str, scored: Mapping[str, Any]) -> Row:
    """A row for a baseline that trains nothing."""
    metric = scored["metric"]
    return Row(name, task, metric, [_number(scored["metrics"][metric])], _interval([scored]), scored["n_tracks"],
               metrics=_numbers([scored]), beside=tuple(scored.get("beside", ())), **_tracks([scored]))  # fmt: skip


def _tasks(result: Mapping[str, Any]) -> list[str]:
    """The tasks of a run, in the order of its config."""
    return [spec["name"] for spec in result["config"]["task"]]


def _row(name: str, task: str, results: list[dict[str, Any]]) -> Row:
    scored = [result["tasks"][task] for result in results]
    metric, first = scored[0]["metric"], results[0]
    versions = {key: value for key, value in first["versions"].items() if key != "sordino"}
    return Row(
        name, task, metric, [_number(row["metrics"][metric]) for row in scored], _interval(scored),
        scored[0]["n_tracks"], first["weights"], first["parameters"]["method"], first["parameters"]["share"],
        float(np.median([_number(r["step_s"]) for r in results])),
        float(np.mean([_number(r["peak_memory_bytes"]) for r in results])),
        _numbers(scored), tuple(scored[0].get("beside", ())),
        all(result["best_step"] == 0 for result in results),
        {key: value for key, value in first["config"].items() if key != "seed"},
        machine=json.dumps(versions, sort_keys=True), n_train=first["protocol"].get("tracks", {}).get("train"),
        train_cpu_s=_mean([result.get("train_cpu_s") for result in results]), under=_under(results, task),
        **_tracks(scored),
    )  # fmt: skip


def _under(results: Sequence[Mapping[str, Any]], task: str) -> dict[str, tuple[float, float, float]]:
    """What changes of the sound cost, over the resamples of tracks that both have."""
    found = {}
    for name in results[0].get("under", {}):
        changed, plain = [result["under"][name][task] for result in results], [r["tasks"][task] for r in results]
        draws = [np.array([[_number(each) for each in row["resamples"]] for row in rows]) for rows in (plain, changed)]
        low, high = np.nanpercentile((draws[0] - draws[1]).mean(0), [2.5, 97.5])
        score = float(np.mean([_number(row["metrics"][row["metric"]]) for row in changed]))
        found[name] = (score, float(low), float(high))
    return found


def _mean(values: Sequence[float | None]) -> float | None:
    return None if None in values else float(np.mean([value for value in values if value is not None]))


def _tracks(scored: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What comparisons and plots need of the test tracks."""
    drawn = [row.get("resamples") for row in scored]
    whole = None if None in drawn else np.mean([[_number(each) for each in own] for own in drawn if own], axis=0)
    metric, per_track = scored[0]["metric"], [row.get("per_track", []) for row in scored]
    by_track: dict[str, list[float]] = {}
    for own in per_track:
        for track in own:
            if metric in track:
                by_track.setdefault(track["id"], []).append(_number(track[metric]))
    names = "\n".join(str(track["id"]) for track in per_track[0])
    return {
        "tracks": hashlib.sha256(names.encode()).hexdigest()[:12] if names else "",
        "resamples": whole,
        "by_track": {name: float(np.mean(values)) for name, values in by_track.items()},
        "tables": scored[0].get("tables", {}),
        "answers": [(track["reference"], track["estimated"]) for own in per_track for track in own],
    }


def _numbers(scored: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """All metrics, means over seeds."""
    return {each: float(np.mean([_number(row["metrics"][each]) for row in scored])) for each in scored[0]["metrics"]}


def _interval(scored: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    low, high = np.mean([[_number(end) for end in row["interval"]] for row in scored], axis=0)
    return float(low), float(high)


def _number(value: float | None) -> float:
    """A number of `result.json`, where null stands for what is undefined."""
    return math.nan if value is None else float(value)
