"""The adapter file: what training changed, and everything needed to use it, in one small folder.

    NAME.adapter/
        adapter.safetensors   the sidecars, the heads, the unfrozen parameters; nothing of the frozen backbone
        adapter.json          format, backbone and its fingerprint, methods, tasks, head, names, metrics, licences
        README.md             a model card
        backbone.safetensors  only where an adapter was merged (`share/merged.py`): the backbone's weights

The folder is written beside its place and renamed when it is complete (`files.py`). Nothing in it is ever unpickled.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

import sordino
from sordino.adapter_reading import (
    check_backbone,
    check_built,
    check_known,
    check_numbers,
    check_parts,
    check_segment,
    check_shapes,
    read_as_text,
    read_table,
    shapes_in,
    without_memory,
)
from sordino.backbones import load_backbone
from sordino.contracts import Backbone, Task
from sordino.files import whole_folder, write_folder, write_json, write_text, write_with
from sordino.hub import check_replaceable
from sordino.model import Model
from sordino.model_card import model_card
from sordino.petl import make_method
from sordino.registry import FROM, find, told_outside
from sordino.rules import shown

FORMAT = 1
MERGED = "backbone.safetensors"


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
    used = {"backbone": [model.backbone], "method": model.methods, "task": model.tasks.values()}
    outside = [told for kind, those in used.items() for each in those if (told := told_outside(kind, type(each)))]
    spec = {key: value for key, value in backbone.items() if key != FROM}
    card = {
        **(about or {}),
        **({"outside": outside} if outside else {}),
        "format": FORMAT,
        "sordino": sordino.__version__,
        "backbone": {**spec, "fingerprint": fingerprint, "weights_from": model.backbone.weights},
        "licence_of_weights": model.backbone.licence,
        "methods": [{"name": method.name, **method.options()} for method in model.methods],
        "frozen_methods": model.n_frozen,
        "tasks": [{"name": name, "config": task.config()} for name, task in model.tasks.items()],
        "head": vars(model.head_config),
        "segment_s": segment_s,
        "unfrozen": model.unfrozen,
        "parameters": model.count(),
        "tensors": sorted(tensors),
    }
    check_segment(segment_s, str(folder))
    check_replaceable(folder)

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
    if not path.exists():
        raise FileNotFoundError(f"{folder} is not an adapter: it holds no adapter.json")
    card = read_table(path)
    if card.get("format") != FORMAT:
        raise ValueError(f"{path} is not an adapter's description that this version of sordino reads: format "
                         f"{shown(card.get('format'))}, not {FORMAT}")  # fmt: skip
    check_parts(card, path)
    card["merged"] = str(path.parent / MERGED) if (path.parent / MERGED).is_file() else None
    return card


def read_tasks(folder: str | Path) -> dict[str, Task]:
    """The tasks of an adapter, without its backbone."""
    return {task.name: task for task in _tasks(read_card(folder), str(folder))}


def _tasks(card: Mapping[str, Any], where: str) -> list[Task]:
    check_known(card, where)
    with read_as_text(where):
        return [find("task", task["name"]).restore(task["config"]) for task in card["tasks"]]


def backbone_of(card: Mapping[str, Any], folder: str | Path) -> Backbone:
    """Load the backbone that an adapter's card names, with the weights beside it where it was merged.

    Args:
        card: see `read_card`.
        folder: the adapter's, for errors.

    Raises:
        FileNotFoundError: its weights are not on this machine.
        ValueError: it cannot be built as named.
    """
    spec = {key: value for key, value in card["backbone"].items() if key not in ("fingerprint", "weights_from")}
    check_known(card, str(folder))
    check_backbone(spec, str(folder))
    with read_as_text(str(folder)):
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
        ValueError: the backbone is another one, the card names what cannot be or is not installed, or a tensor is
            missing, unknown, of another shape or type, or no number; told before anything large is allocated.
    """
    card = read_card(folder)
    check_known(card, str(folder))
    spec = card["backbone"]
    backbone = backbone or backbone_of(card, folder)
    found = backbone.fingerprint() if fingerprint is None else fingerprint
    if found != spec["fingerprint"]:
        raise ValueError(
            f"{folder} was trained on {spec['name']} with weights {spec['fingerprint'][:16]} "
            f"({str(spec.get('weights_from'))[:60]}), but this backbone is {backbone.name} with {found} "
            f"({backbone.weights}); load the backbone it names, or train the adapter again"
        )
    path = whole_folder(folder) / "adapter.safetensors"
    with read_as_text(str(folder)), torch.device("meta"):
        outline = _model(card, without_memory(backbone), str(folder))
        wanted = {name: (tuple(value.shape), value.dtype) for name, value in _named_tensors(outline).items()}
        check_built(outline.attachments, str(folder))
        check_built(outline.heads, str(folder))
    check_shapes(shapes_in(path), wanted, str(folder))
    model = _model(card, backbone, str(folder))
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    check_numbers(tensors, str(path))
    _load_tensors(model, tensors, str(folder))
    return model


def _model(card: Mapping[str, Any], backbone: Backbone, where: str) -> Model:
    """The model that a card describes, with the weights it begins with."""
    methods = [make_method(**{**find("method", given["name"]).earlier, **given}) for given in card["methods"]]
    n_frozen = card.get("frozen_methods", 0)
    if isinstance(n_frozen, bool) or not isinstance(n_frozen, int) or not 0 <= n_frozen <= len(methods):
        raise ValueError(f"{where}: frozen_methods = {str(n_frozen)[:60]} is no number of its {len(methods)} methods")
    return Model(backbone, _tasks(card, where), methods, card["head"], n_frozen=n_frozen)


def _named_tensors(model: Model) -> dict[str, Tensor]:
    """Everything that is saved, by name: the model's own tensors."""
    named: dict[str, Tensor] = {}
    for number, attachment in enumerate(model.backbone.attached):
        named.update({f"method.{number}:{name}": value for name, value in attachment.tensors().items()})
    named.update({f"head:{name}": value for name, value in model.heads.state_dict().items()})
    own = dict(model.backbone.named_parameters())
    return {**named, **{f"backbone:{name}": own[name] for name in model.unfrozen}}


def _tensors(model: Model) -> dict[str, Tensor]:
    """Copies of everything that is saved, by name."""
    named = _named_tensors(model)
    return {name: value.detach().cpu().contiguous().clone() for name, value in named.items()}


def _load_tensors(model: Model, tensors: Mapping[str, Tensor], where: str) -> None:
    """Put saved tensors where they belong; `check_shapes` has found a place for each, and its tensor for each place."""
    grouped: defaultdict[str, dict[str, Tensor]] = defaultdict(dict)
    for full, value in tensors.items():
        home, _, name = full.partition(":")
        grouped[home][name] = value
    try:
        for number, attachment in enumerate(model.backbone.attached):
            attachment.load_tensors(grouped[f"method.{number}"])
        model.heads.load_state_dict(grouped["head"])
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from error
    with torch.no_grad():
        for name, value in grouped["backbone"].items():
            model.backbone.get_parameter(name).copy_(value)
