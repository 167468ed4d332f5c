"""Freed memory stays with the process."""

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, resource, sys
from sordino.memory import keep_freed_memory
assert sys.argv[1] != "keep" or keep_freed_memory()
c = ctypes.CDLL(None)
c.malloc.restype, c.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
c.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
def step():
    blocks = [c.malloc(12 << 20) for _ in range(8)]
    for block in blocks:
        c.memset(block, 1, 12 << 20)
    for block in reversed(blocks):
        c.free(block)
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how):
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_the_next_step_finds_its_pages():
    assert faults("keep") < 100 < faults("leave")
