"""Where tracks, labels and splits come from, one file each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sordino import registry
from sordino.contracts import Dataset
from sordino.datasets._download import download, unpack
from sordino.datasets._prepare import Prepared, prepare
from sordino.datasets._together import Elsewhere, Together

__all__ = ["Prepared", "download", "load_dataset", "prepare", "with_test_of", "unpack"]


def load_dataset(name: str | Path, root: str | Path | None = None, **options: Any) -> Dataset:
    """Open a dataset: a named corpus, or a user's own folder or table.

    Args:
        name: `demo`, `giantsteps_key`, ... (`sordino list datasets`), a version of one (`gtzan_key:mini`), several
            joined with `+`, or a path.
        root: where a named corpus lies; None for the usual place.
        **options: what this dataset offers beside (`sordino show NAME`).

    Returns:
        A `Dataset`.

    Raises:
        ValueError: it is neither a known name nor an existing path, or has no such version or option, or wants another
            value.
    """
    known = registry.names("dataset")
    corpus, colon, version = str(name).partition(":")
    if corpus in known and "+" not in version:
        if colon:
            registry.find("dataset", corpus).check_version(version)
            options["version"] = version
        return registry.make("dataset", corpus, {"root": root, **options})
    several = str(name).split("+")
    if len(several) > 1 and {part.partition(":")[0] for part in several} <= set(known):
        if root is not None:
            raise ValueError(f"{name}: --root can name one corpus only; set SORDINO_DATA for several")
        return Together([load_dataset(part, **options) for part in several])
    if Path(name).exists():
        return registry.make("dataset", "folder", {"root": name, **options})
    raise ValueError(registry.unknown("dataset", str(name), known) + "; nor is it a path here")


def with_test_of(dataset: Dataset, test: str | Path | None) -> Dataset:
    """A dataset with the test split of another in the place of its own; itself where none is named.

    Args:
        dataset: whose train and validation splits stay.
        test: the other, as for `load_dataset`.

    Raises:
        ValueError: see `load_dataset`.
    """
    return dataset if test is None else Elsewhere(dataset, load_dataset(test))
