"""A full disk at every write site: one line, no file under its name that is not whole, and the rerun ends as it should.

Every file that is kept is flushed before it gets its name (`files.py`, `store_chunks.py`), so the n-th flush, folder,
rename or reservation of a command is made to fail, for every n until the command comes through. Where a small file
system can be mounted (as root on Linux), the same commands also run on one of every size.
"""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults.kills import WORK, child, config, content, ended, music, train

SITES = ("fsync", "mkdir", "replace", "rename", "posix_fallocate")


@contextlib.contextmanager
def full_at(number: int, folder: Path) -> Iterator[list[int]]:
    """Below a folder, the n-th call that writes finds no room, and so do those after it; counts the calls."""
    kept, seen = {name: getattr(os, name) for name in SITES}, [0]

    def failing(name: str) -> Callable[..., object]:
        def call(*args: object, **named: object) -> object:
            place = os.readlink(f"/proc/self/fd/{args[0]}") if isinstance(args[0], int) else os.fspath(args[0])  # noqa: PTH115
            if str(folder) in str(place):
                seen[0] += 1
                if seen[0] >= number:
                    raise OSError(errno.ENOSPC, "No space left on device")
            return kept[name](*args, **named)

        return call

    try:
        for name in SITES:
            setattr(os, name, failing(name))
        yield seen
    finally:
        for name, call in kept.items():
            setattr(os, name, call)


def once(work: Callable[[], object], number: int, out: Path) -> bool:
    """Some work with a disk that is full from a call on; whether it came through. All but an OSError is passed on."""
    with full_at(number, out.parent):
        try:
            work()
        except OSError as error:
            assert error.errno == errno.ENOSPC or "No space left" in str(error) or "no room" in str(error), error
            return False
    return True


def run(name: str, folder: Path, most: int = 10_000, every: int = 1) -> dict[str, int]:
    """A command with a full disk from its first, second, ... write on, each time run again with room.

    Args:
        name: of `kills.WORK`.
        folder: an empty one.
        most: write sites that are tried.
        every: only each so-manieth site.
    """
    data = prepared(name, folder)
    assert ended(child(lambda: WORK[name](data, made(folder / "whole" / "out")), folder / "whole" / "cache")) == 0
    wanted, counts = content(folder / "whole" / "out"), {"sites": 0, "unequal": 0, "not whole": 0}
    for number in range(1, most + 1, every):
        place = folder / f"full {number}"
        out = made(place / "out")

        def work(number: int = number, out: Path = out) -> None:
            os._exit(0 if once(lambda: WORK[name](data, out), number, out) else 7)

        status = ended(child(work, place / "cache"))
        assert status in (0, 7), f"{name} with a full disk at write {number} ended with {status}"
        if status == 0:
            break
        counts["sites"] += 1
        there = content(out)
        counts["not whole"] += sum(
            1
            for path, found in there.items()
            if found != wanted.get(path) and path.endswith((".jams", "result.json", "rows"))
        )
        assert ended(child(lambda out=out: WORK[name](data, out), place / "cache")) == 0
        counts["unequal"] += content(out) != wanted
    return counts


def prepared(name: str, folder: Path) -> Path:
    """Sounds, and for `predict` an adapter beside them."""
    data = music(made(folder / "data"), 8)
    if name == "predict":
        train(config(data), folder / "source").adapter.rename(data.parent / ".adapter")
    return data


def small_disks(folder: Path, sizes_kb: range) -> dict[str, int] | None:
    """Training on file systems of several sizes; None where none can be mounted."""
    data, counts = prepared("train", folder), {"sizes": 0, "full": 0, "unequal": 0}
    assert ended(child(lambda: WORK["train"](data, made(folder / "whole")), folder / "cache")) == 0
    wanted = content(folder / "whole")
    for size_kb in sizes_kb:
        disk = made(folder / f"disk {size_kb}")
        words = ["mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs", str(disk)]
        if subprocess.run(words, capture_output=True, check=False).returncode:
            return None
        try:
            began = time.monotonic()

            def work(disk: Path = disk) -> None:
                try:
                    WORK["train"](data, made(disk / "out"))
                except OSError:
                    os._exit(7)

            status = ended(child(work, disk / "cache"))
            assert status in (0, 7) and time.monotonic() - began < 300, status
            counts["sizes"] += 1
            counts["full"] += status == 7
            if status == 7:
                words[4] = "remount,size=200m"
                subprocess.run(words, capture_output=True, check=True)
                assert ended(child(lambda disk=disk: WORK["train"](data, disk / "out"), disk / "cache")) == 0
            counts["unequal"] += content(disk / "out") != wanted
        finally:
            subprocess.run(["umount", "-l", str(disk)], capture_output=True, check=False)
    return counts


def made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
