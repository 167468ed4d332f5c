"""Find the sound files that a table names, as tables name them on other machines.

Conventions: a path is relative to the table's folder. Where nothing lies there, backslashes are slashes, `file://` is a
path, Unicode forms and case do not count; and a path that ends like that of one file below the folder alone, or is the
end of one's, is that file (`D:\\Music\\House\\a.mp3` beside `House/a.mp3`).
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from functools import cached_property
from pathlib import Path

from sordino.audio import FORMATS
from sordino.datasets._libraries import local_path
from sordino.files import is_there


class Sounds:
    """The sound files below a folder.

    Args:
        folder: the table's.

    Attributes:
        moved: texts of a table and what was found elsewhere than they say.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.moved: dict[str, Path] = {}

    def find(self, text: str) -> Path:
        """The file that a cell names; where there is none, the place where it should be."""
        try:
            plain = self.folder / Path(text).expanduser()
        except RuntimeError:  # ~nobody
            plain = self.folder / text
        if is_there(plain):
            return plain
        wanted = local_path(text)
        if is_there(self.folder / wanted):
            return self.folder / wanted
        found = self._alike(_parts(wanted))
        if found is not None:
            self.moved[text] = found
        return found or plain

    def _alike(self, wanted: tuple[str, ...]) -> Path | None:
        tails = []
        for parts, path in self._by_name.get(wanted[-1] if wanted else "", []):
            n = min(len(parts), len(wanted))
            if parts[-n:] == wanted[-n:]:
                tails.append((n, path))
        longest = [path for n, path in tails if n == max(tails)[0]]
        return longest[0] if len(longest) == 1 else None

    @cached_property
    def _by_name(self) -> dict[str, list[tuple[tuple[str, ...], Path]]]:
        found = defaultdict(list)
        for path in walk(self.folder):
            if path.suffix.lower() in FORMATS:
                parts = _parts(path.relative_to(self.folder).as_posix())
                found[parts[-1]].append((parts, path))
        return found


def _parts(text: str) -> tuple[str, ...]:
    """The steps of a path, without a drive, in one Unicode form and case."""
    plain = unicodedata.normalize("NFC", re.sub(r"^[A-Za-z]:", "", text)).casefold()
    return tuple(part for part in plain.split("/") if part not in ("", "."))


def walk(root: Path, refused: list[str] | None = None):
    """All visible files below, sorted; linked folders are entered once.

    Args:
        root: a folder.
        refused: gets a line for each folder that cannot be read.
    """
    seen = set()

    def refuse(error: OSError) -> None:
        if refused is not None:
            refused.append(f"{error.filename}: the folder cannot be read ({error.strerror})")

    for folder, folders, files in os.walk(root, onerror=refuse, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder) / name for name in sorted(files) if not name.startswith("."))
