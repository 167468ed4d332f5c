"""The store: found again by content, whole or not there, one process fills, within its budget."""

import multiprocessing
import os
import subprocess
import sys

import pytest
import torch

from sordino import store_chunks
from sordino.store import Stored, row_key
from sordino.store_chunks import StoreFull, contents, remove_chunk

KIND = {"backbone": "abc", "state": 3}


def rows(numbers, root, dtype="float32", kind=KIND, width=4):
    lengths = [number % 3 + 1 for number in numbers]
    return Stored(kind, [row_key(number) for number in numbers], lengths, width, dtype, root)


def content(number, width=4):
    """What row `number` holds."""
    return torch.arange((number % 3 + 1) * width, dtype=torch.float32).reshape(-1, width) + number


def fill(stored, numbers):
    with stored.filling() as missing:
        for row in missing:
            stored.put(int(row), content(numbers[row]))
        return [numbers[row] for row in missing]


def test_rows_are_found_again_by_what_they_are(tmp_path):
    assert fill(rows([5, 1, 2, 1], tmp_path), [5, 1, 2, 1]) == [5, 1, 2]
    again = rows([2, 7, 5], tmp_path)
    assert list(again.missing()) == [1]
    assert torch.equal(again.get(0), content(2)) and torch.equal(again.get(2), content(5))
    assert fill(again, [2, 7, 5]) == [7]
    for number, row in zip([2, 7, 5], range(3), strict=True):
        assert torch.equal(again.get(row), content(number))
    assert len(contents(tmp_path)) == 2 and sum(entry["n_rows"] for entry in contents(tmp_path)) == 4


def test_a_stretch_of_a_row(tmp_path):
    stored = rows([5], tmp_path)
    fill(stored, [5])
    assert torch.equal(stored.get(0, 1, 1), content(5)[1:2])
    assert torch.equal(stored.get(0, 1), content(5)[1:])
    assert len(stored.get(0, 7)) == 0


def test_another_kind_width_or_dtype_is_another_store(tmp_path):
    fill(rows([1, 2], tmp_path), [1, 2])
    for other in (
        rows([1, 2], tmp_path, kind={**KIND, "state": 4}),
        rows([1, 2], tmp_path, dtype="float16"),
        rows([1, 2], tmp_path, width=5),
    ):
        assert len(other.missing()) == 2


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_halves_are_as_near_as_their_type_allows(dtype, tmp_path):
    stored = rows([3], tmp_path, dtype, width=1000)
    values = torch.randn(1, 1000, generator=torch.Generator().manual_seed(0))
    with stored.filling():
        stored.put(0, values)
    assert torch.equal(stored.get(0), values.to(getattr(torch, dtype)))


def test_what_a_dtype_cannot_hold_is_refused(tmp_path):
    stored = rows([3], tmp_path, "float16")
    with pytest.raises(ValueError, match="store it as float32"), stored.filling():
        stored.put(0, torch.full((1, 4), 1e6))
    with pytest.raises(ValueError, match=r"shape \(2, 4\)"), stored.filling():
        stored.put(0, torch.zeros(2, 4))
    assert list(rows([3], tmp_path, "float16").missing()) == [0]


