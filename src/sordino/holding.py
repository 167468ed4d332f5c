"""One process at a time works at a place; another one says who it is, and waits.

The lock is the system's (`filelock`): it ends with its process, also when that is killed, so that whoever waits goes on
where it was. Beside it stands who holds it, for people to read.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from sordino.files import write_json


@contextmanager
def held(place: Path, waits: bool = True) -> Iterator[None]:
    """Nobody else is here at this place meanwhile.

    Args:
        place: a file or folder, whether it is there or not; the lock is `.NAME.lock` beside it.
        waits: say on stderr who is there and wait; else it is an error.

    Raises:
        BlockingIOError: another process is there, and it is not to be waited for; says which.
    """
    place = place.resolve()
    place.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place.with_name(f".{place.name}.lock"))
    holder = place.with_name(f".{place.name}.holder")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        told = f"{place} is held by {_told(holder)}"
        if not waits:
            raise BlockingIOError(f"{told}; wait for it, or end it") from None
        print(f"{told}; waiting for it", file=sys.stderr)
        lock.acquire()
    try:
        write_json(holder, {"pid": os.getpid(), "host": platform.node(), "since": time.time(), "command": sys.argv[:3]})
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _told(holder: Path) -> str:
    """Who holds a lock, in words."""
    try:
        found = json.loads(holder.read_text(encoding="utf-8"))
        since = time.strftime("%H:%M:%S", time.localtime(float(found["since"])))
        return f"process {int(found['pid'])} on {found['host']} since {since}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
