"""What libmpg123 says of a damaged MP3 is told once, with the file's name, by every verb."""

import ctypes
import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from sordino import audio, cli
from sordino.datasets import load_dataset, prepare
from sordino.decoding import overheard
from tests.tiny_adapters import adapter

RATE_HZ = 44_100
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"),
    reason="other C libraries let nobody listen",
)


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch):
    monkeypatch.setattr(overheard, "_told", set())


def healthy(path, seconds=4.0):
    x = 0.3 * np.sin(2 * np.pi * 220 * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)
    audio.write(path, x.astype(np.float32), RATE_HZ)
    return path


def with_remains(path):
    """An MP3 that is read whole, behind which lies what is no sound: `Xing stream size off by more than 1%`."""
    healthy(path)
    path.write_bytes(path.read_bytes() + np.random.default_rng(0).bytes(5_000))
    return path


def from_decoder(err):
    """The lines on stderr that are a decoder's own."""
    return [line for line in err.splitlines() if "mpg123" in line or "Xing" in line or "MPEG-Header" in line]


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["sordino", *map(str, words)])
    cli.main()


def test_predict_and_evaluate_name_the_file_once(tmp_path, monkeypatch, capfd, caplog):
    damaged, sound = with_remains(tmp_path / "a.mp3"), healthy(tmp_path / "b.mp3")
    model = adapter(tmp_path / "key.adapter", "key")
    rows = [{"path": path.name, "key": "C major", "split": "test"} for path in (damaged, sound)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    line = f"{damaged}: read, but the decoder says: Warning: Xing stream size off by more than 1%"
    for words in (("predict", damaged, sound, "--adapter", model),
                  ("evaluate", model, "--data", tmp_path / "rows.jsonl")):  # fmt: skip
        overheard._told.clear()
        for _ in range(2):
            run(monkeypatch, *words)
        (found,) = caplog.messages
        assert found.startswith(line) and from_decoder(capfd.readouterr().err) == []
        caplog.clear()
    overheard._told.clear()
    run(monkeypatch, "predict", damaged, sound, "--adapter", model, "-q")
    assert caplog.messages == [] and capfd.readouterr().err == ""


def test_what_prepare_lists_is_not_told_again(tmp_path, capfd, caplog):
    with_remains(tmp_path / "a.mp3")
    found = prepare(load_dataset(tmp_path))
    assert found.scans[str(tmp_path / "a.mp3")].said.startswith("Warning: Xing stream size")
    audio.read(tmp_path / "a.mp3", RATE_HZ)
    assert caplog.messages == [] and capfd.readouterr().err == ""


def test_threads_that_decode_at_once_are_told_apart(tmp_path, caplog):
    paths = [(with_remains if number % 2 else healthy)(tmp_path / f"{number}.mp3") for number in range(6)]
    threads = [threading.Thread(target=audio.read, args=(path, RATE_HZ)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(record.args[0] for record in caplog.records) == paths[1::2]


def test_what_is_written_beside_decoding_goes_on_to_stderr(tmp_path, capfd):
    audio.read(healthy(tmp_path / "a.mp3"), RATE_HZ)
    c = ctypes.CDLL(None)
    c.fprintf(ctypes.c_void_p.in_dll(c, "stderr"), b"from elsewhere %d\n", 7)
    print("from Python", file=sys.stderr)
    assert capfd.readouterr().err == "from elsewhere 7\nfrom Python\n"


def test_stderr_is_as_it_was_when_python_has_ended(tmp_path):
    """Libraries may write after the interpreter is gone."""
    code = f"""if True:
        import ctypes
        from sordino import audio
        audio.read({str(with_remains(tmp_path / "a.mp3"))!r}, 8_000)
        c = ctypes.CDLL(None)
        c.on_exit(c.psignal, b"at the end")"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert ended.returncode == 0, ended
    told, at_end = ended.stderr.splitlines()
    assert told.startswith(f"{tmp_path / 'a.mp3'}: read, but the decoder says: Warning") and "at the end" in at_end
