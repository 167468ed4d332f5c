"""Places that fsspec knows (`s3://bucket/music`, `gs://...`, `memory://...`): what lies there, and how it is opened."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def is_elsewhere(place: str) -> bool:
    """Whether a place is fsspec's to read."""
    return "://" in place


def opened(place: str, mode: str) -> Any:
    """A file there, as a context manager; what is written is there when it is closed."""
    return _fsspec(place).open(place, mode)


def found(place: str, pattern: str = "") -> list[str]:
    """Files there, sorted.

    Args:
        place: a file, a folder (all below it), or a glob.
        pattern: only what matches it in the folder `place` itself.
    """
    files, path = _fsspec(place).core.url_to_fs(place)
    if pattern:
        paths = files.glob(f"{path}/{pattern}")
    elif any(sign in path for sign in "*?["):
        paths = files.glob(path)
    else:
        paths = files.find(path) if files.isdir(path) else [path]
    return sorted(files.unstrip_protocol(path) for path in paths)


def within(path: str, place: str) -> str:
    """A file's path below a place, or its name where the place is no folder above it."""
    files, folder = _fsspec(place).core.url_to_fs(place)
    plain = files._strip_protocol(path)
    return plain.removeprefix(f"{folder}/") if plain.startswith(f"{folder}/") else plain.rpartition("/")[2]


def _fsspec(place: str) -> Any:
    try:
        return import_module("fsspec")
    except ImportError as error:
        raise ImportError(f"{place}: pip install 'sordino[ray]' (fsspec; and the package of your bucket)") from error
