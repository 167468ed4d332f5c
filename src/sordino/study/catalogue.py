"""What there is, as plain data: for `sordino list` and `sordino show`.

Backbones, methods and tasks are described in `catalogue.json`, which `tools/build_docs.py` writes: to build networks
for their counts takes seconds, and PyTorch. A file that is not there, or that has changed since, is described by
itself, and so are datasets, which need no PyTorch. What depends on the machine is found out each time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from sordino import registry
from sordino.backbones._published import AnyRepository, Published
from sordino.backbones._wheel import InWheel
from sordino.contracts.weights import whereabouts
from sordino.study.description import described

PATH = Path(__file__).with_name("catalogue.json")
KINDS = ("backbone", "method", "task")  # those that are in it
PUBLISHED = {cls.__name__: cls for cls in (Published, InWheel, AnyRepository)}

Entry = Mapping[str, Any]


def catalogue(kind: str) -> list[dict[str, Any]]:
    """One row for each backbone, method, task or dataset.

    Args:
        kind: `backbone`, `method`, `task` or `dataset`.
    """
    rows = [_row(kind, name, _entry(kind, name)) for name in registry.names(kind)]
    return sorted(rows, key=lambda row: (row["year"], row["name"])) if kind == "method" else rows


def describe(name: str) -> dict[str, Any]:
    """Everything about one name; `about` is the head of its file.

    Raises:
        ValueError: nothing has this name; the nearest is offered.
    """
    kind = next((kind for kind in registry.FOLDERS if name in registry.names(kind)), None)
    if kind is None:
        known = [each for kind in registry.FOLDERS for each in registry.names(kind)]
        raise ValueError(registry.unknown("name", name, known))
    entry = _entry(kind, name)
    told = {"kind": kind, **_row(kind, name, entry)}
    if kind == "backbone":
        told["weights"] = _weights(name, entry)
    elif kind == "dataset":
        told.update(labels=", ".join(told["labels"]), root=str(registry.find(kind, name).default_root()))
    return {**told, **entry["more"]}


def written() -> str:
    """What `catalogue.json` should be."""
    entries: dict[str, dict[str, Entry]] = {kind: {} for kind in KINDS}
    for kind in KINDS:
        for name in registry.own_names(kind):
            entries[kind][name] = {"file": _file(kind, name), **described(kind, name)}
    for name, entry in entries["backbone"].items():
        published = registry.find("backbone", name).published
        told = {variant: {"kind": type(one).__name__, **asdict(one)} for variant, one in published.items()}
        entries["backbone"][name] = {**entry, "published": told}
    return json.dumps(entries, indent=1, ensure_ascii=False) + "\n"


def _entry(kind: str, name: str) -> Entry:
    """What is written of a name, or what it tells of itself."""
    entry = _read().get(kind, {}).get(name)
    return entry if entry is not None and entry["file"] == _file(kind, name) else described(kind, name)


@cache
def _read() -> dict[str, dict[str, Entry]]:
    return json.loads(PATH.read_text(encoding="utf-8")) if PATH.is_file() else {}


def _file(kind: str, name: str) -> str:
    """A hash of the file of this name."""
    text = registry.file(kind, name).read_text(encoding="utf-8")  # line ends as Python reads them
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _row(kind: str, name: str, entry: Entry) -> dict[str, Any]:
    return {**entry["row"], **({"here": _is_here(registry.find(kind, name))} if kind == "dataset" else {})}


def _weights(name: str, entry: Entry) -> str:
    """Where the weights of a backbone are on this machine, or how to get them."""
    if "published" not in entry:
        return registry.find("backbone", name).where()
    published = {}
    for variant, told in entry["published"].items():
        fields = {key: value for key, value in told.items() if key != "kind"}
        published[variant] = PUBLISHED[told["kind"]](**fields)
    return whereabouts(published)


def _is_here(cls: Any) -> bool:
    try:
        return cls().available()
    except (TypeError, FileNotFoundError):
        return False  # a user's own data has no usual place
