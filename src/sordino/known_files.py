"""What was once read of sound files, kept until they change: a hash of the bytes and the length.

Hashing a hundred thousand files takes minutes, asking the file system whether they have changed takes a second. A file
counts as unchanged while its size, its inode and both its times (of content and of status, which no program sets back)
are the same. What has changed within `SETTLED_S` is read again, because one more change may fall on the same tick of
the clock. The notes are an SQLite file in the cache folder; where it cannot be used everything is just read again.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from sordino import audio

SETTLED_S = 2.0
BLOCK_S = 30.0  # decoded at once
AT_ONCE = 500  # names in one question to SQLite
_TABLE = "CREATE TABLE IF NOT EXISTS file (path TEXT PRIMARY KEY, state TEXT, content TEXT, duration_s REAL)"


class Known(NamedTuple):
    """What reading a file found.

    Attributes:
        content: a hash of its bytes.
        duration_s: its length in seconds.
    """

    content: str
    duration_s: float


def cache_folder() -> Path:
    """Where everything that can be computed again lies: `$SORDINO_CACHE`, else `~/.cache/sordino`."""
    return Path(os.environ.get("SORDINO_CACHE") or Path.home() / ".cache" / "sordino")


def look(
    paths: Iterable[str | Path], advance: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, Known | audio.AudioError]:
    """Hash and length of files, or why one cannot be read; only those that are new or changed are opened.

    Args:
        paths: sound files.
        advance: called with how many are read and how many are to be read.
    """
    states = states_of(map(str, paths))
    found: dict[str, Known | audio.AudioError] = dict(_recall(states))
    todo = [name for name in states if name not in found]
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1), "hash") as pool:
        for number, (name, known) in enumerate(zip(todo, pool.map(_read, todo), strict=True), 1):
            found[name] = known
            advance(number, len(todo))
    remember({name: states[name] for name in todo}, found)
    return found


def states_of(names: Iterable[str]) -> dict[str, str | None]:
    """The states of files, for `remember`; to be asked for before they are read."""
    return {name: _state(name) for name in dict.fromkeys(names)}


def remember(states: Mapping[str, str | None], found: Mapping[str, Known | audio.AudioError]) -> None:
    """Note what was read of files, so that `look` need not read them until they change.

    Args:
        states: of the files before they were read.
        found: what was read; errors are not noted.
    """
    rows = [
        (_place(name), state, *known)
        for name, state in states.items()
        if state is not None and isinstance(known := found[name], Known)
    ]
    if not rows:
        return
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(cache_folder() / "files.sqlite", timeout=30)) as notes, notes:
            notes.execute(_TABLE)
            notes.executemany("REPLACE INTO file VALUES (?, ?, ?, ?)", rows)
    except (sqlite3.Error, OSError, ValueError):  # ValueError: a name that is not UTF-8
        return


def _read(name: str) -> Known | audio.AudioError:
    try:
        duration_s = audio.info(name).duration_s  # first: it says best what is wrong
        return Known(audio.fingerprint(name), duration_s)
    except audio.AudioError as error:
        return error
    except OSError as error:
        return audio.AudioError(f"{name}: cannot be read ({error.strerror})")


def damaged(paths: Iterable[str | Path]) -> dict[str, audio.AudioError]:
    """Files that cannot be decoded to their end, each with the reason: all are decoded."""
    names = list(dict.fromkeys(map(str, paths)))
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1), "decode") as pool:
        return {name: error for name, error in zip(names, pool.map(_decode_whole, names), strict=True) if error}


def _decode_whole(name: str) -> audio.AudioError | None:
    try:
        rate_hz = audio.info(name).sample_rate_hz
        for _ in audio.blocks(name, rate_hz, BLOCK_S):
            pass
    except audio.AudioError as error:
        return error
    return None


def _state(name: str) -> str | None:
    """What changes when the file does; None when it cannot be asked or has changed just now."""
    try:
        status = Path(name).stat()
        name.encode()
    except (OSError, ValueError):  # a name that SQLite could not hold, too
        return None
    if abs(time.time() - max(status.st_mtime, status.st_ctime)) < SETTLED_S:
        return None
    return f"{audio.READER} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino} {status.st_dev}"


def _place(name: str) -> str:
    """The name under which a file is noted: one name for `a.wav` and `b/../a.wav` (what is noted tells the inode)."""
    return os.path.normpath(Path(name).absolute())


def _recall(states: Mapping[str, str | None]) -> dict[str, Known]:
    names = [name for name, state in states.items() if state is not None]
    place = cache_folder() / "files.sqlite"
    found: dict[str, Known] = {}
    if not names or not place.is_file():
        return found
    try:
        with closing(sqlite3.connect(place, timeout=30)) as notes:
            for first in range(0, len(names), AT_ONCE):
                some = names[first : first + AT_ONCE]
                marks = ",".join("?" * len(some))
                places = {_place(name): name for name in some}
                for path, state, *known in notes.execute(f"SELECT * FROM file WHERE path IN ({marks})", [*places]):
                    if state == states[places[path]]:
                        found[places[path]] = Known(*known)
    except (sqlite3.Error, ValueError):
        return {}
    return found
