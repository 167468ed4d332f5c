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
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sordino.adapter_file import load_adapter, save_adapter
from sordino.audio import AudioError
from sordino.backbones import load_backbone
from sordino.compute import Compute
from sordino.config import Config, Training
from sordino.contracts import Backbone, Dataset, Task, Track
from sordino.datasets import load_dataset, with_test_of
from sordino.files import write_json
from sordino.holding import held
from sordino.known_files import Known
from sordino.model import Model
from sordino.petl import parse_methods
from sordino.settings import build
from sordino.training.devices import Fabric, launched, wait
from sordino.training.evaluation import evaluate, tune
from sordino.training.examples import Examples
from sordino.training.identity import folder_name, identity
from sordino.training.loop import Fitted, Loop
from sordino.training.recordings import bad_labels, report
from sordino.training.report import protocol, versions
from sordino.training.sources import Source
from sordino.training.splits import Advance, cut_splits, look_at, make_source, make_tasks, silent
from sordino.training.trained_on import trained_on
from sordino.training.trouble import check_broken, check_scorable, without_damaged


@dataclass
class Run:
    """A finished run.

    Attributes:
        folder: where everything lies.
        result: the contents of `result.json`.
    """

    folder: Path
    result: dict[str, Any]

    @property
    def adapter(self) -> Path:
        """The adapter file."""
        return self.folder / "model.adapter"

    def model(self) -> Model:
        """The trained model, loaded."""
        return load_adapter(self.adapter)


@dataclass
class Plan:
    """A run that has been opened: all that decides it was read, nothing was computed.

    Attributes:
        config: its settings.
        dataset: where the tracks come from.
        tracks: all of them.
        tasks: fitted to the labels of the train split.
        backbone: the frozen network.
        fingerprint: of the backbone.
        known: what reading the sound files found, by path.
        identity: see `identity.py`.
        folder: where the run lies.
        left_out: one line for each row and label of the data that was not understood.
    """

    config: Config
    dataset: Dataset
    tracks: list[Track]
    tasks: list[Task]
    backbone: Backbone
    fingerprint: str
    known: Mapping[str, Known | AudioError]
    identity: dict[str, Any]
    folder: Path
    left_out: list[str]

    def finished(self) -> Run | None:
        """The run, if it is finished.

        Raises:
            ValueError: what lies in its folder is another run, or cannot be read.
        """
        path = self.folder / "result.json"
        if not path.is_file():
            return None
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            same = result["identity"] == json.loads(json.dumps(self.identity))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} cannot be read ({error}); delete its folder to train again") from error
        if not same:
            raise ValueError(f"{path} belongs to another run; delete its folder to train again")
        return Run(self.folder, result)


def open_run(
    config: Config,
    out: str | Path = "runs",
    advance: Advance = silent,
    dataset: Dataset | None = None,
    backbone: Backbone | None = None,
    left_out: Sequence[str] = (),
) -> Plan:
    """Read labels, splits, sound files and weights, and so find out which run this is.

    Args:
        config: the settings.
        out: where run folders lie.
        advance: called with what is done, how far, of how much.
        dataset: what `data` names, opened already; None to open it.
        backbone: loaded already, as the config names it; it is shared, not changed.
        left_out: what was left out of the dataset already, one line each.

    Raises:
        ValueError: something in the config, the labels or the splits is wrong; says what.
        FileNotFoundError: the data or the weights are not there.
    """
    plain = config.resolved()
    dataset = with_test_of(load_dataset(config.data, config.root) if dataset is None else dataset, config.test)
    tracks = dataset.tracks()
    tasks = make_tasks(plain["task"], tracks)
    backbone = load_backbone(**plain["backbone"]) if backbone is None else backbone
    fingerprint = backbone.fingerprint()
    refused = [*left_out, *dataset.refused, *bad_labels(tasks, tracks)]
    if refused and config.strict:
        raise ValueError(f"{refused[0]}; {len(refused)} such lines, which are left out unless `strict` is set")
    known = look_at(tracks, tasks, advance)
    what = identity(config, dataset, tracks, tasks, known, fingerprint)
    folder = Path(out) / folder_name(what)
    return Plan(config, dataset, tracks, tasks, backbone, fingerprint, known, what, folder, refused)


def with_config(plan: Plan, config: Config) -> Plan:
    """Another run beside an opened one, on the same tracks, tasks and backbone; nothing is read again."""
    tasks = make_tasks(config.resolved()["task"], plan.tracks)
    what = identity(config, plan.dataset, plan.tracks, tasks, plan.known, plan.fingerprint)
    return replace(plan, config=config, tasks=tasks, identity=what, folder=plan.folder.parent / folder_name(what))


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


