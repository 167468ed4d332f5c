"""What decoders write on stderr of a damaged file, told once, with the file's name.

libsndfile does not hand on what libmpg123 says of an MP3 (`Note: Illegal Audio-MPEG-Header`), and several threads
decode at once. glibc lets a program set `stderr` like any variable (its manual, "Standard Streams"): a stream is put
there whose bytes come to a function in the thread that writes them. What Python writes goes its own way; what a thread
writes while it decodes nothing goes on to where it went. With other C libraries lines stand on stderr without a name.
"""

from __future__ import annotations

import atexit
import ctypes
import logging
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

MOST_TOLD = 4096  # names that are remembered
UNBUFFERED, LOCKED_BY_CALLER = 2, 2  # _IONBF, FSETLOCKING_BYCALLER

_log = logging.getLogger("sordino")
_told: set[str] = set()


class _Ear(threading.local):
    """What the decoder of this thread has written so far; None while nobody listens."""

    heard: bytearray | None = None


_ear = _Ear()


@contextmanager
def listening() -> Iterator[list[str]]:
    """What decoders write on stderr in this thread, line by line, at the end; who listens first hears all."""
    said: list[str] = []
    if _ear.heard is not None:
        yield said
        return
    _replace_stderr()
    _ear.heard = heard = bytearray()
    try:
        yield said
    finally:
        _ear.heard = None
        said += [line.strip() for line in heard.decode(errors="replace").splitlines() if line.strip()]


def tell(path: str | Path, said: list[str]) -> None:
    """Warn of a file that was read, by the first line of what its decoder says; once."""
    if said and str(path) not in _told:
        take_as_told([str(path)])
        _log.warning("%s: read, but the decoder says: %s", path, said[0])


def take_as_told(paths: Iterable[str]) -> None:
    """What the decoder says of these files is told in another way."""
    if len(_told) > MOST_TOLD:
        _told.clear()
    _told.update(paths)


_Write = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


@_Write
def _write(cookie: Any, data: Any, n_bytes: int) -> int:
    written = ctypes.string_at(data, n_bytes)
    if _ear.heard is None:
        with suppress(OSError):
            os.write(2, written)
    else:
        _ear.heard += written
    return n_bytes


class _Functions(ctypes.Structure):
    _fields_ = (("read", ctypes.c_void_p), ("write", _Write), ("seek", ctypes.c_void_p), ("close", ctypes.c_void_p))


@cache
def _replace_stderr() -> None:
    """Let C's stderr be a stream that ends here, until Python ends."""
    if sys.platform != "linux" or not hasattr(c := ctypes.CDLL(None), "gnu_get_libc_version"):
        return
    c.fopencookie.restype = ctypes.c_void_p
    c.fopencookie.argtypes = [ctypes.c_void_p, ctypes.c_char_p, _Functions]
    stream = c.fopencookie(None, b"w", _Functions(None, _write, None, None))
    if not stream:
        return
    c.setvbuf(ctypes.c_void_p(stream), None, UNBUFFERED, ctypes.c_size_t(0))
    # Else one thread could hold the stream and wait for the interpreter, another the other way round.
    c.__fsetlocking(ctypes.c_void_p(stream), LOCKED_BY_CALLER)
    stderr = ctypes.c_void_p.in_dll(c, "stderr")
    atexit.register(setattr, stderr, "value", stderr.value)
    stderr.value = stream
