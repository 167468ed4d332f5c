"""Published weights: where they are found, how they are checked, and how they get into a network.

Files are looked for in sordino's cache, then in the Hugging Face cache, then downloaded at a pinned revision;
each must have the pinned SHA-256. A pickled file (`.pt`, `.bin`) is opened once, with `weights_only=True`; a
safetensors copy is kept beside it (or in sordino's cache, where that folder cannot be written) and used from
then on.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from sordino.contracts import Backbone

Network = TypeVar("Network", bound=Backbone)


@dataclass(frozen=True)
class Published:
    """A model as it is published on the Hugging Face Hub.

    Attributes:
        title: the model's name for messages.
        repository: `owner/name` on the Hub.
        revision: the pinned commit.
        files: each file and its SHA-256; the first one holds the weights. None: the Hub's own record of it is
            trusted.
        licence: of the weights.
    """

    title: str
    repository: str
    revision: str
    files: Mapping[str, str | None]
    licence: str

    @property
    def folder(self) -> Path:
        """Where a user can put the files by hand."""
        return cache_folder() / "weights" / self.repository.replace("/", "--")

    def __str__(self) -> str:
        return f"{self.repository}@{self.revision[:8]}"


def cache_folder() -> Path:
    """`$SORDINO_CACHE`, or `~/.cache/sordino`."""
    return Path(os.environ.get("SORDINO_CACHE") or Path.home() / ".cache" / "sordino")


def locate(published: Published, weights: str | Path | None) -> dict[str, Path]:
    """Find the files of a published model.

    Args:
        published: what to find.
        weights: None to look in the caches and then download; else a folder, or the weights file with the
            other files beside it, which are taken as they are.

    Returns:
        The path of each file.

    Raises:
        FileNotFoundError: a file is nowhere and cannot be fetched; says which, from where, and where to put
            it.
        ValueError: a downloaded file has another hash than the pinned one.
    """
    if weights is None:
        return {file: _find(published, file) or _download(published, file) for file in published.files}
    path = Path(weights)
    first, *others = published.files
    folder = path if path.is_dir() else path.parent
    found = {first: path / first if path.is_dir() else path} | {file: folder / file for file in others}
    for file, place in found.items():
        if not place.is_file():
            raise FileNotFoundError(f"{published.title}: {place} is missing. {advice(published, file)}")
    return found


def where(variants: Mapping[str, Published]) -> str:
    """Where the weights of each variant are, or how to get them, one line each."""
    lines = []
    for variant, published in variants.items():
        found = {file: _find(published, file) for file in published.files}
        missing = [file for file, path in found.items() if path is None]
        here = advice(published, " and ".join(missing)) if missing else next(iter(found.values()))
        lines.append(f"{variant}: {here}")
    return "\n".join(lines)


def advice(published: Published, file: str) -> str:
    """How to get a file by hand."""
    url = f"https://huggingface.co/{published.repository}/tree/{published.revision}"
    return f"Fetch {file} from {url} and put it into {published.folder}, or give its folder as weights=PATH"


def _find(published: Published, file: str) -> Path | None:
    """The file in one of the caches, if it is there and is the pinned one."""
    from huggingface_hub import try_to_load_from_cache

    cached = [
        try_to_load_from_cache(published.repository, file, revision=revision)
        for revision in (published.revision, "main")
    ]
    places = [published.folder / file, *(Path(path) for path in cached if isinstance(path, str))]
    return next((p for p in places if p.is_file() and _is_pinned(p, published.files[file])), None)


def _download(published: Published, file: str) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        path = Path(hf_hub_download(published.repository, file, revision=published.revision))
    except Exception as error:  # whatever keeps it from arriving, the way out is the same
        raise FileNotFoundError(
            f"{published.title}: {file} is not here and cannot be downloaded ({type(error).__name__}). "
            f"{advice(published, file)}"
        ) from error
    if not _is_pinned(path, published.files[file]):
        raise ValueError(f"{path} is not the published {file} of {published}: its SHA-256 differs; delete it and retry")
    if file == next(iter(published.files)):
        print(f"{published.title}: weights of {published}, licence {published.licence}", file=sys.stderr)
    return path


def _is_pinned(path: Path, sha256: str | None) -> bool:
    """Whether the file has this hash; a file that passed once is not read again while it stays unchanged."""
    if sha256 is None:  # large files are named by their hash in the Hugging Face cache
        sha256 = path.resolve().name
        if len(sha256) != 64:
            return True
    status = path.stat()
    passed = cache_folder() / "verified" / sha256
    state = f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"
    if passed.is_file() and passed.read_text() == state:
        return True
    with path.open("rb") as file:
        same = hashlib.file_digest(file, "sha256").hexdigest() == sha256
    if same:
        with suppress(OSError):  # where nothing can be written, it is read again next time
            passed.parent.mkdir(parents=True, exist_ok=True)
            passed.write_text(state)
    return same


def read_tensors(path: Path, prefixes: Iterable[str] = ()) -> dict[str, Tensor]:
    """All tensors of a weights file, through its safetensors copy.

    Args:
        path: `.safetensors`, or a pickled file of tensors by name, perhaps under `state_dict`.
        prefixes: taken off the front of names, one after the other, where they stand.
    """
    from safetensors.torch import load_file

    if path.suffix != ".safetensors":
        path = _converted(path)
    tensors = load_file(path)
    for prefix in prefixes:
        tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def _converted(path: Path) -> Path:
    """The safetensors copy of a pickled file, made when there is none of its present state."""
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
    loaded = torch.load(path, map_location="cpu", weights_only=True)
    loaded = loaded.get("state_dict", loaded)
    tensors = {name: value.detach().clone().contiguous() for name, value in loaded.items()}
    copy = beside if os.access(path.parent, os.W_OK) else apart
    copy.parent.mkdir(parents=True, exist_ok=True)
    part = copy.with_suffix(f".part{os.getpid()}")
    save_file(tensors, part, state)
    part.replace(copy)
    return copy


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


def n_to_build(name: str, depth: int | None, n_layers: int) -> int:
    """How many layers `depth` means: all when None.

    Raises:
        ValueError: the network does not have that many, or none are wanted.
    """
    if depth is not None and not 1 <= depth <= n_layers:
        raise ValueError(f"{name} has {n_layers} layers, so depth = {depth} cannot be built; use 1 to {n_layers}")
    return depth or n_layers


def choose(kind: str, variants: Mapping[str, Published], variant: str, options: Mapping[str, object]) -> Published:
    """The variant of this name, with a clear error for it or for options that nobody knows."""
    if options:
        raise ValueError(f'{kind} has no option "{next(iter(options))}"; it has variant = {" or ".join(variants)}')
    if variant not in variants:
        raise ValueError(f'{kind} has no variant "{variant}"; it has {" and ".join(variants)}')
    return variants[variant]
