"""One process at a time at one place; who is there is said, and a killed one is in nobody's way."""

import subprocess
import sys

import pytest

from sordino.holding import held

HOLDER = "import sys, time; from pathlib import Path; from sordino.holding import held\nwith held(Path(sys.argv[1])):\n    print('here', flush=True); time.sleep(float(sys.argv[2]))"  # noqa: E501


def holder(place, seconds):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(place), str(seconds)], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)  # fmt: skip
    return process


def test_the_second_says_who_is_there_and_takes_over_from_a_killed_one(tmp_path):
    place = tmp_path / "run"
    first = holder(place, 60)
    assert first.stdout.readline() == "here\n"
    told = rf"run is held by process {first.pid} on .* since \d\d:\d\d:\d\d; wait"
    with pytest.raises(BlockingIOError, match=told), held(place, waits=False):
        pass
    second = holder(place, 0)
    assert f"is held by process {first.pid}" in second.stderr.readline() and second.poll() is None
    first.kill()
    assert second.communicate(timeout=30)[0] == "here\n" and second.returncode == 0
    first.communicate()
    with held(place, waits=False):  # a lock file of the dead is no lock
        pass
    assert [path.name for path in tmp_path.iterdir()] == [".run.lock"]


def test_a_holder_that_cannot_be_read_is_another_process(tmp_path):
    process = holder(tmp_path / "run", 60)
    process.stdout.readline()
    (tmp_path / ".run.holder").write_text("{")
    with pytest.raises(BlockingIOError, match="held by another process"), held(tmp_path / "run", waits=False):
        pass
    process.kill()
    process.communicate()
