"""Unpack what was fetched: nothing that is there is touched, nothing leaves the folder, and it stays within its means.

Conventions: a member that is no plain file, would lie outside of the folder or behind a link, or has a name that only
this program gives (`.downloads`, unfinished files) is refused by name. An archive may grow `MOST_GROWTH` times and no
more: what grows further is no recording and no table.
"""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, NamedTuple

from sordino.files import write_stream

BLOCK_BYTES = 1 << 20
MOST_GROWTH, ANYWAY_BYTES = 50, 50 << 20  # of the archive's bytes, and what any archive may hold
MOST_MEMBERS = 2_000_000
DOWNLOADS = ".downloads"  # where archives lie


class Unpacked(NamedTuple):
    """What came out of an archive.

    Attributes:
        written: files written.
        kept: files that were there before, left as they were.
        refused: members that would have left the root, were links, or cannot have their name.
    """

    written: int
    kept: int
    refused: list[str]


def unpack(path: Path, folder: Path) -> Unpacked:
    """Unpack a zip or tar archive, or a table that is published by itself (`.csv`), into a folder.

    Args:
        path: the archive.
        folder: where to; made if it is not there.

    Raises:
        ValueError: it is no zip and no tar, is damaged, or holds more than an archive of its size would; what was
            unpacked before that is whole.
        OSError: the disk is full, or the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    base, written, kept, refused = folder.resolve(), 0, 0, []
    left = MOST_GROWTH * path.stat().st_size + ANYWAY_BYTES
    try:
        for number, (name, opened) in enumerate(_members(path)):
            if number >= MOST_MEMBERS:
                raise ValueError(f"{path}: more than {MOST_MEMBERS:,} members; unpack it yourself if you trust it")
            if opened is None or not _belongs(name, base):
                refused.append(name)
            elif (base / name).exists():
                kept += 1
            else:
                with opened() as source:
                    copied = _Copy(path, source, left)
                    write_stream(base / name, copied)
                left, written = copied.left, written + 1
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, LZMAError, EOFError, RuntimeError) as error:
        raise ValueError(f"{path}: damaged, or made in a way that cannot be read ({error}); fetch it again") from error
    return Unpacked(written, kept, refused)


class _Copy:
    """Copies a member, as long as the archive stays within its means."""

    def __init__(self, path: Path, source: Any, left: int):
        self.path, self.source, self.left = path, source, left

    def __call__(self, file: BinaryIO) -> None:
        while block := self.source.read(BLOCK_BYTES):
            self.left -= len(block)
            if self.left < 0:
                told = f"{self.path}: holds more than {MOST_GROWTH} times its size"
                raise ValueError(f"{told}; unpack it yourself if you trust it")
            file.write(block)


def _belongs(name: str, base: Path) -> bool:
    """Whether a member may be written below a folder."""
    steps = PurePosixPath(name).parts
    ours = DOWNLOADS in steps or any(step.startswith(".") and step.endswith((".part", ".aside")) for step in steps)
    try:
        target = base / name
        return (
            not ours and "\0" not in name and target.parent.resolve().is_relative_to(base) and not target.is_symlink()
        )
    except (OSError, ValueError):  # a name that is too long
        return False


def _members(path: Path) -> Iterator[tuple[str, Callable[[], IO[bytes]] | None]]:
    """Names and openers of an archive's files; None for what is not a plain file."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if not member.is_dir():
                    yield member.filename, lambda member=member: archive.open(member)
    elif tarfile.is_tarfile(path):
        with closing(tarfile.open(path)) as archive:
            for member in archive:
                if member.isfile():
                    yield member.name, lambda member=member: archive.extractfile(member)  # type: ignore[misc]
                elif not member.isdir():
                    yield member.name, None
    elif path.suffix == ".csv":
        yield path.name.partition("-")[2], lambda: path.open("rb")  # without the checksum's beginning
    else:
        raise ValueError(f"{path}: neither zip nor tar")
