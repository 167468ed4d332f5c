"""Settings of a run: dataclasses filled from TOML and `key=value`, strict about names and types.

    data = "demo"
    task = ["key"]                      # or "key", or tables: [{name = "key"}, {name = "tempo"}]
    backbone = {name = "mini"}          # or "mini"
    method = {name = "lora", r = 4}     # or "lora", "lora+prefix", or a list of tables
    [training]
    steps = 400

On the command line the same is `task=key method.name=lora method.r=4 training.steps=400`.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from sordino.registry import unknown

T = TypeVar("T")
SPECS = ("task", "backbone", "method")


@dataclass
class Training:
    """How a run is trained.

    Attributes:
        steps: optimiser steps.
        batch_size: segments in a step.
        accumulate: parts that a step is computed in, one after the other; the gradient is that of the whole step.
        lr: learning rate of head and attached parts; None for the method's usual one.
        lr_min: where the cosine ends.
        schedule: `cosine` or `constant`.
        weight_decay: of Adam (decoupled).
        clip: largest norm of the gradient; 0 for none.
        segment_s: length of a training and evaluation segment; None for the longest that a task wants.
        crops: `grid` cuts every track alike in each pass; `random` cuts one segment out of each track, another one in
            every pass (as the paper's public code does); states cannot be stored then.
        augment: augmentations by name (`pitch_shift`, `time_stretch`, `gain`, `noise`, `band_limit`, `mix`).
        balanced: draw classes equally often instead of tracks.
        cache: keep what the frozen part gives on disk, as `float32` or `float16`; `waveform` keeps decoded
            audio only; `off` does all anew at every step.
        validate_every: steps between two validations; None for twenty in a run.
        checkpoint_s: seconds between two resumable checkpoints.
        precision: `auto` (bf16 autocast where the machine has it), `float32` or `bf16`.
        workers: threads that decode audio ahead; 0 for none beside the loop.
        accelerator: `auto`, `cpu`, `cuda`, `mps`.
        devices: how many devices.
        head_first: settings (`steps`, `lr`, ...) of a probe that is trained first, on stored states, and whose head is
            then trained on with the rest (Kumar et al., 2022, arXiv 2202.10054); empty for none.
        loss_weights: by task, when several are trained at once; 1 for those not named.
    """

    steps: int = 1000
    batch_size: int = 16
    accumulate: int = 1
    lr: float | None = None
    lr_min: float = 1e-7
    schedule: str = "cosine"
    weight_decay: float = 0.0
    clip: float = 1.0
    segment_s: float | None = None
    crops: str = "grid"
    augment: list[str] = field(default_factory=list)
    balanced: bool = False
    cache: str = "float32"
    validate_every: int | None = None
    checkpoint_s: float = 30.0
    precision: str = "auto"
    workers: int = 0
    accelerator: str = "auto"
    devices: int = 1
    head_first: dict[str, Any] = field(default_factory=dict)
    loss_weights: dict[str, float] = field(default_factory=dict)


@dataclass
class Config:
    """One run.

    Attributes:
        data: a named dataset or a path.
        root: where a named dataset lies; None for the usual place.
        task: what is learned, one spec or several.
        backbone: the frozen network, a spec.
        method: what is attached and trained, one spec or several.
        head: options of the heads (`layers`, `pool`, `hidden`, `dropout`).
        training: how.
        seed: of everything that is drawn.
    """

    data: str = "demo"
    root: str | None = None
    task: Any = "key"
    backbone: Any = "mini"
    method: Any = "lora"
    head: dict[str, Any] = field(default_factory=dict)
    training: Training = field(default_factory=Training)
    seed: int = 0

    def resolved(self) -> dict[str, Any]:
        """Everything as plain data, specs in their long form; the same run always gives the same."""
        plain = asdict(self)
        plain["task"] = specs(self.task, "task")
        plain["backbone"] = specs(self.backbone, "backbone")[0]
        plain["method"] = specs(self.method, "method")
        return plain

    def run_id(self) -> str:
        """A short hash of all settings that can change the result."""
        plain = self.resolved()
        for neutral in ("checkpoint_s", "workers"):
            plain["training"].pop(neutral)
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:10]


def specs(value: Any, what: str) -> list[dict[str, Any]]:
    """The long form of a spec: a list of tables with a `name`; a text may join names with `+`.

    Raises:
        ValueError: it is no name, table with a name, or list of these.
    """
    if isinstance(value, str):
        return [{"name": name.strip()} for name in value.split("+")]
    if isinstance(value, Mapping) and "name" in value:
        first, *others = specs(value["name"], what)
        return [{**value, **first}, *others]
    if isinstance(value, Iterable) and not isinstance(value, Mapping):
        return [spec for item in value for spec in specs(item, what)]
    if isinstance(value, Mapping):
        raise ValueError(f'the {what} table {dict(value)} has no name; write {{name = "...", ...}}')
    raise ValueError(f'{what} = {value!r} is not understood; write a name, or a table like {{name = "..."}}')


def build(cls: type[T], values: Mapping[str, Any], where: str = "config") -> T:
    """Fill a dataclass from plain data.

    Raises:
        ValueError: an unknown key (the nearest is offered), or a value of the wrong type.
    """
    hints = typing.get_type_hints(cls)
    known = [item.name for item in fields(cls)]  # type: ignore[arg-type]
    filled = {}
    for key, value in values.items():
        if key not in known:
            raise ValueError(unknown(f"key in {where}", key, known))
        hint = hints[key]
        if is_dataclass(hint) and isinstance(value, Mapping):
            value = build(hint, value, f"{where}.{key}")  # type: ignore[arg-type]
        filled[key] = _checked(value, hint, f"{where}.{key}")
    return cls(**filled)


def _checked(value: Any, hint: Any, where: str) -> Any:
    """The value, an integer made a float where one is wanted; an error if it has another type."""
    options = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    if Any in options or (value is None and type(None) in options):
        return value
    for option in options:
        origin = typing.get_origin(option) or option
        if origin is typing.Literal and value in typing.get_args(option):
            return value
        if origin is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if origin is tuple and isinstance(value, list):
            return tuple(value)
        if isinstance(origin, type) and isinstance(value, origin) and (origin is bool or not isinstance(value, bool)):
            return value
    names = " or ".join(
        ", ".join(map(repr, typing.get_args(option))) if typing.get_origin(option) is typing.Literal
        else getattr(option, "__name__", str(option)) for option in options
    )  # fmt: skip
    raise ValueError(f"{where} = {value!r} is a {type(value).__name__}; it wants {names}")


def parse_value(text: str) -> Any:
    """The value of `key=value`: TOML where it is TOML, otherwise the text itself."""
    if text == "none":
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def override(values: dict[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """Plain data with `a.b=value` applied; a bare name of a spec becomes a table when an option is set on it.

    Raises:
        ValueError: an assignment has no `=`.
    """
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise ValueError(f'"{assignment}" is not key=value, for example training.steps=200')
        *path, last = key.strip().split(".")
        place = values
        for index, step in enumerate(path):
            inner = place.get(step, {})
            if isinstance(inner, str) and index == 0 and step in SPECS:
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
    plain: dict[str, Any] = {}
    where = "config"
    if path is not None:
        where = str(path)
        try:
            plain = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{path} is not valid TOML: {error}") from error
    plain.update({key: value for key, value in values.items() if value is not None})
    for spec in SPECS:  # method.r=4 on the command line needs to know which method
        if any(a.startswith(f"{spec}.") for a in assignments) and spec not in plain:
            plain[spec] = {"name": getattr(Config(), spec)}
    return build(Config, override(plain, assignments), where)
