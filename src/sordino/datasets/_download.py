"""Fetch what a corpus publishes: resumed and checked, by one process at a time.

Conventions: archives lie in `<root>/.downloads` and stay there; an unfinished one ends in `.part` and is gone on with
where that is of the same state of the file: a checksum is known, or the server gave a tag. Else it begins anew.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sordino.contracts import Archive
from sordino.datasets._unpack import DOWNLOADS
from sordino.files import flush, one_line, write_json
from sordino.holding import held

BLOCK_BYTES = 1 << 20
TIMEOUT_S = 60
DIGESTS = {32: "md5", 40: "sha1", 64: "sha256"}  # by the number of digits


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
    folder = root / DOWNLOADS
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / f"{archive.checksum[:8] or 'any'}-{name}"
    with held(done):
        return done if done.exists() else _fetched(archive, done, advance)


def _fetched(archive: Archive, done: Path, advance: Callable[[int, int], None]) -> Path:
    """The archive, received to its end, checked, and put in its place."""
    part = done.with_name(done.name + ".part")
    if part.is_symlink() or done.is_symlink():
        raise ValueError(f"{part if part.is_symlink() else done} is a link and is left alone; remove it")
    try:
        _receive(archive, part, advance)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        here = part.stat().st_size if part.exists() else 0
        reason = getattr(error, "reason", None)
        why = one_line(reason if isinstance(reason, OSError) else error)
        raise ConnectionError(
            f"{archive.url}: {why}; {here:,} bytes are kept, run the command again to go on"
        ) from error
    if archive.checksum:
        with part.open("rb") as file:
            found = hashlib.file_digest(file, DIGESTS[len(archive.checksum)]).hexdigest()
        if found != archive.checksum:
            part.unlink()
            _state(part).unlink(missing_ok=True)
            raise ValueError(
                f"{archive.url}: checksum {found}, expected {archive.checksum}; try again or fetch it yourself"
            )
    flush(part)
    part.rename(done)
    flush(done.parent)
    _state(part).unlink(missing_ok=True)
    return done


def _receive(archive: Archive, part: Path, advance: Callable[[int, int], None]) -> None:
    """Append to `part` what is missing, if that is of the same state of the file; else begin anew."""
    here = part.stat().st_size if part.exists() else 0
    state = _read_state(part)
    if not archive.checksum and not state.get("tag"):
        here = 0  # nothing would tell whether what is here belongs to what comes
    headers = {"Range": f"bytes={here}-", **({"If-Range": state["tag"]} if state.get("tag") else {})} if here else {}
    try:
        answer = urllib.request.urlopen(urllib.request.Request(archive.url, headers=headers), timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == 416 and here and (archive.checksum or state.get("n_bytes") == here):  # nothing is missing
            return
        if error.code == 416:
            part.unlink(missing_ok=True)
        raise
    with answer:
        if answer.status != 206:  # the server begins anew
            here = 0
        length = int(answer.headers.get("Content-Length") or 0)
        total = here + length
        tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        write_json(_state(part), {"tag": "" if tag.startswith("W/") else tag, "n_bytes": total})
        with part.open("ab" if here else "wb") as file:
            while block := answer.read(BLOCK_BYTES):
                file.write(block)
                here += len(block)
                advance(here, total)
    if length and here < total:
        raise OSError(f"broken off at {here:,} of {total:,} bytes")


def _state(part: Path) -> Path:
    """Where it is noted which state of the file an unfinished download is of."""
    return part.with_name(part.name + ".json")


def _read_state(part: Path) -> dict[str, Any]:
    try:
        found = json.loads(_state(part).read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError):
        return {}
