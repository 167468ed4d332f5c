"""Dataset and Track: where recordings, labels and splits come from."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple


@dataclass(frozen=True)
class Track:
    """One recording, or a stretch of one, with what is known about it.

    Attributes:
        id: unique within the dataset, the same on every machine.
        path: the sound file.
        labels: raw labels by name (`key`, `tempo`, `beat`, `chord`, `instruments`, ...); absent or None: not labelled.
        split: `train`, `validation` or `test`.
        group: what must not be torn across splits (a piece, an artist, an album); the id when there is none.
        start_s: where the stretch begins.
        duration_s: how long it is; None: to the end of the file.
        info: whatever else a dataset says (licence, artist, title).
    """

    id: str
    path: Path
    labels: Mapping[str, Any]
    split: Literal["train", "validation", "test"] = "train"
    group: str = ""
    start_s: float = 0.0
    duration_s: float | None = None
    info: Mapping[str, Any] = field(default_factory=dict)

    def with_split(self, split: Literal["train", "validation", "test"]) -> Track:
        """The same track in another split."""
        return replace(self, split=split)


class Archive(NamedTuple):
    """A published archive.

    Attributes:
        url: where it is.
        md5: its checksum, as mirdata's index or the publisher gives it.
        folder: where it is unpacked, below the root.
    """

    url: str
    md5: str
    folder: str = "."


class Dataset(ABC):
    """Where tracks, labels and splits come from. One file in `datasets/` is one corpus.

    Attributes:
        labels: the names of labels its tracks carry; a task is possible when its `label` is among them.
        licence: of the audio and the labels, in words a user can act on.
        size: tracks and hours as published, for lists: `(n_tracks, hours)`.
        builtin: the audio ships with the package.
        get: how to come by the files, one or two sentences.
        archives: what `sordino prepare NAME --download` fetches.
        absent: after `tracks()`, the ids of tracks that are annotated but whose sound is not here.
    """

    name: str
    title: ClassVar[str]
    labels: tuple[str, ...]
    licence: str
    citation: ClassVar[str] = ""
    url: ClassVar[str] = ""
    size: ClassVar[tuple[int, float]] = (0, 0.0)
    splits: str = ""  # where the split comes from, one line
    builtin: ClassVar[bool] = False
    get: ClassVar[str] = ""
    archives: ClassVar[tuple[Archive, ...]] = ()
    absent: tuple[str, ...] = ()

    def __init__(self, root: str | Path | None = None):
        """Take the corpus at `root` (None: `$SORDINO_DATA/<name>`, else `~/.cache/sordino/data/<name>`)."""
        self.root = Path(root) if root is not None else self.default_root()

    @classmethod
    def default_root(cls) -> Path:
        """Where the corpus is looked for when no root is given."""
        return Path(os.environ.get("SORDINO_DATA") or Path.home() / ".cache" / "sordino" / "data") / cls.name

    @abstractmethod
    def tracks(self) -> list[Track]:
        """All tracks, in an order that is the same on every machine.

        Raises:
            FileNotFoundError: the corpus is not at `root`; says what is expected there and how to get it.
        """

    def available(self) -> bool:
        """Whether the corpus is on this machine."""
        return self.root.is_dir()

    @classmethod
    def miniature(cls, root: Path) -> None:
        """Write a few files with the true names and formats below `root`; the contract tests read the corpus so."""
        raise NotImplementedError(f"{cls.name}: write a classmethod miniature(root), as datasets/ballroom.py has one")
