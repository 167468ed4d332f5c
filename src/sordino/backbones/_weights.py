"""Weights files: how they are read, and how they get into a network.

A pickled file (`.pt`, `.bin`) is opened once, with `weights_only=True`, and a TensorFlow checkpoint is read once; a
safetensors copy is kept beside the file (or in sordino's cache, where that folder cannot be written or is not ours) and
used from then on. Loading is strict.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from sordino.backbones._published import cache_folder
from sordino.contracts import Backbone
from sordino.files import write_with

Network = TypeVar("Network", bound=Backbone)


def unpickled(path: Path) -> dict[str, Tensor]:
    """The tensors of a pickled file, perhaps under `state_dict`; no code in it is run."""
    loaded = torch.load(path, map_location="cpu", weights_only=True)
    return loaded.get("state_dict", loaded)


def read_tensors(
    path: Path,
    prefixes: Iterable[str] = (),
    read: Callable[[Path], Mapping[str, Tensor]] = unpickled,
    beside: bool = True,
) -> dict[str, Tensor]:
    """All tensors of a weights file, through its safetensors copy.

    Args:
        path: `.safetensors`, or a file that `read` reads.
        prefixes: taken off the front of names, one after the other, where they stand.
        read: reads a file of another kind.
        beside: whether the copy may lie beside the file; else it lies in the cache.
    """
    from safetensors.torch import load_file

    if path.suffix != ".safetensors":
        path = _converted(path, read, beside)
    tensors = load_file(path)
    for prefix in prefixes:
        tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def _converted(path: Path, read: Callable[[Path], Mapping[str, Tensor]], beside_it: bool) -> Path:
    """The safetensors copy of a file, made when there is none of its present state."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    status = path.stat()
    state = {"bytes": str(status.st_size), "changed": str(status.st_mtime_ns)}
    beside = path.with_name(f"{path.stem}.sordino.safetensors")
    key = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    apart = cache_folder() / "weights" / "converted" / f"{key}-{beside.name}"
    for copy in (beside, apart):
        if copy.is_file():
            with safe_open(copy, "pt") as file:
                if file.metadata() == state:
                    return copy
    tensors = {name: value.detach().clone().contiguous() for name, value in read(path).items()}
    copy = beside if beside_it and os.access(path.parent, os.W_OK) else apart
    return write_with(copy, lambda part: save_file(tensors, part, state))


def fold_weight_norm(tensors: dict[str, Tensor], conv: str) -> dict[str, Tensor]:
    """Replace magnitude and direction of the convolution `conv` by its weight (normed over all axes but the
    last).

    Both the old names (`weight_g`, `weight_v`) and those of newer PyTorch are understood.
    """
    names = {
        f"{conv}.weight_g": f"{conv}.weight_v",
        f"{conv}.parametrizations.weight.original0": f"{conv}.parametrizations.weight.original1",
    }
    folded = dict(tensors)
    for magnitude, direction in names.items():
        if magnitude in folded and direction in folded:
            v = folded.pop(direction)
            folded[f"{conv}.weight"] = folded.pop(magnitude) * v / v.norm(dim=(0, 1), keepdim=True)
    return folded


def build(make: Callable[[], Network], tensors: Mapping[str, Tensor], unused: Iterable[str], source: str) -> Network:
    """Build a frozen network straight from its tensors, without random weights first.

    Args:
        make: makes the network.
        tensors: by the network's own names.
        unused: patterns of names that may be there and are not used.
        source: where they come from, for messages and for the network's own record.

    Raises:
        ValueError: a tensor is missing, unknown or of another shape; all are named.
    """
    with torch.device("meta"):
        network = make()
    expected = network.state_dict()
    unused = list(unused)
    wrong = [f"missing {name}" for name in expected if name not in tensors]
    for name, value in tensors.items():
        if name not in expected:
            if not any(fnmatchcase(name, pattern) for pattern in unused):
                wrong.append(f"unknown {name}")
        elif value.shape != expected[name].shape:
            wrong.append(f"{name} is {tuple(value.shape)} and not {tuple(expected[name].shape)}")
    if wrong:
        rest = f", and {len(wrong) - 12} more" if len(wrong) > 12 else ""
        raise ValueError(f"{source} does not fit: {'; '.join(wrong[:12])}{rest}")
    network.load_state_dict({name: tensors[name].to(like.dtype) for name, like in expected.items()}, assign=True)
    network.weights = source
    network.freeze()
    return network


def build_random(make: Callable[[], Network], weights: str | Path | None) -> Network | None:
    """Build a frozen network with random weights if that is what `weights` says (`random`, `random:SEED`).

    The global generator is left as it was.

    Returns:
        The network, or None when `weights` means something else.

    Raises:
        ValueError: the seed is not a whole number.
    """
    word, _, seed = str(weights).partition(":")
    if word != "random":
        return None
    if seed and not seed.isdigit():
        raise ValueError(f'weights = "{weights}" is not understood; write random or random:SEED')
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(seed or 0))
        network = make()
    network.weights = f"random (seed {seed or 0})"
    network.freeze()
    return network


def above(depth: int | None, n_layers: int) -> list[str]:
    """Patterns of the tensors of those layers that `depth` leaves out."""
    return [f"layers.{layer}.*" for layer in range(depth or n_layers, n_layers)]


def n_to_build(name: str, depth: int | None, n_layers: int) -> int:
    """How many layers `depth` means: all when None.

    Raises:
        ValueError: the network does not have that many, or none are wanted.
    """
    if depth is not None and not 1 <= depth <= n_layers:
        raise ValueError(f"{name} has {n_layers} layers, so depth = {depth} cannot be built; use 1 to {n_layers}")
    return depth or n_layers
