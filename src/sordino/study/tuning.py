"""Settings searched for each row of a study, with the same budget for every row, so that none wins by tuning.

    [search]
    candidates = 8                 # for each row; the first is the row as it stands
    rungs = [0.25, 1.0]            # shares of training.steps; after each but the last, one in `keep` goes on
    keep = 4
    [search.over]
    "training.lr" = {low = 1e-4, high = 1e-2, log = true}
    "method.r" = [1, 2, 4, 8]      # where a method has this option

Candidates are judged on the validation split with the first seed of the row; the best one's settings are then trained
with every seed. The test split plays no part. Successive halving: Jamieson and Talwalkar, Non-stochastic Best Arm
Identification and Hyperparameter Optimization, 2016 (arXiv 1502.07943). `by = "tpe"` lets Optuna (extra `search`)
choose each candidate from the ones before it, all trained whole: Bergstra et al., Algorithms for Hyper-Parameter
Optimization, 2011.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np

from sordino.config import Config, make_config, override, read_toml
from sordino.registry import find
from sordino.rules import Count, Filled, Share
from sordino.settings import Settings, build, settings
from sordino.study.grid import put
from sordino.study.names import row_names, short
from sordino.study.rows import same_but_for_seed
from sordino.training.plan import Run

Chosen = dict[str, Any]  # settings by dotted key
RunAll = Callable[[Sequence[Config]], list[Run]]


@dataclass
class Span(Settings):
    """Numbers between two others.

    Attributes:
        low: the least.
        high: the greatest.
        log: drawn evenly in their logarithm.
        whole: rounded.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"[search]: {self.low:g} to {self.high:g} is no range; low < high, and above 0 for log")

    def at(self, share: float) -> float | int:
        """The number at a share of the way."""
        ends = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        value = ends[0] + share * (ends[1] - ends[0])
        value = float(f"{math.exp(value) if self.log else value:.3g}")
        return round(value) if self.whole else value


@dataclass
class Search(Settings):
    """How settings are searched.

    Attributes:
        over: by dotted key, a list of values, or a range `{low, high, log, whole}`.
        candidates: for each row.
        rungs: shares of `training.steps` for which candidates are trained, the last 1.
        keep: after each rung but the last, one in so many goes on.
        by: `halving`: drawn at random, the worst left behind; `tpe`: chosen by Optuna, all trained whole.
        seed: of what is drawn.
    """

    over: dict[str, Any]
    candidates: Count = 8
    rungs: Annotated[list[Share], Filled()] = field(default_factory=lambda: [0.25, 1.0])
    keep: Count = 4
    by: Literal["halving", "tpe"] = "halving"
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for key, values in self.over.items():
            if isinstance(values, Mapping):
                self.over[key] = build(Span, values, f"search.over.{key}")
            elif not isinstance(values, list) or not values:
                raise ValueError(
                    f"[search.over] {key} = {values!r}: write a list of values, or {{low = .., high = ..}}"
                )
        if self.rungs != sorted(set(self.rungs)) or self.rungs[-1] != 1 or self.rungs[0] <= 0:
            raise ValueError(f"[search] rungs = {self.rungs}: shares of the steps, each greater, the last 1")

    @property
    def told(self) -> str:
        """What it costs, in words."""
        n, parts = self.candidates, []
        for share in self.rungs if self.by == "halving" else [1.0]:
            parts.append(f"{n} for {share:.0%} of the steps")
            n = math.ceil(n / self.keep)
        return f"candidates, {', then '.join(parts)}"


@dataclass
class Tuned:
    """What a search found for a row.

    Attributes:
        row: the row's config as it stood, with its first seed.
        chosen: settings of the best candidate.
        score: its validation score.
        n_candidates: how many there were.
        steps: that all of them were trained together.
    """

    row: Config
    chosen: Chosen
    score: float
    n_candidates: int
    steps: int


def read_search(path: str | Path, assignments: Iterable[str] = ()) -> Search | None:
    """The `[search]` of a study file, if it has one; arguments as of `read_study`."""
    values = override(read_toml(path), assignments).get("search")
    return None if values is None else build(Search, values, "search")


def searched(configs: Sequence[Config], search: Search, run_all: RunAll) -> tuple[list[Config], list[Tuned]]:
    """The configs of a study with the settings that a search finds best.

    Args:
        configs: of all rows and seeds.
        search: how.
        run_all: trains configs and gives back their runs, in order.

    Raises:
        ValueError: a row has no `training.steps`, nothing in `over` fits it, it has folds, or Optuna is not installed.
    """
    rows: dict[str, Config] = {}
    for config in configs:
        rows.setdefault(same_but_for_seed(config.resolved()), config)
    spaces = [_space(row, search) for row in rows.values()]
    trial = {"halving": _halving, "tpe": _tpe}[search.by]
    found = dict(zip(rows, trial(list(rows.values()), spaces, search, run_all), strict=True))
    chosen = [_with(config, found[same_but_for_seed(config.resolved())].chosen) for config in configs]
    return chosen, list(found.values())


def told_search(found: Sequence[Tuned]) -> list[str]:
    """A line for each row: what was chosen, from how many, at which cost."""
    names = row_names([{k: v for k, v in one.row.resolved().items() if k != "seed"} for one in found])
    words = [", ".join(f"{key} = {short(value)}" for key, value in one.chosen.items()) for one in found]
    return [f"search, {name}: {text or 'as it stands'} (validation {one.score:.3f}; {one.n_candidates} candidates, "
            f"{one.steps:,} steps)" for name, text, one in zip(names, words, found, strict=True)]  # fmt: skip


