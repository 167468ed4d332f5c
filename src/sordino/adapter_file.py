"""The adapter file: what training changed, and everything needed to use it, in one small folder.

    NAME.adapter/
        adapter.safetensors   the sidecars, the heads, the unfrozen parameters; nothing of the frozen backbone
        adapter.json          format, backbone and its fingerprint, methods, tasks, head, names, metrics, licences
        README.md             a model card
        backbone.safetensors  only where an adapter was merged (`share/merged.py`): the backbone's weights

The folder is written beside its place and renamed when it is complete (`files.py`). Nothing in it is ever unpickled.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

import sordino
from sordino.backbones import load_backbone
from sordino.contracts import Backbone, Task
from sordino.files import whole_folder, write_folder, write_json, write_text, write_with
from sordino.model import Model
from sordino.model_card import model_card
from sordino.petl import make_method
from sordino.registry import find

FORMAT = 1
MERGED = "backbone.safetensors"
NAMES = ("adapter.safetensors", "adapter.json", "README.md", MERGED)


def save_adapter(
    model: Model,
    folder: str | Path,
    backbone: Mapping[str, Any],
    fingerprint: str,
    segment_s: float,
    about: Mapping[str, Any] | None = None,
    beside: Callable[[Path], object] | None = None,
) -> Path:
    """Write a model's trained part.

    Args:
        model: the model.
        folder: where to; an adapter that is there is replaced when the new one is complete.
        backbone: the spec the backbone was loaded from (`name`, `weights`, `depth`, ...).
        fingerprint: of the backbone before training.
        segment_s: length of the segments it was trained on and answers with.
        about: what else to keep in `adapter.json` (metrics, data, settings, licences).
        beside: writes what else belongs into the folder.

    Returns:
        The folder.

    Raises:
        ValueError: what is at `folder` is no adapter, or `segment_s` no length; nothing is written.
    """
    tensors = _tensors(model)
    card = {
        **(about or {}),
        "format": FORMAT,
        "sordino": sordino.__version__,
        "backbone": {**backbone, "fingerprint": fingerprint, "weights_from": model.backbone.weights},
        "licence_of_weights": model.backbone.licence,
        "methods": [{"name": method.name, **method.options()} for method in model.methods],
        "tasks": [{"name": name, "config": task.config()} for name, task in model.tasks.items()],
        "head": vars(model.head_config),
        "segment_s": segment_s,
        "unfrozen": model.unfrozen,
        "parameters": model.count(),
        "tensors": sorted(tensors),
    }
    _check_segment(segment_s, str(folder))
    _check_replaceable(Path(folder))

    def fill(part: Path) -> None:
        write_with(part / "adapter.safetensors", lambda path: save_file(tensors, path))
        write_json(part / "adapter.json", card)
        write_text(part / "README.md", model_card(Path(folder).name, card))
        if beside is not None:
            beside(part)

    return write_folder(folder, fill)


def read_card(folder: str | Path) -> dict[str, Any]:
    """The contents of `adapter.json`.

    Raises:
        FileNotFoundError: there is no adapter at `folder`.
        ValueError: it is not readable, lacks something, or is of a newer format.
    """
    path = whole_folder(folder) / "adapter.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is not an adapter: it holds no adapter.json")
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        version = card["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not an adapter's description: {error}") from error
    if version != FORMAT:
        raise ValueError(f"{path} has format {version}; this version of sordino reads format {FORMAT}")
    missing = [key for key in ("backbone", "methods", "tasks", "head", "segment_s") if key not in card]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}; make the adapter again")
    _check_segment(card["segment_s"], str(path))
    if (path.parent / MERGED).is_file():
        card["merged"] = str(path.parent / MERGED)
    return card


def _check_segment(value: Any, where: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError(f"{where}: segment_s = {value!r} is not a length; it wants seconds, more than 0")


def _check_replaceable(folder: Path) -> None:
    """Raise ValueError unless nothing but an older adapter is lost with this folder."""
    held = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if not folder.exists() or (folder.is_dir() and not held):
        return
    foreign = [name for name in held if name not in NAMES]
    try:
        known = {"format", "methods"} <= json.loads((folder / "adapter.json").read_text(encoding="utf-8")).keys()
    except (OSError, ValueError, AttributeError):
        known = False
    if foreign or not known:
        told = f"holds {', '.join(foreign[:3])}" if foreign else "is no adapter"
        raise ValueError(f"{folder} is there and {told}; nothing was written: give another place, or move it away")


def read_tasks(folder: str | Path) -> dict[str, Task]:
    """The tasks of an adapter, without its backbone."""
    return {task["name"]: find("task", task["name"]).restore(task["config"]) for task in read_card(folder)["tasks"]}


def backbone_of(card: Mapping[str, Any]) -> Backbone:
    """Load the backbone that an adapter's card names, with the weights beside it where it was merged.

    Raises:
        FileNotFoundError: its weights are not on this machine.
        ValueError: it cannot be built as named.
    """
    spec = {k: v for k, v in card["backbone"].items() if k not in ("fingerprint", "weights_from")}
    backbone = load_backbone(**spec)
    if merged := card.get("merged"):
        try:
            backbone.load_state_dict(load_file(merged))
        except (SafetensorError, OSError, RuntimeError) as error:
            raise ValueError(f"{merged} does not fit {spec['name']}: {str(error).splitlines()[0]}") from error
        backbone.weights = card["backbone"]["weights_from"]
    return backbone


def load_adapter(folder: str | Path, backbone: Backbone | None = None, fingerprint: str | None = None) -> Model:
    """Build the model that an adapter file describes.

    Args:
        folder: the adapter.
        backbone: one that is loaded already (shared between adapters); None to load the one it names.
        fingerprint: of this backbone, where it is known; None to find it out, which reads all weights.

    Returns:
        The model, in evaluation mode.

    Raises:
        FileNotFoundError: no adapter there, or the backbone's weights are not on this machine.
        ValueError: the backbone is another one, or a tensor is missing or unknown.
    """
    card = read_card(folder)
    spec = card["backbone"]
    backbone = backbone or backbone_of(card)
    found = backbone.fingerprint() if fingerprint is None else fingerprint
    if found != card["backbone"]["fingerprint"]:
        raise ValueError(
            f"{folder} was trained on {spec['name']} with weights {card['backbone']['fingerprint']} "
            f"({card['backbone']['weights_from']}), but this backbone is {backbone.name} with {found} "
            f"({backbone.weights}); load the backbone it names, or train the adapter again"
        )
    methods = [make_method(**{**find("method", given["name"]).earlier, **given}) for given in card["methods"]]
    model = Model(backbone, list(read_tasks(folder).values()), methods, card["head"])
    try:
        tensors = load_file(whole_folder(folder) / "adapter.safetensors")
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{folder}/adapter.safetensors cannot be read: {error}") from error
    _load_tensors(model, tensors, str(folder))
    return model


def _tensors(model: Model) -> dict[str, Tensor]:
    """Everything that is saved, by name."""
    named: dict[str, Tensor] = {}
    for number, attachment in enumerate(model.backbone.attached):
        named.update({f"method.{number}:{name}": value for name, value in attachment.tensors().items()})
    named.update({f"head:{name}": value for name, value in model.heads.state_dict().items()})
    own = dict(model.backbone.named_parameters())
    named.update({f"backbone:{name}": own[name] for name in model.unfrozen})
    return {name: value.detach().cpu().contiguous().clone() for name, value in named.items()}


def _load_tensors(model: Model, tensors: Mapping[str, Tensor], where: str) -> None:
    """Put saved tensors where they belong; each must have a place, and each place its tensor."""
    grouped: dict[str, dict[str, Tensor]] = {}
    for full, value in tensors.items():
        home, _, name = full.partition(":")
        grouped.setdefault(home, {})[name] = value
    try:
        for number, attachment in enumerate(model.backbone.attached):
            attachment.load_tensors(grouped.pop(f"method.{number}", {}))
        model.heads.load_state_dict(grouped.pop("head", {}))
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from error
    unfrozen = grouped.pop("backbone", {})
    if grouped:
        raise ValueError(f"{where}: tensors {sorted(grouped)[:5]} are unknown")
    try:
        model.load_trained_state({
            **{name: value for name, value in model.trained_state().items() if not name.startswith("backbone.")},
            **{f"backbone.{name}": value for name, value in unfrozen.items()},
        })  # fmt: skip
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
