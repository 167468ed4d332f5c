"""A run: from a config to a folder with an adapter, a log and results. A finished run is never run twice.

runs/key-mini-lora-3f2a91c07b/
    config.json     everything resolved, written first
    log.jsonl       one line per validation
    checkpoint/     what a restarted process goes on from
    model.adapter/  the adapter file
    result.json     metrics with intervals, per-track scores, parameters, time, memory, versions; written last
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import sordino
from sordino.adapter_file import load_adapter, read_card, save_adapter
from sordino.backbones import load_backbone
from sordino.config import Config, Training, build
from sordino.contracts import Backbone, Dataset
from sordino.datasets import load_dataset
from sordino.files import write_json
from sordino.model import Model
from sordino.petl import parse_methods
from sordino.training.loop import Loop, make_fabric
from sordino.training.report import evaluate, protocol, tune, versions
from sordino.training.splits import Advance, cut_splits, make_source, make_tasks


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


def run_folder(config: Config, out: str | Path) -> Path:
    """Where a run lies: named by task, backbone, method, and a hash of its settings and of the user's own files."""
    plain = config.resolved()
    words = ["+".join(spec["name"] for spec in plain["task"]), plain["backbone"]["name"]]
    words += ["+".join(spec["name"] for spec in plain["method"])]
    files = [_content(Path(place)) for place in (config.data, str(plain["backbone"].get("weights", "")))]
    text = json.dumps([config.run_id(), sordino.__version__, files])
    return Path(out) / "-".join([*words, hashlib.sha256(text.encode()).hexdigest()[:10]])


def _content(path: Path) -> Any:
    """What stands for a file or folder of the user's: bytes of a table, names and sizes of everything else."""
    if not path.name or not path.exists():
        return None
    if path.is_file() and path.stat().st_size < 1e8:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return [(str(file.relative_to(path)), file.stat().st_size) for file in files]


def train(
    config: Config,
    out: str | Path = "runs",
    advance: Advance = lambda what, done, total: None,
    dataset: Dataset | None = None,
    backbone: Backbone | None = None,
) -> Run:
    """Train, evaluate on the test split, and write the run's folder; continue where a former process stopped.

    Args:
        config: the run.
        out: where run folders lie.
        advance: called with what is done, how far, of how much.
        dataset: opened already; None to open what the config names.
        backbone: loaded already, as the config names it; it is shared, not changed.

    Raises:
        ValueError: something in the config, the labels or the splits is wrong; says what.
        FileNotFoundError: the data or the weights are not there.
    """
    folder = run_folder(config, out)
    if (folder / "result.json").is_file():
        return Run(folder, json.loads((folder / "result.json").read_text(encoding="utf-8")))
    began = time.time()
    plain = config.resolved()
    settings = config.training
    fabric = make_fabric(settings)
    fabric.launch()
    dataset = load_dataset(config.data, config.root) if dataset is None else dataset
    tracks = dataset.tracks()
    tasks = make_tasks(plain["task"], tracks)
    backbone = load_backbone(**plain["backbone"]) if backbone is None else backbone
    fingerprint = backbone.fingerprint()
    methods = parse_methods(plain["method"])
    model = Model(backbone, tasks, methods, config.head, seed=config.seed)
    if settings.head_first:
        probe = train(probe_config(config, model), out, advance, dataset, backbone)
        model.heads.load_state_dict(probe.model().heads.state_dict())
    model.to(fabric.device)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", plain)

    splits = cut_splits(tracks, tasks, model, settings)
    sources = {
        name: make_source(model, examples, fingerprint, settings.cache, advance, name)
        for name, examples in splits.items()
    }
    loop = Loop(
        model, settings, config.seed, (splits["train"], sources["train"]),
        (splits["validation"], sources["validation"]), folder, fabric,
        lambda step, steps, loss: advance(f"train (loss {loss:.3f})", step, steps),
    )  # fmt: skip
    fitted = loop.run()
    tune(model, splits["validation"], sources["validation"])
    evaluation = evaluate(model, splits["test"], sources["test"])
    result = {
        "config": plain,
        "protocol": protocol(dataset, splits, model),
        "tasks": evaluation,
        "parameters": model.count(),
        "weights": backbone.weights,
        "best_step": fitted.best_step,
        "best_validation": fitted.best_score,
        "step_s": fitted.step_s,
        "peak_memory_bytes": fitted.peak_memory_bytes,
        "seconds": round(time.time() - began, 2),
        "broken": [line for examples in splits.values() for line in examples.broken],
        "versions": versions(),
    }
    metrics = {name: row["metrics"] for name, row in evaluation.items()}
    about = {"metrics": metrics, "data": dataset.name, "protocol": result["protocol"], "config": plain}
    segment_s = splits["train"].grid.length_samples / model.backbone.sample_rate_hz
    if fabric.is_global_zero:
        save_adapter(model, folder / "model.adapter", plain["backbone"], fingerprint, segment_s, about)
        write_json(folder / "result.json", result)
        shutil.rmtree(folder / "checkpoint", ignore_errors=True)
    model.detach()
    return Run(folder, json.loads(json.dumps(result)))


def probe_config(config: Config, model: Model) -> Config:
    """The run whose head `head_first` takes over: the same but for the method and the settings it names."""
    settings = build(
        Training, {**asdict(config.training), "head_first": {}, **config.training.head_first}, "head_first"
    )
    head = {name: value for method in model.methods for name, value in method.head.items()}
    return replace(config, method="probe", head={**head, **config.head}, training=settings)


def evaluate_adapter(
    adapter: str | Path,
    data: str | Path = "demo",
    root: str | Path | None = None,
    split: str = "test",
    advance: Advance = lambda what, done, total: None,
) -> dict[str, Any]:
    """Score an adapter on a split of a dataset (`all`: every track).

    Raises:
        ValueError: no track of the split has a label for the adapter's tasks.
    """
    model = load_adapter(adapter)
    card = read_card(adapter)
    tracks = [track.with_split("test") for track in load_dataset(data, root).tracks() if split in ("all", track.split)]
    examples = cut_splits(tracks, list(model.tasks.values()), model, Training(segment_s=card["segment_s"]))["test"]
    if not len(examples):
        raise ValueError(f"no track of {data} (split {split}) has a label for {', '.join(model.tasks)}")
    source = make_source(model, examples, card["backbone"]["fingerprint"], "off", advance, split)
    return evaluate(model, examples, source)