def _space(row: Config, search: Search) -> dict[str, Any]:
    """What may vary in a row: all of `over`, but options that none of its methods has."""
    if row.training.steps is None:
        raise ValueError("[search] shares out training.steps; say how many there are")
    if row.n_folds:
        raise ValueError("[search] is decided by a validation split, folds have none; leave one of the two out")
    options = {name for spec in row.resolved()["method"] for name in settings(find("method", spec["name"]))}
    space = {key: values for key, values in search.over.items()
             if not key.startswith("method.") or key.removeprefix("method.") in options}  # fmt: skip
    if not space:
        raise ValueError(f"[search.over] has nothing that {row.method} could vary; add training.lr, for example")
    return space


def _with(config: Config, chosen: Chosen, steps: int | None = None) -> Config:
    """A config with searched settings."""
    plain = config.resolved()
    for key, value in chosen.items():
        if key.startswith("method."):
            option = key.removeprefix("method.")
            plain["method"] = [{**spec, option: value} if option in settings(find("method", spec["name"])) else spec
                               for spec in plain["method"]]  # fmt: skip
        else:
            put(plain, key, value)
    if steps is not None:
        plain["training"]["steps"] = steps
    return make_config(plain, "[search]")


def _draw(space: Mapping[str, Any], rng: np.random.Generator) -> Chosen:
    return {key: values.at(rng.uniform()) if isinstance(values, Span) else values[int(rng.integers(len(values)))]
            for key, values in space.items()}  # fmt: skip


def _candidates(space: Mapping[str, Any], search: Search) -> list[Chosen]:
    """The row as it stands, and others, no two alike (fewer where there are not so many)."""
    rng, found = np.random.default_rng(search.seed), {"{}": Chosen()}
    for _ in range(100 * search.candidates):
        if len(found) == search.candidates:
            break
        drawn = _draw(space, rng)
        found.setdefault(json.dumps(drawn, sort_keys=True), drawn)
    return list(found.values())


def _score(run: Run) -> float:
    """Of the validation split; nothing where it is undefined."""
    score = run.result["best_validation"]
    return -math.inf if score is None or math.isnan(score) else score


def _halving(
    rows: Sequence[Config], spaces: Sequence[Mapping[str, Any]], search: Search, run_all: RunAll
) -> list[Tuned]:
    left = [_candidates(space, search) for space in spaces]
    counts, spent = [len(own) for own in left], [0] * len(rows)
    best = [-math.inf] * len(rows)
    for share in search.rungs:
        steps = [max(1, round(share * (row.training.steps or 0))) for row in rows]
        jobs = [(number, chosen) for number, own in enumerate(left) for chosen in own]
        runs = run_all([_with(rows[number], chosen, steps[number]) for number, chosen in jobs])
        scored: list[list[tuple[float, Chosen]]] = [[] for _ in rows]
        for (number, chosen), run in zip(jobs, runs, strict=True):
            scored[number].append((_score(run), chosen))
            spent[number] += run.result["steps"]
        for number, own in enumerate(scored):
            own.sort(key=lambda pair: -pair[0])
            best[number] = own[0][0]
            n = 1 if share == 1 else math.ceil(len(own) / search.keep)
            left[number] = [chosen for _, chosen in own[:n]]
    return [Tuned(*told) for told in zip(rows, [own[0] for own in left], best, counts, spent, strict=True)]


def _tpe(rows: Sequence[Config], spaces: Sequence[Mapping[str, Any]], search: Search, run_all: RunAll) -> list[Tuned]:
    try:
        import optuna  # type: ignore[import-not-found]
    except ImportError as error:
        raise ValueError('[search] by = "tpe" wants Optuna; pip install "sordino[search]"') from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    samplers = [optuna.samplers.TPESampler(seed=search.seed, n_startup_trials=max(2, search.candidates // 3))
                for _ in rows]  # fmt: skip
    studies = [optuna.create_study(direction="maximize", sampler=sampler) for sampler in samplers]
    found = [Tuned(row, {}, -math.inf, search.candidates, 0) for row in rows]
    for number in range(search.candidates):
        trials = [study.ask() for study in studies] if number else []  # the first candidates are the rows themselves
        chosen = [_asked(*pair) for pair in zip(trials, spaces, strict=True)] if number else [{} for _ in rows]
        runs = run_all([_with(row, own) for row, own in zip(rows, chosen, strict=True)])
        for place, (own, run) in enumerate(zip(chosen, runs, strict=True)):
            score = _score(run)
            if number:
                state = None if math.isfinite(score) else optuna.trial.TrialState.FAIL
                studies[place].tell(trials[place], None if state else score, state)
            better = {"chosen": own, "score": score} if score > found[place].score else {}
            found[place] = replace(found[place], steps=found[place].steps + run.result["steps"], **better)
    return found


def _asked(trial: Any, space: Mapping[str, Any]) -> Chosen:
    """What Optuna proposes."""
    return {key: values.at(trial.suggest_float(key, 0, 1)) if isinstance(values, Span)
            else trial.suggest_categorical(key, values) for key, values in space.items()}  # fmt: skip