def carry_out(plan: Plan, advance: Advance = silent, fabric: Fabric | None = None) -> Run:
    """Train and evaluate what was opened, unless it is finished; one process at a time, others wait for it.

    Args:
        plan: the run.
        advance: called with what is done, how far, of how much.
        fabric: devices and processes, launched already; None to launch them.
    """
    fabric = launched(plan.config.training) if fabric is None else fabric
    with held(plan.folder) if fabric.is_global_zero else nullcontext():
        wait(fabric)  # until the run is ours
        finished = plan.finished()
        wait(fabric)  # nobody begins to write before everybody has looked
        if finished and fabric.is_global_zero:  # killed, or the disk full, between the result and this
            shutil.rmtree(plan.folder / "checkpoint", ignore_errors=True)
        return finished or without_damaged(
            plan.known, plan.tracks, lambda known: _carried_out(replace(plan, known=known), advance, fabric),
            lambda: shutil.rmtree(plan.folder / "checkpoint", ignore_errors=True),  # of other rows
        )  # fmt: skip


def _carried_out(plan: Plan, advance: Advance, fabric: Fabric) -> Run:
    """The run, carried out to its end; nobody else writes into its folder.

    Raises:
        AudioError: a file turns out to be damaged.
    """
    began = time.time()
    report(plan.left_out)
    compute = Compute.choose(fabric.device, plan.config.training.precision)
    model, before_cpu_s = build_model(plan, advance, fabric)
    if fabric.is_global_zero:
        write_json(plan.folder / "config.json", plan.config.resolved())
    splits = cut_splits(plan.tracks, plan.known, model, plan.config.training, plan.config.seed)
    check_broken(splits, plan.config.most_broken)
    check_scorable(splits["test"], model.tasks)
    sources = {
        name: make_source(model, examples, compute, plan.fingerprint, plan.config.training, advance, name)
        for name, examples in splits.items()
    }
    loop = Loop(
        model, plan.config.training, plan.config.seed, (splits["train"], sources["train"]),
        (splits["validation"], sources["validation"]), plan.folder, fabric, compute,
        lambda step, steps, loss: advance(f"train (loss {loss:.3f})", step, steps),
    )  # fmt: skip
    fitted = loop.run()
    result = result_of(plan, model, splits, sources, compute, fitted)
    result["seconds"] = round(time.time() - began, 2)
    result["train_cpu_s"] = round(before_cpu_s + fitted.cpu_s, 3)
    if fabric.is_global_zero:
        save(plan, model, splits, result)
    wait(fabric)
    model.detach()
    return Run(plan.folder, json.loads((plan.folder / "result.json").read_text(encoding="utf-8")))


def finished_runs(folders: Iterable[str | Path]) -> list[Run]:
    """Every finished run in some folders or anywhere below them, each once.

    Raises:
        ValueError: a `result.json` cannot be read; says which.
    """
    found = {path.parent.resolve(): path for folder in folders for path in sorted(Path(folder).rglob("result.json"))}
    runs = []
    for path in found.values():
        try:
            runs.append(Run(path.parent, json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} cannot be read ({error}); delete its folder and train again") from error
    return runs


def untrained(plan: Plan) -> Model:
    """The model of a run as it begins, on a share of the plan's backbone."""
    config = plan.config
    methods = parse_methods(config.resolved()["method"])
    return Model(plan.backbone, plan.tasks, methods, config.head, seed=config.seed)


def build_model(plan: Plan, advance: Advance, fabric: Fabric) -> tuple[Model, float]:
    """The model, on its device, with the head of a probe where one is to be trained first, and what that has cost."""
    config, model, cpu_s = plan.config, untrained(plan), 0.0
    if config.training.head_first:
        probe = carry_out(with_config(plan, probe_config(config, model)), advance, fabric)
        trained = load_adapter(probe.adapter, plan.backbone, plan.fingerprint)
        model.heads.load_state_dict(trained.heads.state_dict())
        cpu_s = probe.result["train_cpu_s"]
    return model.to(fabric.device), cpu_s


def probe_config(config: Config, model: Model) -> Config:
    """The run whose head `head_first` takes over: the same but for the method and the settings it names."""
    settings = build(
        Training, {**asdict(config.training), "head_first": {}, **config.training.head_first}, "head_first"
    )
    head = {name: value for method in model.methods for name, value in method.head.items()}
    return replace(config, method="probe", head={**head, **config.head}, training=settings)


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
        "tasks": evaluate(model, splits["test"], sources["test"], compute),
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
