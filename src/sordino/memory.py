"""Memory: what to do where it is full, and how the C library handles what is freed."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Row = TypeVar("Row")
Found = TypeVar("Found")

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # numbers of `mallopt` (malloc.h)
LARGEST_MMAP_THRESHOLD = 32 << 20  # bytes, that glibc takes on 64 bits
NEVER = 2**31 - 1


def is_full(error: BaseException) -> bool:
    """Whether a device (or the host) had no memory for a tensor."""
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)


def release() -> None:
    """Give back what the allocator of a GPU keeps for later."""
    import torch

    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def in_room(compute: Callable[[Sequence[Row]], Found], rows: Sequence[Row]) -> Iterator[tuple[Sequence[Row], Found]]:
    """What is computed of rows: of all at once or, while the memory is full, of one half of them after the other.

    Args:
        compute: what is asked of rows, whose answers do not depend on those beside them.
        rows: at least one.

    Yields:
        Some rows, in their order, and what was computed of them.

    Raises:
        RuntimeError: a single row has no room (`is_full` says so), or whatever else `compute` raised.
    """
    try:
        found = compute(rows)
    except RuntimeError as error:
        if not is_full(error) or len(rows) == 1:
            raise
    else:
        yield rows, found
        return
    release()
    for half in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
        yield from in_room(compute, half)


def keep_freed_memory() -> bool:
    """Let glibc keep what is freed, so that each training step writes into pages it has already.

    By default glibc gives large blocks back at once, and the system clears every page anew when the next step asks for
    them: 8,000 to 58,000 page faults a step of LoRA on `mini`, up to a tenth of its time. The process then holds its
    peak memory until it ends. For programs of our own; a library should not decide this for others.

    Returns:
        Whether it was done: not on other systems or C libraries.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD) and mallopt(TRIM_THRESHOLD, NEVER))
