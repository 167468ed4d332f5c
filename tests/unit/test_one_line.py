"""What a user can mend is one line of at most 300 characters, with file and place; `--debug` shows the traceback."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from sordino import cli
from sordino.datasets import load_dataset
from sordino.datasets._corpus import write_tone
from sordino.files import one_line
from sordino.tasks import make_task
from tests.conftest import TINY

BACKBONE = [f"backbone.{key}={value}" for key, value in TINY.items()]


def told(monkeypatch, capsys, *words, status=1):
    """The line on stderr."""
    monkeypatch.setattr(sys, "argv", ["sordino", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == status
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert len(line) <= 310
    return line


def raising(error):
    def command(*_, **__):
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(28, "No space left on device", "runs/x/result.json"), "runs/x/result.json: No space left on device"),
        (OSError(30, "Read-only file system"), "Read-only file system"),
        (NotADirectoryError(20, "Not a directory", "a.wav/b"), "a.wav/b: Not a directory"),
        (ConnectionError("https://x: broken off at 5 of 9 bytes"), "https://x: broken off at 5 of 9 bytes"),
        (EOFError("the file ends"), "the file ends"),
        (MemoryError("no room for one row"), "no room for one row"),
        (RecursionError("too deep"), "too deep"),
        (ValueError("one\ntwo  " + "x" * 5000), "one two " + "x" * 289 + "..."),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "'utf-8' codec can't decode byte 0xff in position 0: bad"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 8 GB"), None),
    ],
)
def test_errors_are_one_line(error, line, monkeypatch, capsys):
    monkeypatch.setattr("sordino.study.catalogue.catalogue", raising(error))
    found = told(monkeypatch, capsys, "list", "methods")
    assert found == f"sordino: {line}" if line else "take less memory" in found


def test_debug_shows_the_traceback(monkeypatch, capsys):
    monkeypatch.setattr("sordino.study.catalogue.catalogue", raising(ValueError("wrong")))
    monkeypatch.setattr(sys, "argv", ["sordino", "--debug", "list", "methods"])
    with pytest.raises(SystemExit):
        cli.main()
    shown = capsys.readouterr().err
    assert "Traceback" in shown and shown.strip().splitlines()[-1] == "sordino: wrong"


def test_errors_of_the_program_itself_are_shown_whole(monkeypatch):
    monkeypatch.setattr("sordino.study.catalogue.catalogue", raising(KeyError("a bug")))
    monkeypatch.setattr(sys, "argv", ["sordino", "list", "methods"])
    with pytest.raises(KeyError):
        cli.main()


def test_the_file_stands_in_front():
    assert one_line(FileNotFoundError(2, "No such file or directory", "x.toml")) == "x.toml: No such file or directory"
    assert one_line(ValueError()) == "ValueError"


def test_ctrl_c_says_how_to_go_on_and_the_same_command_does(triads, tmp_path):
    words = [sys.executable, "-m", "sordino", "train", triads, "--task", "key", "--out", tmp_path, "training.steps=120",
             "training.checkpoint_s=0", "training.validate_every=30", "head.hidden=0", *BACKBONE]  # fmt: skip
    first = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    for _ in range(6000):
        if list(tmp_path.glob("*/checkpoint/last.pt")) or first.poll() is not None:
            break
        time.sleep(0.02)
    first.send_signal(signal.SIGINT)
    said = first.communicate(timeout=60)[1]
    assert first.returncode == 130 and "Traceback" not in said, said[-2000:]
    assert said.strip().splitlines()[-1] == "sordino: stopped; the same command goes on where it was"
    assert not list(tmp_path.glob("*/result.json"))
    words.append("training.checkpoint_s=30")
    again = subprocess.run(words, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr[-2000:]
    (log,) = tmp_path.glob("*/log.jsonl")
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == list(range(30, 121, 30))


@pytest.mark.parametrize("spoil", ["cut", "noise", "empty", "other", "nothing inside"])
def test_a_broken_checkpoint_is_named(spoil, triads, tmp_path, monkeypatch):
    import torch

    from sordino.config import load_config
    from sordino.training.run import train
    from sordino.training.step import Step

    training = {"steps": 6, "checkpoint_s": 0.0, "segment_s": 1.0, "batch_size": 4, "precision": "float32"}
    config = load_config(None, (), data=str(triads), task="key", backbone=TINY, method="probe", training=training)
    step = Step._taken
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(
            Step,
            "_taken",
            lambda self, w, o, n, end: step(self, w, o, n, end) if n < 3 else raising(KeyboardInterrupt)(),
        )
        train(config, tmp_path)
    (path,) = tmp_path.glob("*/checkpoint/last.pt")
    data = path.read_bytes()
    if spoil in ("other", "nothing inside"):
        torch.save({} if spoil == "nothing inside" else {**torch.load(path), "trained": {"x": torch.zeros(1)}}, path)
    else:
        path.write_bytes({"cut": data[: len(data) // 2], "noise": os.urandom(3_000), "empty": b""}[spoil])
    with pytest.raises(ValueError, match=rf"{path}: a broken checkpoint \(.*\); delete it to begin anew") as error:
        train(config, tmp_path)
    assert len(one_line(error.value)) <= 300 and "\n" not in str(error.value)
    path.unlink()
    assert train(config, tmp_path).result["steps"] == 6


def test_two_at_once_in_one_folder_both_end_well(triads, tmp_path):
    words = [sys.executable, "-m", "sordino", "train", triads, "--task", "key", "--out", tmp_path, "training.steps=20",
             "head.hidden=0", "--json", *BACKBONE]  # fmt: skip
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [each.communicate(timeout=240) for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    first, second = (json.loads(out)["tasks"]["key"]["metrics"] for out, _ in said)
    assert first == second and len(list(tmp_path.glob("*/result.json"))) == 1


def table(folder, text):
    write_tone(folder / "a.wav", 0.05)
    (folder / "t.csv").write_text(text)
    return load_dataset(folder / "t.csv")


def test_cells_of_all_kinds_in_a_table(tmp_path):
    long, digits = "x" * 200_000, "9" * 400
    text = (
        f'path,key,tempo\na.wav,C,120\n~nouser/a.wav,C,1\n{"y" * 300}.wav,C,1\n"{long}",C,1\na.wav,{digits},{digits}\n'
    )
    dataset = table(tmp_path, text)
    tracks = dataset.tracks()
    assert tracks[0].labels["key"] == "C" and len(tracks) == 3
    assert any("field larger than field limit" in line and "t.csv line 5" in line for line in dataset.refused)
    assert any('id "a.wav" stands in' in line for line in dataset.refused)
    assert all(len(line) <= 300 for line in dataset.refused)


@pytest.mark.parametrize("task", ["key", "tempo", "beat", "chord", "tagging", "classification", "regression"])
@pytest.mark.parametrize(
    "value", [10**400, float("inf"), {"a": 1}, [[1]], [None], "9" * 400, -1e308, True, {"beats": 5}]
)
def test_labels_of_any_kind_are_read_or_told(task, value, tmp_path):
    from pathlib import Path

    from sordino.contracts import Track

    made = make_task(task)
    try:
        made.read(Track("a", Path("a.wav"), {made.label: value}, info={"source": "t.csv line 2"}))
    except ValueError as error:
        assert str(error).startswith("t.csv line 2: ")


def test_jams_of_any_kind_are_read_or_told(tmp_path):
    write_tone(tmp_path / "a.wav", 0.05)
    write_tone(tmp_path / "b.wav", 0.05)
    good = {"annotations": [{"namespace": "key_mode", "data": [{"time": 0, "duration": 1, "value": "C:major"}]}]}
    (tmp_path / "a.jams").write_text(json.dumps({**good, "file_metadata": {"artist": {"odd": 1}, "duration": [1]}}))
    for content in ([], 7, None, {"annotations": 3}, {"annotations": [1, None]},
                    {"annotations": [], "file_metadata": [1]},
                    {"annotations": [{"namespace": 5, "data": 5}]}, "[" * 5000):  # fmt: skip
        (tmp_path / "b.jams").write_text(content if isinstance(content, str) else json.dumps(content))
        dataset = load_dataset(tmp_path)
        tracks = {track.id: track for track in dataset.tracks()}
        assert tracks["a.jams"].labels["key"] == "C:major" and tracks["a.jams"].group == ""
        assert "b.jams" in tracks or any("b.jams: not a JAMS file" in line for line in dataset.refused)
