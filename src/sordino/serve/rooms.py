"""Folders that may be labelled on a server: opened once, saved, and what was learned made resident.

Conventions: folders, and where labels are saved, are named when the server starts, and by nobody else. One folder has
one set of labels, whoever looks at it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from threading import Lock

from sordino.files import distinct_names
from sordino.rules import unknown
from sordino.serve.heard import Advance, Ear, hear
from sordino.serve.labelling import Labelling
from sordino.serve.residents import NAME, Residents

PREFIX = "labels-"


class Rooms:
    """Labellings by the name of their folder.

    Args:
        folders: that may be labelled.
        out: where labels are saved, each folder's in one of its own.
        residents: what was learned is added to them.
        make_ear: gives what hears; called when the first folder is opened.
    """

    def __init__(
        self, folders: Sequence[str | Path], out: str | Path, residents: Residents, make_ear: Callable[[], Ear]
    ):
        self._folders: dict[str, Path] = {}
        for path, name in distinct_names(Path(folder).resolve() for folder in folders).items():
            plain = _as_name(name)
            numbered = (plain if n == 1 else f"{plain}-{n}" for n in count(1))  # names without ASCII are alike
            self._folders[next(own for own in numbered if own not in self._folders)] = Path(path)
        self.out, self.residents = Path(out), residents
        self._make_ear, self._ear = make_ear, None
        self._open: dict[str, Labelling] = {}
        self._lock = Lock()

    @property
    def names(self) -> list[str]:
        """Of the folders."""
        return list(self._folders)

    def open(self, name: str, advance: Advance = lambda done, total: None) -> Labelling:
        """The labels of a folder, with those that were saved.

        Raises:
            ValueError: no folder has this name.
            FileNotFoundError: there is no sound in it.
        """
        if name not in self._folders:
            raise ValueError(unknown("folder", str(name)[:64], self.names))
        with self._lock:
            if name not in self._open:
                self._ear = self._ear or self._make_ear()
                labelling = Labelling(hear(self._folders[name], self._ear, advance), self._ear)
                labelling.load(self.out / name)
                self._open[name] = labelling
            return self._open[name]

    def save(self, name: str) -> str:
        """Save the labels and the adapter, and make it resident as `labels-<folder>`.

        Returns:
            What was done, one line.

        Raises:
            ValueError: nothing can be learned yet; the labels are saved.
        """
        labelling = self.open(name)
        with self._lock:
            adapter = labelling.save(self.out / name)
            resident = PREFIX + name
            if resident in self.residents:
                self.residents.remove(resident)
            self.residents.add(resident, adapter)
        n_marks = sum(map(len, labelling.marks.values()))
        return f"{n_marks} labels saved in {self.out / name}; the adapter answers as {resident}"


def _as_name(text: str) -> str:
    """A folder's name as one that a resident can have."""
    name = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "._-") else "-" for sign in text).strip("-._")
    return name[:40] if NAME.fullmatch(name[:40]) else "folder"
