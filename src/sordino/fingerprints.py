"""A hash of weights. What was hashed before is known again by sums over its memory, which cost a fifth.

Nothing is believed of files or objects: every byte is read each time, so weights that were changed in any way have
other sums (those of 64-bit words, along and across blocks of memory), and are hashed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress

import numpy as np

from sordino.files import write_text
from sordino.known_files import cache_folder

LARGE_BYTES = 1 << 26  # less is hashed in no time
ROW_WORDS, BLOCK_ROWS = 4096, 32  # a block stays in the processor's cache between its two sums

Parts = Iterable[tuple[str, np.ndarray]]


def fingerprint(parts: Callable[[], Parts], n_bytes: int) -> str:
    """A hash of everything, 16 hexadecimal digits.

    Args:
        parts: gives texts, each with the bytes [byte] that follow it; asked twice at most.
        n_bytes: how many there are in all.
    """
    if n_bytes < LARGE_BYTES:
        return _hashed(parts())
    place = cache_folder() / "fingerprints" / _summed(parts())
    if place.is_file():
        return place.read_text(encoding="utf-8")
    found = _hashed(parts())
    with suppress(OSError):  # where nothing can be written, it is hashed again next time
        write_text(place, found)
    return found


def _hashed(parts: Parts) -> str:
    digest = hashlib.sha256()
    for text, data in parts:
        digest.update(text.encode())
        digest.update(data.data)
    return digest.hexdigest()[:16]


def _summed(parts: Parts) -> str:
    digest = hashlib.sha256(f"{ROW_WORDS} {BLOCK_ROWS}".encode())
    for text, data in parts:
        digest.update(text.encode())
        n_whole = len(data) // (8 * ROW_WORDS) * (8 * ROW_WORDS)
        rows = data[:n_whole].view(np.int64).reshape(-1, ROW_WORDS)
        for first in range(0, len(rows), BLOCK_ROWS):
            block = rows[first : first + BLOCK_ROWS]
            digest.update(block.sum(0))
            digest.update(block.sum(1))
        digest.update(data[n_whole:].data)
    return digest.hexdigest()
