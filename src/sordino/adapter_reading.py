"""What is looked at of an adapter before anything is built from it: an adapter may come from a stranger.

Conventions: `adapter.json` is read if it is a plain file of a sane size, and its parts have their types. Of
`adapter.safetensors` the head is read first: names, types and shapes must be those that the methods and heads it names
would have, which is found out on PyTorch's `meta` device, without memory. Only then is anything allocated.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sordino.backbones import load_backbone
from sordino.backbones._repository import Files
from sordino.contracts import Backbone
from sordino.outside import is_place, trusted
from sordino.registry import FOLDERS, FROM, names
from sordino.rules import shown
from sordino.settings import fit

MOST_JSON_BYTES = 64 << 20  # the hashes of two million tracks
MOST_HEAD_BYTES, MOST_TENSORS = 16 << 20, 50_000
MOST_BUILT_BYTES = 16 << 30  # that a backbone of random weights, or what is attached, may take
LONGEST_SEGMENT_S = 3600.0
PARTS = {"backbone": dict[str, Any], "methods": list[dict[str, Any]], "tasks": list[dict[str, Any]],
         "head": dict[str, Any], "segment_s": float}  # fmt: skip
DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}

Shapes = Mapping[str, tuple[tuple[int, ...], torch.dtype]]


@contextmanager
def read_as_text(where: str) -> Iterator[None]:
    """Whatever goes wrong with what is written at a place is one ValueError that names it.

    Raises:
        ValueError: it did.
    """
    try:
        yield
    except ValueError as error:
        raise error if where in str(error) else ValueError(f"{where}: {error}") from error
    except (TypeError, KeyError, AttributeError, IndexError, RecursionError, ArithmeticError, MemoryError) as error:
        raise ValueError(f"{where} is not understood ({type(error).__name__}: {str(error)[:120]})") from error
    except RuntimeError as error:  # PyTorch's, for sizes that cannot be
        raise ValueError(f"{where} is not understood ({str(error).partition(chr(10))[0][:120]})") from error


def read_table(path: Path) -> dict[str, Any]:
    """The table in a JSON file.

    Raises:
        ValueError: it is no plain file, too large, or no JSON of a table.
    """
    _check_file(path, MOST_JSON_BYTES)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not an adapter's description: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} is not an adapter's description: it holds no table")
    return found


def check_parts(card: Mapping[str, Any], path: Path) -> None:
    """Raise ValueError where a part of a description has not its type, or a length or name is none."""
    if missing := [key for key in PARTS if key not in card]:
        raise ValueError(f"{path} lacks {', '.join(missing)}; make the adapter again")
    for key, hint in PARTS.items():
        if key != "segment_s":
            fit(card[key], hint, f"{path}: {key}")
    check_segment(card["segment_s"], str(path))
    named = [(f"backbone.{key}", card["backbone"].get(key)) for key in ("name", "fingerprint")]
    named += [
        (f"{kind}[{n}].name", each.get("name")) for kind in ("methods", "tasks") for n, each in enumerate(card[kind])
    ]
    for where, value in named:
        fit(value, str, f"{path}: {where}")
    for spec in (card["backbone"], *card["methods"], *card["tasks"]):  # a description never says what to import
        if FROM in spec or is_place(spec["name"]):
            place = shown(spec.get(FROM, spec["name"]), 60)
            raise ValueError(f"{path}: {place} is a place of code; an adapter names what it wants by name alone")
    for number, task in enumerate(card["tasks"]):
        fit(task.get("config"), dict[str, Any], f"{path}: tasks[{number}].config")


def check_known(card: Mapping[str, Any], where: str) -> None:
    """Raise ValueError where an adapter wants what is neither part of sordino nor brought by the user; says what it is.

    Nothing is imported because an adapter tells of it.
    """
    for told in fit(card.get("outside", []), list[dict[str, str]], f"{where}: outside"):
        kind, name, place = (told.get(key, "") for key in ("kind", "name", "from"))
        if kind not in FOLDERS or name not in names(kind):
            package = told.get("package", "").partition(" ")[0]
            get = f"pip install {package}" if package else f"get {place}"
            wanted = f"{where[-60:]} wants the {shown(kind, 12)} {shown(name, 30)} of {shown(place, 60)}"
            then = f"{get[:40]}, and say --plugin {place.rpartition(':')[0][:40]}"
            raise ValueError(f"{wanted}, which is no part of sordino. If you trust it: {then}")


def check_segment(value: Any, where: str) -> None:
    """Raise ValueError unless this is a length in seconds that a segment can have."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LONGEST_SEGMENT_S:
        told = f"it wants seconds, more than 0 and at most {LONGEST_SEGMENT_S:g}"
        raise ValueError(f"{where}: segment_s = {repr(value)[:40]} is not a length; {told}")