def test_a_killed_filler_leaves_only_whole_rows(tmp_path):
    """Killed while it writes: what is marked is right, the rest is missing and is put where it was reserved."""
    code = f"""
import os, time
from pathlib import Path
from tests.unit.test_store import rows, content
from sordino import store_chunks
store_chunks.MARK_S = 0.02
stored = rows(range(200), Path({str(tmp_path)!r}))
with stored.filling() as missing:
    for row in missing:
        stored.put(int(row), content(int(row)))
        time.sleep(0.002)
        if row == 120:
            os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -9
    stored = rows(range(200), tmp_path)
    missing = set(map(int, stored.missing()))
    assert 79 <= len(missing) < 200
    for row in set(range(200)) - missing:
        assert torch.equal(stored.get(row), content(row))
    fill(stored, range(200))
    assert len(contents(tmp_path)) == 1
    assert all(torch.equal(rows(range(200), tmp_path).get(row), content(row)) for row in range(200))


def _race(root, barrier, number, failures):
    mine = range(30 * number, 30 * number + 60)  # neighbours share half of their rows
    barrier.wait()
    stored = rows(mine, root)
    fill(stored, mine)
    if len(stored.missing()) or not all(torch.equal(stored.get(row), content(n)) for row, n in enumerate(mine)):
        failures.put(number)


@pytest.mark.parametrize("trial", range(5))
def test_many_processes_at_once(trial, tmp_path):
    context = multiprocessing.get_context("fork")
    barrier, failures = context.Barrier(4), context.SimpleQueue()
    several = [context.Process(target=_race, args=(tmp_path, barrier, number, failures)) for number in range(4)]
    for process in several:
        process.start()
    for process in several:
        process.join()
    assert all(process.exitcode == 0 for process in several) and failures.empty()
    assert sum(entry["n_rows"] for entry in contents(tmp_path)) == 150  # every row once


@pytest.mark.parametrize("suffix", [".data", ".done"])
@pytest.mark.parametrize("damage", [b"", b"xxx", None])
def test_a_damaged_chunk_is_told_and_computed_again(suffix, damage, tmp_path, capsys):
    fill(rows([1, 2], tmp_path), [1, 2])
    path = contents(tmp_path)[0]["stem"].with_suffix(suffix)
    path.unlink() if damage is None else path.write_bytes(damage)
    again = rows([1, 2], tmp_path)
    assert list(again.missing()) == [0, 1] and "computed again" in capsys.readouterr().err
    assert fill(again, [1, 2]) == [1, 2]
    assert torch.equal(again.get(1), content(2))


def test_what_was_not_fully_reserved_is_cleaned_away(tmp_path):
    stored = rows([1], tmp_path)
    fill(stored, [1])
    (stored.folder / "left.data").write_bytes(b"123")
    (stored.folder / "left.part").write_bytes(b"123")
    fill(rows([2], tmp_path), [2])
    assert not list(stored.folder.glob("left*"))


def test_the_budget_removes_what_was_used_longest_ago(tmp_path, monkeypatch):
    for number in (1, 2, 3):
        stored = rows([number], tmp_path, width=1000, kind={"k": number})
        with stored.filling() as missing:
            for row in missing:
                stored.put(int(row), content(number, 1000))
        os.utime(stored.chunks.popitem()[0].with_suffix(".rows"), (number, number))
    assert len(rows([1], tmp_path, width=1000, kind={"k": 1}).missing()) == 0  # used again just now
    monkeypatch.setenv("SORDINO_CACHE_GB", str(24_000e-9))  # rows 1, 2, 3 take 8, 12 and 4 kB
    stored = rows([0], tmp_path, width=1000, kind={"k": 4})
    with stored.filling():
        stored.put(0, content(0, 1000))
    assert {entry["about"]["k"] for entry in contents(tmp_path)} == {1, 3, 4}


def test_too_much_is_one_clear_error_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setenv("SORDINO_CACHE_GB", "1e-9")
    stored = rows([1], tmp_path)
    with pytest.raises(StoreFull, match="the budget is 1e-09 GB; raise SORDINO_CACHE_GB"), stored.filling():
        pass
    monkeypatch.setenv("SORDINO_CACHE_GB", "1e9")
    huge = Stored(KIND, [b"a"], [10**13], 4, root=tmp_path)
    with pytest.raises(StoreFull, match="are free"), huge.filling():
        pass
    monkeypatch.setattr(store_chunks.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10**18})())
    with pytest.raises(StoreFull, match="no room for"), huge.filling():  # the file system says so
        pass
    assert contents(tmp_path) == [] and not list(tmp_path.glob("*/*.data"))
    monkeypatch.setenv("SORDINO_CACHE_GB", "much")
    with pytest.raises(ValueError, match="SORDINO_CACHE_GB=much"), rows([1], tmp_path).filling():
        pass


def test_a_removed_chunk_is_no_chunk_at_any_moment(tmp_path, monkeypatch):
    fill(rows([1], tmp_path), [1])
    stem = contents(tmp_path)[0]["stem"]
    monkeypatch.setattr(store_chunks.Path, "unlink", _only_first(store_chunks.Path.unlink))
    with pytest.raises(KeyboardInterrupt):
        remove_chunk(stem)
    assert list(rows([1], tmp_path).missing()) == [0]


def _only_first(unlink):
    calls = []

    def once(self, **options):
        if calls:
            raise KeyboardInterrupt
        calls.append(self)
        unlink(self, **options)

    return once
