"""How any file is written: beside its place, flushed to the disk, renamed. There is always one whole file or folder.

What is unfinished has a hidden name beside its place, `.NAME.PID-RANDOM.part`. An exception removes it; after a kill it
stays, is never read, and may be deleted.

A folder is replaced by two renames: the old one aside, to `.NAME.PID-RANDOM.aside`, then the new one into its place. A
process killed between them leaves no folder of that name but a whole one aside: readers find it through `whole_folder`,
and the next writer removes it once its own folder is in place.
"""

from __future__ import annotations

import errno
import json
import math
import os
import secrets
import shutil
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any, BinaryIO

import numpy as np

LONGEST_NAME = 200  # characters of a name without suffix


def write_stream(path: str | Path, write: Callable[[BinaryIO], object]) -> Path:
    """Write one file through a function that is given an open binary file.

    Args:
        path: the file; what a symbolic link points to is replaced, not the link. Its folder is made if it is not there.
        write: writes everything.

    Returns:
        `path`. Its permissions are the usual ones of a new file.

    Raises:
        OSError: it cannot be written (the file that was there is whole), or `path` is a folder or a device.
    """

    def fill(part: Path) -> None:
        with part.open("wb") as file:
            write(file)

    return _write(path, fill, "")


def write_with(path: str | Path, write: Callable[[Path], object]) -> Path:
    """Write one file through a function that is given a path with the suffix of `path`; as `write_stream`."""
    return _write(path, write, Path(path).suffix)


def write_bytes(path: str | Path, data: bytes) -> Path:
    """Write a file of these bytes; as `write_stream`."""
    return write_stream(path, lambda file: file.write(data))


def write_text(path: str | Path, text: str) -> Path:
    r"""Write a file of this text in UTF-8, line ends as they are; as `write_stream`.

    The bytes of a file's name that are no UTF-8 are written as JSON writes them (`\udc80`).
    """
    return write_bytes(path, text.encode(errors="backslashreplace"))


def write_json(path: str | Path, value: Any) -> Path:
    """Write plain data as JSON, null for what is undefined; as `write_stream`."""
    return write_text(path, json.dumps(finite(value), indent=1, allow_nan=False) + "\n")


def finite(value: Any) -> Any:
    """The same as plain data for JSON: no NumPy types, no paths, None for what is not finite."""
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, PurePath):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_folder(folder: str | Path, fill: Callable[[Path], object]) -> Path:
    """Write a whole folder and put it in the place of the one that is there.

    Args:
        folder: its place; what a symbolic link points to is replaced, not the link.
        fill: is given an empty folder and writes everything that shall be in it.

    Returns:
        `folder`.

    Raises:
        OSError: it cannot be written (the folder that was there is whole), or `folder` is a file.
    """
    target = Path(folder).resolve()
    if _kind(target) not in (None, stat.S_IFDIR):
        raise OSError(f"{folder} is there and is no folder; give another place")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{_own()}.part")
    outdated = _aside(target)  # only what is listed before the new folder is in place may be removed after it
    try:
        part.mkdir()
        fill(part)
        for inner in [*part.rglob("*"), part]:
            flush(inner)
        outdated += _swap(part, target)
    except BaseException as error:
        shutil.rmtree(part, ignore_errors=True)
        if isinstance(error, OSError) and error.errno:
            raise OSError(error.errno, error.strerror, str(folder)) from error
        raise
    flush(target.parent)
    for old in outdated:
        shutil.rmtree(old, ignore_errors=True)
    return Path(folder)


def whole_folder(folder: str | Path) -> Path:
    """Where to read a folder: its place, or where it was put aside by a process that was killed while replacing it."""
    path = Path(folder)
    aside = [] if path.exists() else _aside(path.resolve())
    return max(aside, key=lambda old: old.stat().st_ctime_ns, default=path)


def distinct_names(paths: Iterable[str | Path] | Mapping[str, str]) -> dict[str, str]:
    """A name for what is written of each path: the one that it would like, with the suffix where that tells it apart,
    or as much of the path's end as no other one shares.

    Where case does not count, these are different names too.

    Args:
        paths: each once; a mapping tells the names they would like (else the stem), which may begin with folders.
    """
    liked = paths if isinstance(paths, Mapping) else {path: PurePath(path).stem for path in paths}
    whole = {str(path): name for path, name in liked.items()}
    parts = {path: [part.strip("/\\:") for part in PurePath(path).parts] for path in whole}
    level = dict.fromkeys(whole, 0)

    def name(path: str) -> str:
        own = whole[path] + (PurePath(path).suffix if level[path] else "")
        folders, slash, last = (own if level[path] < 2 else "_".join(parts[path][-level[path] :])).rpartition("/")
        return folders + slash + last[-LONGEST_NAME:]

    while True:
        names = {path: name(path) for path in whole}
        counts = Counter(map(str.casefold, names.values()))
        clashing = [path for path in whole if counts[names[path].casefold()] > 1]
        deeper = [path for path in clashing if level[path] < len(parts[path])]
        if not deeper:
            return names | {path: f"{names[path]} {number}" for number, path in enumerate(clashing, 1)}
        for path in deeper:
            level[path] += 1


def is_there(path: str | Path) -> bool:
    """Whether a file or folder exists; what cannot be asked (too long a name, a folder without permission) does not."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


def one_line(error: BaseException, longest: int = 300) -> str:
    """An error for people: one line, with the file of an OSError in front."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    text = " ".join(text.split()) or type(error).__name__
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _kind(path: Path) -> int | None:
    """What is there; asked once, for who asks twice can see two states of what another process replaces."""
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except FileNotFoundError:
        return None


def _write(path: str | Path, fill: Callable[[Path], object], suffix: str) -> Path:
    target = Path(path).resolve()
    if _kind(target) not in (None, stat.S_IFREG):
        raise OSError(f"{path} is there and is no file; give another place")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.stem[:40]}.{_own()}.part{suffix}")
    try:
        with part.open("xb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
        fill(part)
        part.chmod(mode)  # safetensors gives its files to their owner alone
        flush(part)
        part.replace(target)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(part)) and error.errno:
            raise OSError(error.errno, error.strerror, str(path)) from error  # disk full: say of which file
        raise
    flush(target.parent)
    return Path(path)


def _swap(part: Path, target: Path) -> list[Path]:
    """Rename `part` to `target`; what stood there is put aside, once more if another process was faster."""
    outdated: list[Path] = []
    while True:
        try:
            part.rename(target)
            return outdated
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                if outdated and not target.exists():
                    outdated[-1].rename(target)
                raise
        old = target.with_name(f".{target.name}.{_own()}.aside")
        try:
            target.rename(old)
            outdated.append(old)
        except FileNotFoundError:  # another process has just put it aside
            continue


def _aside(target: Path) -> list[Path]:
    """The folders that were put aside for `target`."""
    start = f".{target.name}."
    if not target.parent.is_dir():
        return []
    return [p for p in target.parent.iterdir() if p.name.startswith(start) and p.name.endswith(".aside")]


def _own() -> str:
    """A part of a name that no other process and no other call has."""
    return f"{os.getpid()}-{secrets.token_hex(4)}"


def flush(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
