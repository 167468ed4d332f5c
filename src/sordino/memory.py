"""How the C library handles freed memory: kept for the next tensor, instead of given back to the system."""

from __future__ import annotations

import ctypes
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # numbers of `mallopt` (malloc.h)
LARGEST_MMAP_THRESHOLD = 32 << 20  # bytes, that glibc takes on 64 bits
NEVER = 2**31 - 1


def is_full(error: BaseException) -> bool:
    """Whether a device (or the host) had no memory for a tensor."""
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)


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
