"""A run that has been opened: everything that decides it was read, nothing was computed.

    config + labels + sound files + weights -> identity -> the folder, where a finished run is found again

What goes first (`after`, `head_first`) is a run of its own, opened along with it; so are folds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sordino.adapter_file import load_adapter
from sordino.audio import AudioError
from sordino.backbones import load_backbone
from sordino.config import Config, Training
from sordino.contracts import Backbone, Dataset, Task, Track
from sordino.datasets import Folds, load_dataset, with_test_of
from sordino.known_files import Known
from sordino.model import Model
from sordino.petl import parse_methods
from sordino.settings import build
from sordino.training.identity import folder_name, identity
from sordino.training.recordings import bad_labels
from sordino.training.splits import Advance, look_at, make_tasks, silent

FOLDED = "folds"  # the folder for the folds of a cross-validated run, beside it


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
        before: runs that go first and whose trained parts this one begins with, opened (`after`).
        folds: the runs that it is scored by, opened (`folds.py`); none where it has a test split.
        scored: what stands in `result.json` for the test split's scores, those of its folds; None: these.
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
    before: list[Plan] = field(default_factory=list)
    folds: list[Plan] = field(default_factory=list)
    scored: dict[str, Any] | None = None

    @property
    def beneath(self) -> list[Plan]:
        """Those of `before` whose parts stay beneath this run's, frozen."""
        return self.before if self.config.after_as == "frozen" else []

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
    dataset = load_dataset(config.data, config.root) if dataset is None else dataset
    backbone = load_backbone(**plain["backbone"]) if backbone is None else backbone
    if config.n_folds:
        return _open_folded(config, Path(out), advance, dataset, backbone, left_out)
    before = [_open_first(config, table, out, advance, dataset, backbone) for table in config.after]
    dataset = with_test_of(dataset, config.test)
    tracks = dataset.tracks()
    tasks = make_tasks(plain["task"], tracks)
    fingerprint = backbone.fingerprint()
    refused = [*left_out, *dataset.refused, *bad_labels(tasks, tracks)]
    if refused and config.strict:
        raise ValueError(f"{refused[0]}; {len(refused)} such lines, which are left out unless `strict` is set")
    known = look_at(tracks, tasks, advance)
    what = identity(config, dataset, tracks, tasks, known, fingerprint, [plan.identity for plan in before])
    folder = Path(out) / folder_name(what)
    return Plan(config, dataset, tracks, tasks, backbone, fingerprint, known, what, folder, refused, before)


def _open_folded(
    config: Config, out: Path, advance: Advance, dataset: Dataset, backbone: Backbone, left_out: Sequence[str]
) -> Plan:
    """The run on all tracks, which is known by its folds too, and these."""
    tasks = make_tasks(config.resolved()["task"], [track.with_split("train") for track in dataset.tracks()])
    config = replace(config, task=[{"name": task.name, **task.config()} for task in tasks])  # all folds know all labels
    whole, alone = Folds(dataset, config.n_folds, [task.label for task in tasks]), replace(config, folds=1)
    folds = [open_run(alone, out / FOLDED, advance, fold, backbone) for fold in whole.folds]
    last = open_run(alone, out, advance, whole, backbone, left_out)
    what = {**last.identity, "folds": [plan.folder.name for plan in folds]}
    return replace(last, config=config, identity=what, folder=out / folder_name(what), folds=folds)


def _open_first(
    config: Config,
    table: Mapping[str, Any],
    out: str | Path,
    advance: Advance,
    dataset: Dataset | None,
    backbone: Backbone,
) -> Plan:
    first = first_config(config, table)
    same_data = (first.data, first.root) == (config.data, config.root)
    return open_run(first, out, advance, dataset if same_data else None, backbone)


def first_config(config: Config, table: Mapping[str, Any]) -> Config:
    """The run that goes before one with `config`: the same but for the settings in `table`, one of its `after`."""
    training = build(Training, {**asdict(config.training), **table.get("training", {})}, "after.training")
    return replace(config, **{"folds": 1, "after": [], "after_as": "start", **table, "training": training})


def with_config(plan: Plan, config: Config) -> Plan:
    """Another run beside an opened one, on the same tracks, tasks and backbone; nothing of these is read again, but for
    folds."""
    out = plan.folder.parent
    if config.n_folds:
        whole = plan.dataset.whole if isinstance(plan.dataset, Folds) else plan.dataset
        return _open_folded(config, out, silent, whole, plan.backbone, ())
    tasks = make_tasks(config.resolved()["task"], plan.tracks)
    before = [_open_first(config, table, out, silent, None, plan.backbone) for table in config.after]
    what = identity(config, plan.dataset, plan.tracks, tasks, plan.known, plan.fingerprint,
                    [own.identity for own in before])  # fmt: skip
    return replace(
        plan, config=config, tasks=tasks, identity=what, folder=out / folder_name(what), before=before, folds=[]
    )


def results_below(folder: str | Path) -> list[Path]:
    """The `result.json` of every run in a folder or anywhere below it, but for those that are folds of another."""
    found = sorted(Path(folder).rglob("result.json"))
    return [path for path in found if FOLDED not in path.relative_to(folder).parts]


def finished_runs(folders: Iterable[str | Path]) -> list[Run]:
    """Every finished run in some folders or anywhere below them, each once, without folds.

    Raises:
        ValueError: a `result.json` cannot be read; says which.
    """
    found = {path.parent.resolve(): path for folder in folders for path in results_below(folder)}
    runs = []
    for path in found.values():
        try:
            runs.append(Run(path.parent, json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} cannot be read ({error}); delete its folder and train again") from error
    return runs


def untrained(plan: Plan) -> Model:
    """The model of a run as it begins, on a share of the plan's backbone; what lies beneath has no values yet."""
    config = plan.config
    beneath = [method for first in plan.beneath for method in parse_methods(first.config.resolved()["method"])]
    methods = [*beneath, *parse_methods(config.resolved()["method"])]
    return Model(plan.backbone, plan.tasks, methods, config.head, seed=config.seed, n_frozen=len(beneath))


@contextmanager
def briefly(plan: Plan) -> Iterator[Model]:
    """The model of a run, on a share of its backbone, for a while."""
    model = untrained(plan)
    try:
        yield model
    finally:
        model.detach()


def probe_before(plan: Plan) -> Plan | None:
    """The probe whose head a run begins with (`head_first`), opened; None for a run without."""
    if not plan.config.training.head_first:
        return None
    with briefly(plan) as model:
        return with_config(plan, probe_config(plan.config, model))


def probe_config(config: Config, model: Model) -> Config:
    """The run whose head `head_first` takes over: the same but for the method and the settings it names."""
    own = config.training.head_first or {}
    settings = build(Training, {**asdict(config.training), "head_first": {}, **own}, "head_first")
    head = {name: value for method in model.methods for name, value in method.head.items()}
    frozen = config.after_as == "frozen"  # beneath the probe too; else the probe knows nothing of them
    return replace(config, method="probe", folds=1, head={**head, **config.head}, training=settings,
                   after=config.after if frozen else [])  # fmt: skip
