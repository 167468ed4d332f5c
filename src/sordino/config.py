"""Settings of a run: dataclasses filled from TOML and `key=value`, strict about names, types and ranges.

    data = "demo"
    task = ["key"]                      # or "key", or tables: [{name = "key"}, {name = "tempo"}]
    backbone = {name = "mini"}          # or "mini"
    method = {name = "lora", r = 4}     # or "lora", "lora+prefix", or a list of tables
    [training]
    steps = 400

On the command line the same is `task=key method.name=lora method.r=4 training.steps=400`.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from sordino.augment import Augmentation
from sordino.data_names import DataOf
from sordino.disturbances import DISTURBANCES
from sordino.heads import HeadConfig
from sordino.registry import FROM, SpecOf, find, specs, told_outside
from sordino.rules import Count, NotNegative, OneOf, Positive, Range, Seed, unknown
from sordino.settings import KeysOf, Settings, build, settings

LOGGERS = ("tensorboard", "trackio", "wandb")
Spec = str | dict[str, Any] | list[Any]  # one or several, as configs and flags write them


class Neutral:
    """Marks a setting that cannot change the result of a run."""


@dataclass
class Training(Settings):
    """How a run is trained.

    Attributes:
        steps: optimiser steps; none for as many as the data want: twenty passes over it (two hundred where heads alone
            are computed), from 100 to 20,000 steps.
        patience: validations without a better score after which training stops; none for 6 where `steps` is none, and
            no end before the last step otherwise.
        batch_size: segments in a step.
        accumulate: parts that a step is computed in, one after the other; the gradient is that of the whole step.
        lr: learning rate of head and attached parts; none for the method's usual one.
        lr_min: where the cosine ends.
        schedule: how the learning rate goes.
        weight_decay: of Adam (decoupled).
        clip: largest norm of the gradient; 0 for no limit.
        segment_s: length of a training and evaluation segment; none for the longest that a task wants, or the longest
            track where that is shorter.
        crops: `grid` cuts every track alike in each pass; `random` cuts one segment out of each track, another one in
            every pass (as the paper's public code does); states cannot be stored then.
        shots: training tracks of each class (of tags: with each tag), drawn by the seed; none for all.
        tracks: training tracks at most, drawn by the seed; none for all.
        augment: augmentations by name.
        balanced: draw classes equally often instead of tracks.
        cache: keep what the frozen part gives on disk, as `float32`, `float16` or `bfloat16`; `waveform` keeps decoded
            audio only; `off` does all anew at every step.
        validate_every: steps between two validations; none for twenty in a run.
        checkpoint_s: seconds between two resumable checkpoints.
        precision: of the computation; `auto` is bf16 autocast where the machine computes in it.
        workers: threads that decode audio ahead; 0 for none beside the loop.
        accelerator: what computes.
        devices: how many of it.
        head_first: settings (`steps`, `lr`, ...) of a probe that is trained first, on stored states, and whose head is
            then trained on with the rest (Kumar et al., 2022, arXiv 2202.10054); empty for no such probe; none for no
            such probe, but for `sordino train` one as it usually is, where the data are your own and `steps` is none.
        loggers: where validations are told beside `log.jsonl` (extras of these names).
        loss_weights: by task, when several are trained at once; 1 for those not named.
    """

    steps: Count | None = None
    patience: Count | None = None
    batch_size: Count = 16
    accumulate: Count = 1
    lr: NotNegative | None = None
    lr_min: NotNegative = 1e-7
    schedule: Literal["cosine", "constant"] = "cosine"
    weight_decay: NotNegative = 0.0
    clip: NotNegative = 1.0
    segment_s: Positive | None = None
    crops: Literal["grid", "random"] = "grid"
    shots: Count | None = None
    tracks: Count | None = None
    augment: list[Annotated[str, OneOf(tuple(Augmentation.usual()))]] = field(default_factory=list)
    balanced: bool = False
    cache: Literal["float32", "float16", "bfloat16", "waveform", "off"] = "float32"
    validate_every: Count | None = None
    checkpoint_s: Annotated[float, Range(0), Neutral()] = 30.0
    precision: Literal["auto", "float32", "bf16"] = "auto"
    workers: Annotated[int, Range(0), Neutral()] = 2
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: Count = 1
    head_first: Annotated[dict[str, Any], KeysOf(Training, but=("head_first",))] | None = None
    loggers: Annotated[list[Annotated[str, OneOf(LOGGERS)]], Neutral()] = field(default_factory=list)
    loss_weights: dict[str, NotNegative] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crops == "random" and self.cache not in ("waveform", "off"):
            raise ValueError(
                'training.crops = "random" cuts other segments in every pass, whose states cannot be kept as '
                f'training.cache = "{self.cache}"; set that to waveform or off'
            )


@dataclass
class Config(Settings):
    """One run.

    Attributes:
        data: a named dataset (with options: `NAME:split=paper`, or a table), several joined with `+`, or a path.
        root: where a named dataset lies; none for the usual place.
        task: what is learned.
        backbone: the frozen network.
        method: what is attached and trained.
        head: of the tasks' heads, where they are not the method's usual ones.
        training: how.
        seed: of everything that is drawn.
        strict: a row or label that is not understood ends the run, instead of being listed and left out.
        most_broken: share of the labelled tracks that may be missing or broken; with more, nothing is trained.
        folds: score by so many folds by group, each track by a model that learned without its group, and keep an
            adapter that learned from all; 1 for one split; none for 1, but for `sordino train` and `adapt` 5 (or one
            for each of fewer groups) where the data are fewer than 200 labelled tracks of your own without a split.
        test: another dataset, whose test split is tested on (`giantsteps_tempo`); none for the test split of `data`.
        after: runs that go first and whose trained parts this one begins with; each is a table with the settings in
            which it is not like this one (`task`, `data`, `method`, `training`, ...).
        after_as: what becomes of those parts. `start`: training starts from the mean of theirs, and of their heads for
            the same task with the same labels; `frozen`: they stay attached beneath this run's, as they are.
        under: changes of the sound under which the test split is scored once more, one at a time (`disturbances.py`).
    """

    data: Annotated[Any, DataOf(), Neutral()] = "demo"
    root: Annotated[str | None, Neutral()] = None
    task: Annotated[Spec, SpecOf("task")] = "key"
    backbone: Annotated[Spec, SpecOf("backbone", several=False)] = "mini"
    method: Annotated[Spec, SpecOf("method")] = "lora"
    head: Annotated[dict[str, Any], KeysOf(HeadConfig)] = field(default_factory=dict)
    training: Training = field(default_factory=Training)
    seed: Seed = 0
    strict: Annotated[bool, Neutral()] = False
    most_broken: Annotated[float, Range(0, 1), Neutral()] = 0.5
    folds: Annotated[Count | None, Neutral()] = None
    test: Annotated[str | None, Neutral()] = None
    after: list[Annotated[dict[str, Any], KeysOf(Config, but=("after", "after_as", "backbone"))]] = field(
        default_factory=list
    )
    after_as: Literal["start", "frozen"] = "start"
    under: list[Annotated[str, OneOf(tuple(DISTURBANCES))]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_folds and (self.test or self.under):
            raise ValueError("`test` and `under` want a test split, folds have none; leave them out, or set folds = 1")
        tasks = [spec["name"] for spec in specs(self.task, "task")]
        for where, told in (("", vars(self.training)), (".head_first", self.training.head_first or {})):
            for name in told.get("loss_weights", {}):
                if name not in tasks:
                    raise ValueError(unknown("task of this run", name, tasks, f"training{where}.loss_weights."))

    @property
    def n_folds(self) -> int:
        """How many runs score it, beside the one whose adapter is kept."""
        return self.folds if self.folds is not None and self.folds > 1 else 0

    def resolved(self) -> dict[str, Any]:
        """Everything as plain data, specs in their long form; the same run always gives the same."""
        plain = asdict(self)
        plain["task"] = specs(self.task, "task")
        plain["backbone"] = specs(self.backbone, "backbone")[0]
        plain["method"] = specs(self.method, "method")
        return plain

    def outside(self) -> list[dict[str, str]]:
        """What of this run is no part of sordino: kind, name, and where its code is from."""
        plain = self.resolved()
        named = [("backbone", plain["backbone"]), *(("method", spec) for spec in plain["method"])]
        named += [("task", spec) for spec in plain["task"]]
        return [told for kind, spec in named if (told := told_outside(kind, find(kind, spec["name"])))]

    def deciding(self) -> dict[str, Any]:
        """As `resolved`, without what cannot change the result (fields marked `Neutral`)."""
        plain = self.resolved()
        plain["training"]["head_first"] = self.training.head_first or {}
        for spec in (plain["backbone"], *plain["task"], *plain["method"]):
            spec.pop(FROM, None)  # where it lay; what it is stands in `outside`
        for table, owner in ((plain, Config), (plain["training"], Training)):
            for name, setting in settings(owner).items():
                if setting.marks(Neutral):
                    table.pop(name)
        return plain


def parse_value(text: str) -> Any:
    """The value of `key=value`: TOML where it is TOML, otherwise the text itself."""
    if text == "none":
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def default_specs() -> dict[str, Any]:
    """The settings that are specs (a name, or a table with one), with their defaults."""
    return {name: setting.default for name, setting in settings(Config).items() if setting.marks(SpecOf)}


def override(values: Mapping[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """A copy of plain data with `a.b=value` applied; a spec's bare name becomes a table when an option is set on it.

    Raises:
        ValueError: an assignment has no `=`, or sets a key of what is no table.
    """
    values = copy.deepcopy(dict(values))
    place: dict[str, Any]
    spec_of = default_specs()
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise ValueError(f'"{assignment}" is not key=value, for example training.steps=200')
        *path, last = key.strip().split(".")
        place = values
        for index, step in enumerate(path):
            inner = place.get(step, spec_of.get(step, {}) if index == 0 else {})
            if isinstance(inner, str) and index == 0 and step in spec_of:
                inner = {"name": inner}
            if not isinstance(inner, dict):
                raise ValueError(f"{key} cannot be set: {step} is {inner!r}, not a table")
            place[step] = inner
            place = inner
        place[last] = parse_value(text)
    return values


def load_config(path: str | Path | None = None, assignments: Iterable[str] = (), **values: Any) -> Config:
    """A config from a TOML file, then from keywords, then from `key=value`; the later wins.

    Raises:
        ValueError: the file is not TOML, or holds an unknown key or a wrong value; says where.
        FileNotFoundError: there is no such file.
    """
    plain = {} if path is None else read_toml(path)
    plain.update({key: value for key, value in values.items() if value is not None})
    return make_config(override(plain, assignments), path)


def make_config(plain: Mapping[str, Any], path: str | Path | None = None) -> Config:
    """A config from plain data, checked down to the options of its task, backbone and method; nothing is loaded.

    Args:
        plain: settings by name; left as they are.
        path: of the file they come from, for errors.

    Raises:
        ValueError: an unknown key or a wrong value; says where, what is wanted, and the nearest.
    """
    try:
        return build(Config, plain)
    except ValueError as error:
        raise ValueError(f"{path}: {error}" if path else str(error)) from error


def read_toml(path: str | Path) -> dict[str, Any]:
    """The contents of a TOML file.

    Raises:
        ValueError: it is not TOML; says in which line.
        FileNotFoundError: there is no such file.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not valid TOML: {error}") from error
