"""Fetch what a corpus publishes: resumed, checked, unpacked without touching what is already there.

Conventions: archives lie in `<root>/.downloads` and stay there; an unfinished one ends in `.part` and is gone
on with. Files that exist are never overwritten, nothing is unpacked outside of the root or through a symbolic
link.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

from sordino.files import write_stream

BLOCK_BYTES = 1 << 20
TIMEOUT_S = 60


class Unpacked(NamedTuple):
    """What came out of an archive.

    Attributes:
        written: files written.
        kept: files that were there before, left as they were.
        refused: members that would have left the root, or were links.
    """

    written: int
    kept: int
    refused: list[str]


def download(archive: Archive, root: Path, advance: Callable[[int, int], None] = lambda done, total: None) -> Path:
    """Fetch one archive, or go on with it.

    Args:
        archive: which.
        root: of the corpus.
        advance: called with bytes done and bytes in all (0: unknown).

    Returns:
        The archive's file.

    Raises:
        ConnectionError: the server cannot be reached or breaks off; what came is kept for the next try.
        ValueError: the checksum is another one.
    """
    name = Path(urllib.parse.unquote(urllib.parse.urlparse(archive.url).path)).name
    folder = root / ".downloads"
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / f"{archive.checksum[:8] or 'any'}-{name}"
    if done.exists():
        return done
    part = done.with_name(done.name + ".part")
    try:
        _receive(archive.url, part, advance)
    except (urllib.error.URLError, OSError) as error:
        here = part.stat().st_size if part.exists() else 0
        raise ConnectionError(
            f"{archive.url}: {error}; {here:,} bytes are kept, run the command again to go on"
        ) from error
    if archive.checksum:
        with part.open("rb") as file:
            found = hashlib.file_digest(file, "md5" if len(archive.checksum) == 32 else "sha256").hexdigest()
        if found != archive.checksum:
            part.unlink()
            raise ValueError(
                f"{archive.url}: checksum {found}, expected {archive.checksum}; try again or fetch it yourself"
            )
    part.rename(done)
    return done


def _receive(url: str, part: Path, advance: Callable[[int, int], None]) -> None:
    """Append to `part` what of `url` is missing."""
    here = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={here}-"} if here else {})
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == 416 and here:  # nothing is missing
            return
        raise
    with answer:
        if answer.status != 206:  # the server begins anew
            here = 0
        length = int(answer.headers.get("Content-Length") or 0)
        total = here + length
        with part.open("ab" if here else "wb") as file:
            while block := answer.read(BLOCK_BYTES):
                file.write(block)
                here += len(block)
                advance(here, total)
    if length and here < total:
        raise OSError(f"broken off at {here:,} of {total:,} bytes")


def unpack(path: Path, folder: Path) -> Unpacked:
    """Unpack a zip or tar archive into a folder.

    Args:
        path: the archive.
        folder: where to; made if it is not there.

    Raises:
        ValueError: it is no zip and no tar.
    """
    folder.mkdir(parents=True, exist_ok=True)
    base, written, kept, refused = folder.resolve(), 0, 0, []
    for name, opened in _members(path):
        target = folder / name
        if opened is None or not target.parent.resolve().is_relative_to(base) or target.is_symlink():
            refused.append(name)
        elif target.exists():
            kept += 1
        else:
            with opened() as source:
                write_stream(target, partial(shutil.copyfileobj, source))
            written += 1
    return Unpacked(written, kept, refused)


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
    else:
        raise ValueError(f"{path}: neither zip nor tar")