def check_backbone(spec: Mapping[str, Any], where: str) -> None:
    """Raise ValueError where a backbone would run a stranger's code, or, of random weights, would be too large.

    Those with weights are as large as their file.
    """
    if spec.get("remote_code"):
        repository = str(Files.named(str(spec.get("model")), spec.get("weights")))
        if not trusted(repository):
            told = f"{where[-60:]} wants code of {shown(repository, 48)} to be run, which can do all that you can"
            raise ValueError(f"{told}. If you trust it: say --remote-code {shown(repository, 60)}")
        return
    if str(spec.get("weights")).partition(":")[0] != "random":
        return
    with read_as_text(where), torch.device("meta"):
        n_bytes = sum(p.numel() * p.element_size() for p in load_backbone(**spec).parameters())
    if n_bytes > MOST_BUILT_BYTES:
        raise ValueError(
            f"{where}: the backbone takes {n_bytes >> 30} GB; random ones may take {MOST_BUILT_BYTES >> 30}"
        )


def without_memory(backbone: Backbone) -> Backbone:
    """A share of a backbone whose tensors have shapes only."""
    shared = backbone.share()
    for module in shared.modules():
        module._parameters = {name: None if value is None else nn.Parameter(value.to("meta"), value.requires_grad)
                              for name, value in module._parameters.items()}  # fmt: skip
        module._buffers = {name: None if value is None else value.to("meta") for name, value in module._buffers.items()}
    return shared


def check_built(module: nn.Module, where: str) -> None:
    """Raise ValueError where what a model adds to its backbone, built on `meta`, would take too much memory."""
    n_bytes = sum(value.numel() * value.element_size() for value in module.state_dict().values())
    if n_bytes > MOST_BUILT_BYTES:
        raise ValueError(f"{where}: what is attached takes {n_bytes >> 30} GB, more than {MOST_BUILT_BYTES >> 30}")


def shapes_in(path: Path) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """Names, shapes and types of the tensors in a safetensors file, from its head.

    Raises:
        ValueError: it is no plain file, or its head is none, or tells of more than there is.
    """
    n_bytes = _check_file(path)
    with path.open("rb") as file:
        n_head = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))[0]
        if not 2 <= n_head <= min(MOST_HEAD_BYTES, n_bytes - 8):
            raise ValueError(f"{path} cannot be read: its head would take {n_head} of {n_bytes} bytes")
        try:
            head = json.loads(file.read(n_head))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} cannot be read: its head is no JSON ({str(error)[:80]})") from error
    with read_as_text(f"{path}: its head"):
        tensors = {name: about for name, about in head.items() if name != "__metadata__"}
        if len(tensors) > MOST_TENSORS:
            raise ValueError(f"{path} holds {len(tensors):,} tensors, more than {MOST_TENSORS:,}")
        found = {}
        for name, about in tensors.items():
            if about["dtype"] not in DTYPES:
                raise ValueError(f"{path}: {name[:80]} is of type {str(about['dtype'])[:20]}; weights are floats")
            shape, dtype = tuple(fit(about["shape"], list[int], "shape")), DTYPES[about["dtype"]]
            begin, end = fit(about["data_offsets"], tuple[int, int], "data_offsets")
            n_values = torch.Size(shape).numel()
            if not 0 <= begin <= end <= n_bytes - 8 - n_head or end - begin != n_values * dtype.itemsize:
                raise ValueError(f"{path} cannot be read: {name[:80]} lies outside of the file")
            found[name] = (shape, dtype)
    return found


def check_shapes(found: Shapes, wanted: Shapes, where: str) -> None:
    """Raise ValueError unless a file holds what a model declares: each name, with its shape and type."""
    wrong = [f"Missing key {name}" for name in wanted if name not in found]
    wrong += [f"{name.replace(':', '.', 1)} is unknown" for name in found if name not in wanted]
    for name in wanted:
        if name in found and found[name] != wanted[name]:
            had, has = (f"{shape} {str(dtype).removeprefix('torch.')}" for shape, dtype in (wanted[name], found[name]))
            wrong.append(f"{name.replace(':', '.', 1)} is {has}, not {had}")
    if wrong:
        told = "; ".join(text[:90] for text in wrong[:2])
        raise ValueError(f"{where}: the state is of another model: {told} ({len(wrong)} in all)")


def check_numbers(tensors: Mapping[str, Tensor], where: str) -> None:
    """Raise ValueError where a tensor holds infinity or nan."""
    for name, value in tensors.items():
        if not bool(torch.isfinite(value).all()):
            raise ValueError(
                f"{where}: {name} holds infinity or nan; the adapter is damaged or diverged, train it again"
            )


def _check_file(path: Path, most_bytes: int | None = None) -> int:
    """The size of a plain file."""
    if not path.is_file():
        raise ValueError(f"{path} cannot be read: {'it is no plain file' if path.exists() else 'no such file'}")
    n_bytes = path.stat().st_size
    if most_bytes is not None and n_bytes > most_bytes:
        raise ValueError(f"{path} cannot be read: it has {n_bytes:,} bytes, more than {most_bytes:,}")
    return n_bytes
