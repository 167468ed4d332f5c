"""What a study will take before it starts: hours of sound, room on the disk, and time for each row.

Times follow from training steps on little and on more noise, measured on this machine with random weights, which cost
what others cost: what a step takes anyhow, and what each second of sound adds. Left out are decoding, which threads do
ahead, and whatever else the machine has to do; runs that end early (`training.patience`) take less.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sordino.answering import answer_grid
from sordino.augment import Augmentation
from sordino.backbones import load_backbone
from sordino.compute import Compute
from sordino.config import Config
from sordino.contracts import Backbone, Task
from sordino.model import WAVEFORM, Model
from sordino.petl import parse_methods
from sordino.registry import find
from sordino.segments import TRAIN_TAIL, Grid
from sordino.store import DTYPES
from sordino.store_chunks import budget_bytes, store_folder
from sordino.study.names import row_names
from sordino.study.rows import same_but_for_seed
from sordino.study.sound import Sound, sound_named, sound_of
from sordino.study.speed import ROWS, TRIAL_S, Speed, changing, measured
from sordino.tasks import make_task
from sordino.training.plan import Plan, first_config, probe_config
from sordino.training.schedule import Schedule
from sordino.training.splits import usual_segment_s

STAND_INS = {"clip": "key", "frame": "beat"}  # whose heads are ready without labels and cost what others do


@dataclass
class Estimate:
    """What a row will take.

    Attributes:
        name: of the row.
        n_runs: seeds.
        steps: of a run.
        sound: what it learns from and is tested on.
        seconds: of a run.
        stored: bytes on the disk by what is stored; rows share what they have in common.
        lacking: what is not on this machine, and how to come by it.
        storing: those of the seconds that go into what is stored, likewise; the first run spends them.
    """

    name: str
    n_runs: int
    steps: int
    sound: Sound
    seconds: float
    stored: dict[str, float] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)
    storing: dict[str, float] = field(default_factory=dict)


def estimates(configs: Sequence[Config], plans: Sequence[Plan] | None = None) -> list[Estimate]:
    """What the rows of a study will take, in their order.

    Args:
        configs: of all runs.
        plans: the same runs, opened; None where neither data nor weights need to be here.
    """
    groups: dict[str, list[int]] = {}
    for number, config in enumerate(configs):
        groups.setdefault(same_but_for_seed(config.resolved()), []).append(number)
    names = row_names([json.loads(key) for key in groups])
    backbones: dict[str, tuple[Backbone, list[str]]] = {}
    sounds: dict[str, Sound] = {}
    speeds: dict[str, Speed] = {}
    found = []
    for name, numbers in zip(names, groups.values(), strict=True):
        config, plain = configs[numbers[0]], configs[numbers[0]].resolved()
        data = json.dumps([plain[key] for key in ("data", "root", "test", "folds", "task")])
        spec = json.dumps(plain["backbone"])
        if data not in sounds:
            sounds[data] = sound_of(runs_of(plans[numbers[0]])[0]) if plans else sound_named(config)
        if spec not in backbones:
            backbones[spec] = (plans[numbers[0]].backbone, []) if plans else _stand_in(plain["backbone"])
        backbone, lacking = backbones[spec]
        estimate = _estimate(config, sounds[data], backbone, speeds)
        estimate.name = name
        estimate.n_runs = sum(len(runs_of(plans[number])) if plans else 1 + config.n_folds for number in numbers)
        estimate.lacking = [*sounds[data].lacking, *lacking]
        found.append(estimate)
    return found


def runs_of(plan: Plan) -> list[Plan]:
    """What is to be trained: the folds that are not finished, and the run itself."""
    return [*(fold for fold in plan.folds if fold.finished() is None), plan]


def told(found: Sequence[Estimate]) -> list[str]:
    """Estimates as lines of text: a table, the sum, what does not fit, what is not here."""
    width = max(len(one.name) for one in found)
    lines = [f"{'row':<{width}}  runs    steps    hours     GB  time a run"]
    for one in found:
        gigabytes, hours = sum(one.stored.values()) / 1e9, one.sound.hours
        counts = f"{one.n_runs:>4}  {one.steps:>7,}  {hours:>7.1f}  {gigabytes:>5.1f}"
        lines.append(f"{one.name:<{width}}  {counts}  {duration(one.seconds)}")
    stored = {key: n_bytes for one in found for key, n_bytes in one.stored.items()}
    n_bytes, seconds = sum(stored.values()), all_seconds(found)
    place = next(folder for folder in (store_folder(), *store_folder().parents) if folder.is_dir())
    room = min(shutil.disk_usage(place).free, budget_bytes())
    lines.append(
        f"in all {sum(one.n_runs for one in found)} runs, {n_bytes / 1e9:.1f} GB to be stored ({room / 1e9:.1f} GB are "
        f"free for it), {duration(seconds)} one after the other on this machine, without decoding"
    )
    if n_bytes > room:
        lines.append("that does not fit: set training.cache to waveform or off, or SORDINO_CACHE_GB and SORDINO_CACHE")
    return [*lines, *dict.fromkeys(f"not here: {line}" for one in found for line in one.lacking)]


def all_seconds(found: Sequence[Estimate]) -> float:
    """The time of all runs one after the other; what several of them store is computed once."""
    storing = {key: seconds for one in found for key, seconds in one.storing.items()}
    return sum(storing.values()) + sum(one.n_runs * (one.seconds - sum(one.storing.values())) for one in found)


def foretold(plans: Sequence[Plan]) -> str:
    """What runs with the same settings, on tracks of the same data, will take with their folds, in a line."""
    (one,) = estimates([plan.config for plan in plans], plans)
    settings = plans[0].config.training
    segment_s = settings.segment_s or usual_segment_s(plans[0].tasks, [one.sound.usual_s("train")])
    runs = "" if one.n_runs == 1 else f" for {one.n_runs} runs (the first one's score after {duration(one.seconds)})"
    return (f"about {duration(all_seconds([one]))}{runs} on this machine, without decoding: {one.steps:,} steps of "
            f"{settings.batch_size} segments of {segment_s:g} s, {one.sound.hours:.2f} h of sound, "
            f"{sum(one.stored.values()) / 1e9:.2f} GB to be stored")  # fmt: skip


def duration(seconds: float) -> str:
    """A time in the unit in which it is read."""
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _stand_in(spec: Mapping[str, Any]) -> tuple[Backbone, list[str]]:
    """A backbone of the same shape, and its weights if they are not here."""
    published = find("backbone", spec["name"]).published
    if not published or spec.get("weights") is not None:
        return load_backbone(**spec), []
    variant = spec.get("variant", next(iter(published)))
    where = published[variant].where()
    lacking = [] if Path(where).exists() else [f"weights of {spec['name']}: {where}"]
    return load_backbone(**{**spec, "weights": "random"}), lacking


def _estimate(config: Config, sound: Sound, backbone: Backbone, speeds: dict[str, Speed]) -> Estimate:
    """What one run takes, with those that go before it; `speeds` are those of models measured already."""
    settings, compute = config.training, Compute.choose(config.training.accelerator, config.training.precision)
    tasks = [make_task(**spec) for spec in config.resolved()["task"]]
    sound = sound.fewer(settings.tracks)
    model = _model(config, tasks, backbone)
    segment_s = settings.segment_s or usual_segment_s(tasks, [sound.usual_s("train")])
    n_versions = len(list(Augmentation.named(settings.augment).versions()))
    at_once = settings.batch_size if compute.device.type == "cuda" else ROWS  # what a processor does one by one
    plain, trial_s = config.resolved(), min(segment_s, TRIAL_S)
    alike = json.dumps([plain["backbone"], plain["method"], plain["head"], sorted(model.heads), trial_s, at_once,
                        settings.accelerator, settings.precision])  # fmt: skip
    speed = speeds.get(alike) or measured(model.to(compute.device), trial_s, at_once, compute)
    speeds[alike] = speed
    answering, rate_hz = answer_grid(model, segment_s), backbone.sample_rate_hz
    learning = replace(answering, hop_samples=answering.length_samples, least_tail=TRAIN_TAIL)
    pieces = [piece.n_samples / rate_hz for piece in learning.cut(max(1, round(sound.usual_s("train") * rate_hz)))]
    whole_s, clip_s = sound.seconds["train"] * n_versions, pieces[0]
    n_rows = round(sound.tracks["train"] * n_versions * (1 if settings.crops == "random" else len(pieces)))
    validated_s, tested_s = (_cut_s(sound, split, answering, rate_hz) for split in ("validation", "test"))
    schedule = Schedule(settings, max(1, n_rows), model.start == backbone.top)
    trained_s = schedule.steps * settings.batch_size * clip_s
    answered_s = schedule.steps // schedule.validate_every * validated_s + tested_s
    rows_s = (whole_s if settings.crops == "random" else n_rows * clip_s) + validated_s + tested_s
    stored = settings.cache in DTYPES and model.start != WAVEFORM
    heard_s = rows_s if stored else trained_s + answered_s
    changed_s = trained_s if settings.cache == "off" else rows_s
    change_s = changing(tuple(settings.augment), rate_hz) if settings.augment else 0.0
    seconds = changed_s * change_s + heard_s * speed.constant + (trained_s + answered_s / 3) * speed.step
    seconds += schedule.steps * speed.anyhow
    kept, storing = {}, {}
    data = f"{config.data} {config.test} {settings.augment} {segment_s} {settings.crops}"
    if settings.cache == "waveform":
        kept[f"{data} {rate_hz}"] = rows_s * rate_hz * 4
    elif stored:
        n_bytes = rows_s * backbone.frame_rate_hz * DTYPES[settings.cache].itemsize
        kept = {f"{data} {plain['backbone']} {state}": n_bytes * backbone.packed_dim(state)
                for state in model.constant_states}  # fmt: skip
        storing = dict.fromkeys(kept, (changed_s * change_s + heard_s * speed.constant) / len(kept))
    before = [first_config(config, table) for table in config.after]
    before += [probe_config(config, model)] if settings.head_first else []
    for first in (_estimate(other, sound, backbone, speeds) for other in before):
        seconds, kept, storing = seconds + first.seconds, kept | first.stored, storing | first.storing
    model.detach()
    return Estimate("", 1, schedule.steps, sound, seconds, kept, storing=storing)


def _cut_s(sound: Sound, split: str, grid: Grid, rate_hz: int) -> float:
    """The segments of a split together; some overlap, and the last one is moved back."""
    pieces = grid.cut(max(1, round(sound.usual_s(split) * rate_hz)))
    return sound.tracks[split] * sum(piece.n_samples for piece in pieces) / rate_hz


def _model(config: Config, tasks: Iterable[Task], backbone: Backbone) -> Model:
    """The model of a run with heads that need no labels."""
    levels = dict.fromkeys(STAND_INS[task.level] for task in tasks)
    methods = parse_methods(config.resolved()["method"])
    return Model(backbone, [make_task(name) for name in levels], methods, config.head)
