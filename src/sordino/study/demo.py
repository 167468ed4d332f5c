"""The demo: key and beats on the built-in set, from a network that heard music and never a label.

What its frozen states give, what a few trained parts add, what all of it trained adds, and what each costs; beside them
estimators that learn nothing and a small network from scratch. Then an answer to a recorded excerpt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sordino.config import Config, Training
from sordino.contracts import Prediction, Track
from sordino.datasets import load_dataset
from sordino.files import write_text
from sordino.inference import predict
from sordino.settings import build
from sordino.study.plain import plain_baseline
from sordino.study.report.pictures import cost_picture, picture
from sordino.study.report.table import markdown
from sordino.study.rows import Row, plain_row, rows_of
from sordino.study.side_by_side import run_all
from sordino.training.plan import Run
from sordino.training.splits import make_tasks

TASKS = ["key", "beat"]
UPPER = "lora, upper two layers"
METHODS = ("probe", UPPER, "adapter", "lora", "finetune")
BACKBONE = {"name": "mini", "variant": "label_free"}  # what labels add shows where none were seen before
USUAL: dict[str, Any] = {"batch_size": 8, "segment_s": 10.0}
PROBE: dict[str, Any] = {**USUAL, "steps": 1600, "lr": 3e-3, "validate_every": 160}
REST: dict[str, Any] = {**USUAL, "steps": 200, "lr": 3e-3, "validate_every": 100, "head_first": PROBE}
RANDOM = "probe on random weights"
SCRATCH = {"beat": ("beat_tcn", 2e-3)}  # a small network, and its rate; key_cnn learns nothing from so few clips
OPTIONS: dict[str, dict[str, Any]] = {
    UPPER: {"name": "lora", "r": 8, "layers": "3-4"},
    "lora": {"r": 8},
    "adapter": {"bottleneck": 32},
    "finetune": {"backbone_learning_rate": 5e-4},
}
SETTINGS: dict[str, dict[str, Any]] = {  # the probe's steps run on stored states and cost next to nothing
    RANDOM: {**PROBE, "lr": 3e-2},  # its own best rate of 1e-3 to 3e-2 on the validation tracks
    "probe": PROBE,
    **dict.fromkeys((UPPER, "adapter", "lora"), REST),
    "finetune": {**REST, "lr": 1e-3},
}


@dataclass
class Demo:
    """What the demo made.

    Attributes:
        rows: the tables.
        runs: the runs, by the name of their row.
        excerpt: the recording that was predicted on.
        answers: by task.
        folder: where everything lies.
    """

    rows: list[Row]
    runs: dict[str, Run]
    excerpt: Track
    answers: dict[str, Prediction]
    folder: Path


def configs(seed: int = 0, steps_share: float = 1.0) -> dict[str, Config]:
    """One config per row. All tasks are learned at once, with one head each on one adapter; from scratch each alone."""
    points = {RANDOM: ("probe", {"name": "mini", "weights": "random", "n_onsets": 16})}
    points |= {method: (method, BACKBONE) for method in METHODS}
    made = {}
    for name, (method, backbone) in points.items():
        spec = {"name": method, **OPTIONS.get(method, {})}
        settings = build(Training, _shortened(SETTINGS[name], steps_share), name)
        made[name] = Config("demo", None, TASKS, backbone, spec, {"hidden": 0}, settings, seed)
    for task, (backbone, rate) in SCRATCH.items():
        spec = {"name": "finetune", "backbone_learning_rate": rate}
        settings = build(
            Training, _shortened({**USUAL, "steps": 150, "lr": rate, "validate_every": 50}, steps_share), task
        )
        made[f"{backbone} from scratch"] = Config("demo", None, task, backbone, spec, {"hidden": 0}, settings, seed)
    return made


def _shortened(settings: dict[str, Any], share: float) -> dict[str, Any]:
    """The same with a part of the steps, in the probe behind `head_first` too."""
    numbers = {name: max(2, round(settings[name] * share)) for name in ("steps", "validate_every")}
    first = settings.get("head_first")
    return {**settings, **numbers, **({"head_first": _shortened(first, share)} if first else {})}


def run_demo(
    out: str | Path, advance: Callable[[str, int, int], None], steps_share: float = 1.0, jobs: int = 1
) -> Demo:
    """Train every row, score the plain baselines, write the tables, predict on the excerpt.

    Args:
        out: the folder of the demo.
        advance: progress.
        steps_share: a part of the usual steps, for a quick look.
        jobs: runs at a time.
    """
    folder = Path(out)
    dataset: Any = load_dataset("demo")
    named = configs(steps_share=steps_share)
    runs = dict(zip(named, run_all(list(named.values()), folder, advance, jobs), strict=True))
    tasks = make_tasks([{"name": name} for name in TASKS], dataset.tracks())
    rows = rows_of(runs.values(), list(runs))
    for number, task in enumerate(tasks):
        advance("plain baselines", number, len(tasks))
        scored = plain_baseline(task, dataset)
        if task.plain_baseline and scored:
            rows.append(plain_row(task.plain_baseline.title, task.name, scored))
    rows.sort(key=lambda row: (TASKS.index(row.task), bool(row.config)))
    write_text(folder / "table.md", markdown(rows))
    cost_picture(rows, folder / "costs.png")
    picture(rows, folder / "table.png")
    excerpt = dataset.excerpt()
    best = max(METHODS, key=lambda method: runs[method].result["best_validation"])
    answers = predict([excerpt.path], runs[best].adapter)[0].answers
    return Demo(rows, runs, excerpt, answers, folder)
