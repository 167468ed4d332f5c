"""The best of several methods in a given time: successive halving over repeated splits by group.

Paper: Jamieson and Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter Optimization, 2016
https://arxiv.org/abs/1502.07943
Differs: what is cheap comes first: heads on stored states, and only then methods with gradients through the backbone,
which begin from such a head; every round has more splits and not only more steps; and of those that are as good as
the best within the standard error of the differences, the cheapest is chosen (Breiman et al., 1984).

Conventions: all is compared on splits of what is not tested on (`Resplit`); the test split is seen once, by the one
that is chosen. Few tracks, of which a test split decides nothing, are all answered in folds by the chosen one instead,
where the time allows it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from sordino.backbones import load_backbone
from sordino.config import Config, load_config
from sordino.contracts import Backbone, Dataset
from sordino.datasets import Resplit
from sordino.study.estimate import duration, estimates
from sordino.training.plan import Run, open_run
from sordino.training.run import carry_out
from sordino.training.splits import Advance, silent

PROBE_LR, LR = 3e-3, 1e-3
RESERVED = 0.3  # the share of the time that is kept for the chosen one
HEADS: dict[str, dict[str, Any]] = {
    "last layer, linear": {"layers": "last", "hidden": 0},
    "all layers, linear": {"layers": "all", "hidden": 0},
    "all layers, hidden": {"layers": "all", "hidden": -1},
    "mean and deviation": {"layers": "all", "hidden": 0, "pool": "mean_std"},
}
METHODS = ("bitfit", "lora", "adapter")  # the cheapest first


@dataclass
class Candidate:
    """One way to learn it.

    Attributes:
        name: in a few words.
        settings: of its runs, beside what all share.
        steps: by round.
        scores: by split, where they are defined.
        step_s: of its last run.
        seconds: of its last run.
    """

    name: str
    settings: dict[str, Any]
    steps: tuple[int, ...]
    scores: dict[int, float] = field(default_factory=dict)
    step_s: float = 0.0
    seconds: float = 0.0

    @property
    def mean(self) -> float:
        """Over its splits."""
        return float(np.mean(list(self.scores.values()))) if self.scores else -math.inf


@dataclass
class BestInTime:
    """What is compared, on what, and how long.

    Attributes:
        dataset: all tracks; those of the test split are not looked at.
        task: its spec.
        segment_s: of training and answers.
        backbones: names, the first one the usual.
        out: where run folders lie.
        budget_s: for everything, the chosen one's run included.
        tell: called with lines for the reader.
        advance: progress.
        folds: that the chosen one is scored by, where the time allows it; 1 for the test split.
        began: when the time began, by `time.monotonic`.
        rounds: what was found, round by round.
    """

    dataset: Dataset
    task: dict[str, Any]
    segment_s: float
    backbones: Sequence[str | dict[str, Any]]
    out: Path
    budget_s: float
    tell: Callable[[str], None] = print
    advance: Advance = silent
    folds: int = 1
    began: float = field(default_factory=time.monotonic)
    rounds: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._loaded: dict[str, Backbone] = {}

    def run(self) -> tuple[Run, str]:
        """Search, and train the chosen one.

        Returns:
            Its run, tested on the test split or by folds, and why it was chosen.

        Raises:
            ValueError: no head has a score that is defined.
        """
        heads = self._heads()
        self._foretell(heads[0])
        heads = self.halved(heads, (1, 3), self.budget_s * (1 - RESERVED) / 2)
        if not heads:
            raise ValueError(f"{self.task['name']}: the score is undefined on every split, so nothing can be chosen; "
                             "label more tracks, or choose another --task")  # fmt: skip
        tuned = self.halved(self._methods(heads[0]), (1, 3), self.budget_s * (1 - RESERVED))
        chosen, why = choose([*heads, *tuned])
        self.tell(f"chosen: {why}")
        run = self._in_folds(chosen)
        return (run, f"{why}; by splits of the tracks that it is scored on") if run else (self._final(chosen), why)

    def _foretell(self, first: Candidate) -> None:
        """Say how long the first run will take, most of which is the one pass over the sound."""
        config = self._config(first, first.steps[0])
        (one,) = estimates([config], [self._opened(config, Resplit(self.dataset, 0), self.out / "search")])
        hours, size = one.sound.hours, sum(one.stored.values()) / 1e9
        self.tell(f"  one pass over {hours:.2f} h, {size:.2f} GB of states: about {duration(one.seconds)} and decoding")

    @property
    def spent_s(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.began

    def halved(self, candidates: Sequence[Candidate], n_splits: Sequence[int], until_s: float) -> list[Candidate]:
        """Rounds of runs, after each of which the better half goes on; the best first.

        Args:
            candidates: to begin with.
            n_splits: by round, how many splits everyone has seen at its end.
            until_s: no run begins that would not be over by then; the very first one always does.
        """
        going = list(candidates)
        for number, n in enumerate(n_splits):
            for split in range(n_splits[number - 1] if number else 0, n):
                for candidate in going:
                    is_first = not any(other.seconds for other in candidates)
                    if is_first or self._expected(candidate, number, candidates) <= until_s - self.spent_s:
                        self._try(candidate, split, candidate.steps[number])
            going = sorted((c for c in going if c.scores), key=lambda c: -c.mean)
            self._told(number + 1, going)
            going = going[: max(1, math.ceil(len(going) / 2))] if number + 1 < len(n_splits) else going
        return going

    def _expected(self, candidate: Candidate, number: int, others: Iterable[Candidate]) -> float:
        """Seconds that a run will take: as its last one, or as that of its neighbours, with more steps."""
        known = candidate if candidate.seconds else max(others, key=lambda other: other.seconds)
        more = max(0, candidate.steps[number] - candidate.steps[max(0, number - 1)])
        return known.seconds + more * known.step_s

    def _try(self, candidate: Candidate, split: int, steps: int) -> None:
        config = self._config(candidate, steps)
        run = carry_out(self._opened(config, Resplit(self.dataset, split), self.out / "search"), self.advance)
        (scored,) = run.result["tasks"].values()
        if (score := scored["metrics"][scored["metric"]]) is not None:  # else it is undefined
            candidate.scores[split] = score
        candidate.seconds, candidate.step_s = run.result["seconds"], run.result["step_s"]  # also of one that was read

    def _in_folds(self, chosen: Candidate) -> Run | None:
        """The chosen one on all tracks, scored by folds, as it was when it was compared; None where one split does."""
        if self.folds == 1:
            return None
        needed_s, left_s = (self.folds + 1) * chosen.seconds, max(0.0, self.budget_s - self.spent_s)
        if needed_s > left_s:
            self.tell(f"scored by the test split, whose few tracks decide little: {self.folds} folds take about "
                      f"{duration(needed_s)}, and {duration(left_s)} are left of --budget")  # fmt: skip
            return None
        config = replace(self._config(chosen, chosen.steps[min(len(chosen.scores), 2) - 1]), folds=self.folds)
        return carry_out(self._opened(config, self.dataset, self.out), self.advance, tell=self.tell)

    def _final(self, chosen: Candidate) -> Run:
        """The chosen one on all that may be learned from, with as many steps as the rest of the time allows."""
        left_s = max(self.budget_s - self.spent_s - chosen.seconds, 0.2 * chosen.seconds)
        fitting = int(0.7 * left_s / chosen.step_s) if chosen.step_s > 0 else chosen.steps[0]
        steps = int(np.clip(fitting, chosen.steps[0], 8 * chosen.steps[-1]))
        return carry_out(self._opened(self._config(chosen, steps), self.dataset, self.out), self.advance)

    def _opened(self, config: Config, dataset: Dataset, out: Path) -> Any:
        spec = config.resolved()["backbone"]
        backbone = self._loaded.setdefault(str(spec), self._loaded.get(str(spec)) or load_backbone(**spec))
        return open_run(config, out, self.advance, dataset, backbone)

    def _config(self, candidate: Candidate, steps: int) -> Config:
        training = {"segment_s": self.segment_s, "steps": steps, "validate_every": max(1, steps // 10),
                    "patience": 4, **candidate.settings["training"]}  # fmt: skip
        rest = {key: value for key, value in candidate.settings.items() if key != "training"}
        return load_config(None, (), data=str(self.dataset.root), task=self.task, training=training, **rest)

    def _heads(self) -> list[Candidate]:
        found = []
        for number, backbone in enumerate(self.backbones):
            name = backbone if isinstance(backbone, str) else backbone["name"]
            for title, head in HEADS.items():
                if number == 0 or title == "all layers, linear":
                    settings = {"backbone": backbone, "method": "probe", "head": head, "training": {"lr": PROBE_LR}}
                    found.append(Candidate(f"{name}: probe, {title}", settings, (200, 800)))
        return found

    def _methods(self, probe: Candidate) -> list[Candidate]:
        """Methods with gradients, each beginning from the best probe's kind of head."""
        first = {"steps": probe.steps[-1], "lr": PROBE_LR, "validate_every": probe.steps[-1] // 10}
        settings = {**probe.settings, "training": {"lr": LR, "head_first": first}}
        named = probe.name.partition(":")[0]
        return [Candidate(f"{named}: {name}", {**settings, "method": name}, (40, 120)) for name in METHODS]

    def _told(self, number: int, going: Sequence[Candidate]) -> None:
        self.rounds.append({"round": number, "seconds": round(self.spent_s, 1),
                            "scores": {c.name: dict(c.scores) for c in going}})  # fmt: skip
        for c in going:
            each = " ".join(f"{score:.3f}" for score in c.scores.values())
            self.tell(f"  round {number}: {c.mean:.3f}  {c.name}  ({each})")


def choose(candidates: Sequence[Candidate]) -> tuple[Candidate, str]:
    """The cheapest that is as good as the best, and why.

    Args:
        candidates: with scores, in any order; cheap is what took less time to train.
    """
    scored = [candidate for candidate in candidates if candidate.scores]
    most = max(len(candidate.scores) for candidate in scored)
    finalists = [candidate for candidate in scored if len(candidate.scores) == most]
    best = max(finalists, key=lambda candidate: candidate.mean)
    for candidate in sorted(finalists, key=lambda c: c.seconds):
        splits = candidate.scores.keys() & best.scores.keys()
        lost = np.array([best.scores[split] - candidate.scores[split] for split in splits])
        error = float(lost.std(ddof=1) / math.sqrt(len(lost))) if len(lost) > 1 else 0.0
        if candidate is best or lost.mean() <= error:
            break
    else:
        raise AssertionError("the best one is as good as itself")
    if candidate is best:
        return best, f"{best.name}, the best of {len(scored)} ({best.mean:.3f} over {most} splits)"
    return candidate, (f"{candidate.name} ({candidate.mean:.3f} over {most} splits): as good as {best.name} "
                       f"({best.mean:.3f}) within the standard error of {error:.3f}, and cheaper")  # fmt: skip
