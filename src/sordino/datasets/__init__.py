"""Where tracks, labels and splits come from, one file each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sordino import registry
from sordino.contracts import Dataset
from sordino.datasets._download import download, unpack
from sordino.datasets._prepare import Prepared, prepare
from sordino.datasets._together import Together

__all__ = ["Prepared", "download", "load_dataset", "prepare", "unpack"]


def load_dataset(name: str | Path, root: str | Path | None = None, **options: Any) -> Dataset:
    """Open a dataset: a named corpus, or a user's own folder or table.

    Args:
        name: `demo`, `giantsteps_key`, ... (`sordino list datasets`), several joined with `+`, or a path.
        root: where a named corpus lies; None for the usual place.
        **options: what this dataset offers beside (`sordino show NAME`).

    Returns:
        A `Dataset`.

    Raises:
        ValueError: it is neither a known name nor an existing path, or has no such option or wants another value.
    """
    if str(name) in registry.names("dataset"):
        return registry.make("dataset", str(name), {"root": root, **options})
    several = str(name).split("+")
    if len(several) > 1 and set(several) <= set(registry.names("dataset")):
        if root is not None:
            raise ValueError(f"{name}: --root can name one corpus only; set SORDINO_DATA for several")
        return Together([load_dataset(part, **options) for part in several])
    if Path(name).exists():
        return registry.make("dataset", "folder", {"root": name, **options})
    raise ValueError(registry.unknown("dataset", str(name), registry.names("dataset")) + "; nor is it a path here")
