"""Which column of a table is what.

Conventions: names are compared without case, spaces, underscores, and units in brackets: `File Name` is `filename`,
`Tempo (BPM)` is `tempo`. Columns that are nothing else are labels, `Mood` the label `mood`, `Sub Genre` `sub_genre`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from sordino import registry
from sordino.audio import FORMATS
from sordino.contracts.cells import plain_name

COLUMNS = {
    "path": ("path", "file", "filename", "filepath", "audio", "audiofile", "audiopath", "audiofilepath", "location"),
    "id": ("id", "trackid"),
    "split": ("split", "subset", "partition"),
    "group": ("group", "artist", "artistid", "album", "albumid"),
    "start_s": ("starts", "start"),
    "duration_s": ("durations", "duration"),
}
SPELLINGS = {
    **dict.fromkeys(("bpm", "tempobpm", "averagebpm"), "tempo"),
    **dict.fromkeys(("initialkey", "musicalkey", "tonality"), "key"),
    **{"beats": "beat", "chords": "chord", "tag": "tags", "instrument": "instruments"},
}


class Columns(NamedTuple):
    """What the columns of a table are.

    Attributes:
        fields: for each of `COLUMNS` that is there, the column's name.
        labels: for each label, the column's name.
    """

    fields: dict[str, str]
    labels: dict[str, str]

    def __str__(self) -> str:
        pairs = [*self.fields.items(), *self.labels.items()]
        named = [name if name == column else f"{name} from `{column}`" for name, column in pairs]
        n = len(self.fields)
        return f"{', '.join(named[:n])}; labels: {', '.join(named[n:]) or 'none'}"


def columns_of(row: Mapping[str, Any]) -> Columns:
    """What the columns of a row are; without a known name, the first one that holds names of sound files is `path`."""
    plain: dict[str, str] = {}
    for name in row:
        if name and not name.startswith("_"):
            plain.setdefault(plain_name(name), name)
    fields = {
        field: next(plain[name] for name in names if name in plain)
        for field, names in COLUMNS.items()
        if any(name in plain for name in names)
    }
    sounds = [name for name in plain.values() if str(row[name] or "").lower().endswith(FORMATS)]
    if "path" not in fields and sounds:
        fields = {"path": sounds[0], **fields}
    names = [name for name in plain.values() if name not in fields.values()]
    exact = {label_name(name): name for name in names if plain_name(label_name(name)) == plain_name(name)}
    spelled = {label_name(name): name for name in reversed(names) if name not in exact.values()}
    labels = {**spelled, **exact}
    return Columns(fields, {label: labels[label] for label in dict.fromkeys(map(label_name, names))})


def label_name(column: str) -> str:
    """A column's name as a label's: known labels in their spelling, others in small letters with underscores."""
    plain = plain_name(column)
    known = {plain_name(name): name for name in known_labels()}
    own = re.sub(r"\W+", "_", re.sub(r"[(\[].*?[)\]]", "", column).strip().casefold())
    return SPELLINGS.get(plain) or known.get(plain, own)


@cache
def known_labels() -> frozenset[str]:
    """The labels that tasks read by default and that corpora carry, and the name of a folder's class."""
    tasks = {registry.find("task", name).label for name in registry.names("task")}
    corpora: list[Sequence[str]] = [registry.find("dataset", name).labels for name in registry.names("dataset")]
    return frozenset(tasks.union(["label"], *corpora))
