"""Where tracks, labels and splits come from, one file each."""

from __future__ import annotations

from pathlib import Path

from sordino import registry
from sordino.contracts import Dataset
from sordino.datasets._together import Together


def load_dataset(name: str | Path, root: str | Path | None = None) -> Dataset:
    """Open a dataset: a named corpus, or a user's own folder or table.

    Args:
        name: `demo`, `giantsteps_key`, ... (`sordino list datasets`), a version of one (`gtzan_key:mini`), several
            joined with `+`, or a path.
        root: where a named corpus lies; None for the usual place.

    Returns:
        A `Dataset`.

    Raises:
        ValueError: it is neither a known name nor an existing path, or the corpus has no such version.
    """
    known = registry.names("dataset")
    corpus, colon, version = str(name).partition(":")
    if corpus in known and "+" not in version:
        kind = registry.find("dataset", corpus)
        if not colon:
            return kind(root)
        kind.check_version(version)
        return kind(root, version=version)
    several = str(name).split("+")
    if len(several) > 1 and {part.partition(":")[0] for part in several} <= set(known):
        if root is not None:
            raise ValueError(f"{name}: --root can name one corpus only; set SORDINO_DATA for several")
        return Together([load_dataset(part) for part in several])
    if Path(name).exists():
        return registry.find("dataset", "folder")(name)
    raise ValueError(registry.unknown("dataset", str(name), known) + "; nor is it a path here")
