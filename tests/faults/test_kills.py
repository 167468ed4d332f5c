"""A part of the kills, full disks and races of `make faults`, in a process of its own (it forks)."""

import subprocess
import sys

import pytest

ROWS = ["kill prepare", "kill cache", "full prepare", "full cache", "cache races"]


@pytest.mark.parametrize("name", ROWS)
def test_what_was_killed_or_full_or_at_once_ends_with_the_same_bytes(name):
    words = [sys.executable, "-m", "tests.faults", "--share", "0.04", "--only", name]
    told = subprocess.run(words, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr[-3000:]
    row = told.stdout.splitlines()[0]
    assert (" | 0 " in row and " 0 ends" in row.replace(" | 0 of", " 0 ends")) or " | 0 wrong" in row, row


@pytest.mark.slow
def test_make_faults_in_small():
    told = subprocess.run(
        [sys.executable, "-m", "tests.faults", "--share", "0.02"], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr[-3000:]
    for row in told.stdout.splitlines():
        if " ends with other bytes" in row:
            assert " 0 of " in row or " 0 ends " in row, row
