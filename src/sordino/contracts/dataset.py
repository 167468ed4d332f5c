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
        group: what must not be torn across splits (a piece, an artist, an album); empty: the track alone.
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

    def __post_init__(self) -> None:
        for name in ("id", "group"):  # names of files need not be UTF-8, but ids are text
            text = str(getattr(self, name)).encode(errors="backslashreplace").decode()
            object.__setattr__(self, name, text)

    def length_s(self, file_s: float) -> float:
        """How long it is where its file has this length; 0 or less: nothing of it is there."""
        left_s = file_s - self.start_s
        return left_s if self.duration_s is None else min(self.duration_s, left_s)

    def with_split(self, split: Literal["train", "validation", "test"]) -> Track:
        """The same track in another split."""
        return replace(self, split=split)


@dataclass(frozen=True)
class Unreadable:
    """Stands for a label whose annotation cannot be read; no task understands it.

    Attributes:
        reason: why, with file and line.
    """

    reason: str


class Archive(NamedTuple):
    """A published archive, or a table (`.csv`) by itself.

    Attributes:
        url: where it is; of a repository always one commit.
        checksum: MD5 (32 digits), SHA-1 (40) or SHA-256 (64), as the publisher, mirdata or jukemir give it; empty: none
            is known.
        folder: where it is unpacked, below the root.
    """

    url: str
    checksum: str = ""
    folder: str = "."


class Dataset(ABC):
    """Where tracks, labels and splits come from. One file in `datasets/` is one corpus.

    Attributes:
        labels: the names of labels its tracks carry; a task is possible when its `label` is among them.
        licence: of the audio and the labels, in words a user can act on.
        size: tracks and hours as published, for lists: `(n_tracks, hours)`.
        builtin: the audio ships with the package.
        versions: other versions than the usual one, asked for as `NAME:VERSION`, each with a root of its own.
        version: which of them this is; none for the usual one.
        get: how to come by the files, one or two sentences.
        archives: what `sordino prepare NAME --download` fetches.
        absent: after `tracks()`, the ids of tracks that are annotated but whose sound is not here.
        notes: after `tracks()`, what a reader should know of them, one line each.
        split_here: after `tracks()`, whether the data brought no split and one was made.
        refused: after `tracks()`, rows that could not be read and were left out, one line each.
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
    versions: ClassVar[tuple[str, ...]] = ()
    get: str = ""
    archives: tuple[Archive, ...] = ()
    absent: tuple[str, ...] = ()
    split_here: bool = False
    notes: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    def __init__(self, root: str | Path | None = None, version: str | None = None):
        """Take the corpus at `root` (None: `$SORDINO_DATA/<name>`, else `~/.cache/sordino/data/<name>`).

        Raises:
            ValueError: there is no such version.
        """
        place = self.default_root()
        if version is not None:
            self.check_version(version)
            self.name = f"{self.name}:{version}"
            place = place.with_name(f"{place.name}_{version}")
        self.version = version
        self.root: Path = Path(root) if root is not None else place

    @classmethod
    def check_version(cls, version: str) -> None:
        """Raise a ValueError where the corpus has no such version."""
        if version not in cls.versions:
            raise ValueError(f'{cls.name} has no version "{version}"; versions: {", ".join(cls.versions) or "none"}')

    @classmethod
    def default_root(cls) -> Path:
        """Where the corpus is looked for when no root is given."""
        return Path(os.environ.get("SORDINO_DATA") or Path.home() / ".cache" / "sordino" / "data") / cls.name

    @abstractmethod
    def tracks(self) -> list[Track]:
        """All tracks, in an order that is the same on every machine.

        Raises:
            FileNotFoundError: the corpus is not at `root`; says how to get it.
        """

    def available(self) -> bool:
        """Whether the corpus is on this machine."""
        return self.root.is_dir()

    @classmethod
    def miniature(cls, root: Path) -> None:
        """Write a few files with the true names and formats below `root`; the contract tests read the corpus so.

        A corpus with versions takes `version` too, and writes that one's layout.
        """
        raise NotImplementedError(f"{cls.name}: write a classmethod miniature(root), as datasets/ballroom.py has one")
