"""Writing files: whole or not at all, with the usual permissions, even when the disk is full or the process killed."""

import json
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sordino.files import (
    distinct_names,
    whole_folder,
    write_bytes,
    write_folder,
    write_json,
    write_stream,
    write_text,
    write_with,
)

KINDS = {
    "a.txt": lambda path: write_text(path, "naïve\r\n"),
    "a.bin": lambda path: write_bytes(path, b"\0\1"),
    "a.json": lambda path: write_json(path, {"x": float("nan"), "y": np.float32(0.5), "z": (1, 2)}),
    "a.npy": lambda path: write_stream(path, lambda file: np.save(file, np.arange(4))),
    "a.npz": lambda path: write_with(path, lambda part: np.savez(part, x=np.arange(3))),
    "a.safetensors": lambda path: write_with(path, lambda part: save_file({"x": torch.ones(2)}, part)),
}


def names(folder) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


@pytest.fixture
def umask():
    """A umask that no library chooses by itself."""
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.parametrize("name", KINDS)
def test_a_file_has_the_permissions_of_the_umask_and_nothing_is_left_beside(name, tmp_path, umask):
    folder = tmp_path / "new"
    for _ in range(2):  # the second time it replaces the first
        assert KINDS[name](folder / name) == folder / name
    assert names(folder) == [name]
    assert stat.S_IMODE((folder / name).stat().st_mode) == 0o640


