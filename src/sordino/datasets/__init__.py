"""Where tracks, labels and splits come from, one file each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sordino import registry
from sordino.contracts import Dataset
from sordino.data_names import parse_data
from sordino.datasets import _file_tags as file_tags
from sordino.datasets._download import download
from sordino.datasets._finding import walk
from sordino.datasets._prepare import Prepared, prepare
from sordino.datasets._resplit import Folds, Resplit, dealt
from sordino.datasets._splits import group_of
from sordino.datasets._tables import rows as table_rows
from sordino.datasets._together import Elsewhere, Together
from sordino.datasets._unpack import unpack

__all__ = [
    "Folds", "Prepared", "Resplit", "dealt", "download", "file_tags", "group_of", "load_dataset", "prepare",
    "table_rows", "unpack", "walk", "with_test_of",
]  # fmt: skip


def load_dataset(name: str | Path | Mapping[str, Any] | Sequence[Any], root: str | Path | None = None,
                 **options: Any) -> Dataset:  # fmt: skip
    """Open a dataset: a named corpus, or a user's own folder or table.

    Args:
        name: `demo`, `giantsteps_key`, ... (`sordino list datasets`), a version of one (`gtzan_key:mini`), one with an
            option (`giantsteps_mtg_key:split=paper`), several joined with `+`, or a path; or a table or list of these.
        root: where a named corpus lies; None for the usual place.
        **options: what this dataset offers beside (`sordino show NAME`).

    Returns:
        A `Dataset`.

    Raises:
        ValueError: it is neither a known name nor an existing path, or has no such version or option, or wants another
            value.
    """
    parts = parse_data({"name": name, **options} if options else name)
    if len(parts) > 1 and root is not None:
        raise ValueError(f"{name}: --root can name one corpus only; set SORDINO_DATA for several")
    opened = [
        registry.make("dataset", part.corpus, {"root": root if part.place is None else part.place, **part.options})
        for part in parts
    ]
    return opened[0] if len(opened) == 1 else Together(opened)


def with_test_of(dataset: Dataset, test: str | Path | None) -> Dataset:
    """A dataset with the test split of another in the place of its own; itself where none is named.

    Args:
        dataset: whose train and validation splits stay.
        test: the other, as for `load_dataset`.

    Raises:
        ValueError: see `load_dataset`.
    """
    return dataset if test is None else Elsewhere(dataset, load_dataset(test))