def test_what_is_written_is_what_is_read(tmp_path):
    for name, write in KINDS.items():
        write(tmp_path / name)
    assert (tmp_path / "a.txt").read_bytes() == "naïve\r\n".encode()
    assert (tmp_path / "a.bin").read_bytes() == b"\0\1"
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": None, "y": 0.5, "z": [1, 2]}
    assert np.load(tmp_path / "a.npy").tolist() == [0, 1, 2, 3]
    assert np.load(tmp_path / "a.npz")["x"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_leaves_the_old_file_and_nothing_else(error, tmp_path):
    def fail(part):
        part.write_text("half")
        raise error

    (tmp_path / "a.json").write_text("old")
    with pytest.raises(error):
        write_with(tmp_path / "a.json", fail)
    with pytest.raises(TypeError, match="not JSON"):
        write_json(tmp_path / "a.json", {"x": object()})
    assert names(tmp_path) == ["a.json"] and (tmp_path / "a.json").read_text() == "old"


def test_the_folder_and_the_file_reach_the_disk_before_and_after_the_rename(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(os, "fsync", lambda number: told.append(str(Path(f"/proc/self/fd/{number}").readlink())))
    write_text(tmp_path / "a.txt", "x")
    assert [Path(place).name for place in told] == [Path(told[0]).name, tmp_path.name]
    assert Path(told[0]).name.startswith(f".a.{os.getpid()}-")


def full_disk(code: str) -> str:
    """Run code in a process whose files may have 1,000 bytes; the name of the error it ends with."""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, preexec_fn=limit_files)
    return told.stderr.strip().splitlines()[-1]


def limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


@pytest.mark.parametrize(
    "write",
    [
        "write_text(place, 'x' * 5000)",
        "write_with(place, lambda p: p.write_bytes(bytes(5000)))",
        "write_with(place, lambda p: save_file({'x': np.ones(5000)}, p))",
        "write_folder(place, lambda p: write_text(p / 'b.txt', 'x' * 5000))",
    ],
)
def test_a_full_disk_leaves_what_was_there(write, tmp_path):
    folder, place = "folder" in write, tmp_path / "a.out"
    inner = place / "b.txt" if folder else place
    inner.parent.mkdir(exist_ok=True)
    inner.write_text("old")
    head = "import numpy as np\nfrom safetensors.numpy import save_file\nfrom sordino.files import *\n"
    assert "File too large" in full_disk(f"{head}from pathlib import Path\nplace = Path({str(place)!r})\n{write}")
    assert names(tmp_path) == ["a.out"] and inner.read_text() == "old"


def test_a_link_stays_a_link_and_a_device_a_device(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link.txt").symlink_to(tmp_path / "there" / "real.txt")
    (tmp_path / "link").symlink_to(tmp_path / "there" / "folder")
    write_text(tmp_path / "link.txt", "new")
    write_folder(tmp_path / "link", fill("new"))
    assert (tmp_path / "link.txt").is_symlink() and (tmp_path / "there" / "real.txt").read_text() == "new"
    assert (tmp_path / "link").is_symlink() and (tmp_path / "there" / "folder" / "a").read_text() == "new"
    for place in ("/dev/null", tmp_path):
        with pytest.raises(OSError, match="is no file"):
            write_text(place, "x")
    with pytest.raises(OSError, match="is no folder"):
        write_folder(tmp_path / "link.txt", fill("x"))


def fill(text: str, *others: str):
    """A function that fills a folder with the file `a`, twice as it is, and whatever else is named."""
    return lambda part: [(part / name).write_text(text) for name in ("a", "b", *others)]


def read(folder) -> set[str]:
    """What the files of a folder say, as a reader finds it."""
    return {path.read_text() for path in whole_folder(folder).iterdir()}


def test_a_folder_is_replaced_as_a_whole(tmp_path, umask):
    folder = tmp_path / "here" / "x.adapter"
    write_folder(folder, fill("old", "only in the old"))
    write_folder(folder, fill("new"))
    assert names(folder) == ["a", "b"] and read(folder) == {"new"} and names(folder.parent) == ["x.adapter"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750
    with pytest.raises(ZeroDivisionError):
        write_folder(folder, lambda part: 1 / 0)
    assert read(folder) == {"new"} and names(folder.parent) == ["x.adapter"]


KILLED = """
import os, shutil, sys
from pathlib import Path
from sordino.files import write_folder
steps = 0
def counted(call):
    def stop_before(*values, **named):
        global steps
        steps += 1
        if steps == int(sys.argv[2]):
            os._exit(9)
        return call(*values, **named)
    return stop_before
Path.rename, Path.mkdir, os.fsync, shutil.rmtree = map(counted, (Path.rename, Path.mkdir, os.fsync, shutil.rmtree))
write_folder(sys.argv[1], lambda part: [(part / name).write_text("new") for name in "ab"])
"""


def test_a_process_killed_at_any_step_leaves_a_whole_folder_and_the_next_one_clears_up(tmp_path):
    seen = set()
    for step in range(1, 30):
        folder = tmp_path / str(step) / "x.adapter"
        write_folder(folder, fill("old"))
        ended = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(step)]).returncode
        assert read(folder) in ({"old"}, {"new"})
        seen.add((folder.exists(), *read(folder)))
        write_folder(folder, fill("third"))
        left = [name for name in names(folder.parent) if not name.endswith(".part")]
        assert read(folder) == {"third"} and left == ["x.adapter"]
        if ended == 0:
            break
    assert ended == 0 and seen == {(True, "old"), (False, "old"), (True, "new")}


def test_writers_at_the_same_time_leave_one_whole_folder(tmp_path):
    code = (
        "import sys; from sordino.files import write_folder, write_text\n"
        "for i in range(60):\n"
        "    text = f'{sys.argv[2]} {i}'\n"
        "    write_folder(sys.argv[1], lambda part: [(part / name).write_text(text) for name in 'ab'])\n"
    )
    folder = tmp_path / "x.adapter"
    own = [subprocess.Popen([sys.executable, "-c", code, str(folder), str(number)]) for number in range(3)]
    assert [process.wait() for process in own] == [0, 0, 0]
    assert len(read(folder)) == 1 and names(folder) == ["a", "b"] and names(tmp_path) == ["x.adapter"]


def test_names_that_are_liked_may_begin_with_folders_and_stay_there():
    liked = {"m/a/one.wav": "a/one", "m/b/one.wav": "b/one", "m/b/one.mp3": "b/one", "x/one.wav": "one", "s": "a/ONE"}
    found = distinct_names({**liked, "m/z.wav": f"{'z' * 300}/{'y' * 300}"})
    assert list(found.values())[1:4] == ["b/one.wav", "b/one.mp3", "one"]
    assert len({name.casefold() for name in found.values()}) == 6 and found["m/z.wav"] == f"{'z' * 300}/{'y' * 200}"


@pytest.mark.parametrize(
    ("paths", "wanted"),
    [
        (["x/one.wav", "two.wav"], ["one", "two"]),
        (["a/same.wav", "b/same.wav", "c.wav"], ["a_same.wav", "b_same.wav", "c"]),
        (["song.wav", "song.mp3"], ["song.wav", "song.mp3"]),
        (["Song.wav", "x/song.wav"], ["Song.wav", "x_song.wav"]),
        (["a/same.wav", "b/same.wav", "a_same.wav.wav"], None),
        (["a/b/c.wav", "a_b/c.wav", "a/b_c.wav"], None),
        ([f"{'x' * 240}{n}.wav" for n in range(3)] + [f"{n}{'y' * 240}.wav" for n in range(3)], None),
        (["/c.wav", "c.wav", "./c.wav"], None),
    ],
)
def test_outputs_of_several_files_have_names_of_their_own(paths, wanted):
    found = distinct_names([*paths, paths[0]])  # named twice it is one file
    assert list(found) == paths and len({name.casefold() for name in found.values()}) == len(paths)
    assert wanted is None or list(found.values()) == wanted
    assert all("/" not in name and len(name) <= 210 for name in found.values())
