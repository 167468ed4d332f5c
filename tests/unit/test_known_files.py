"""Notes about files: asked once, true for as long as the file is what it was."""

import os
import sqlite3

import numpy as np
import pytest
import soundfile

from sordino import audio, known_files
from sordino.known_files import Known, look


@pytest.fixture
def song(tmp_path, monkeypatch):
    """A sound file, settled at once; the notes lie in a folder of their own."""
    monkeypatch.setenv("SORDINO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(known_files, "SETTLED_S", 0.0)
    soundfile.write(tmp_path / "a.wav", np.zeros(8000), 8000)
    return tmp_path / "a.wav"


@pytest.fixture
def read(monkeypatch):
    """Names of the files that were read."""
    names, original = [], known_files._read
    monkeypatch.setattr(known_files, "_read", lambda name: names.append(name) or original(name))
    return names


def test_a_file_is_read_once(song, read):
    first = look([song, song])[str(song)]
    assert first == Known(audio.fingerprint(song), 1.0)
    assert look([str(song)])[str(song)] == first
    assert len(read) == 1


def test_relative_and_absolute_names_are_one_file(song, read, monkeypatch):
    first = look([song])[str(song)]
    monkeypatch.chdir(song.parent)
    assert look(["a.wav"])["a.wav"] == first and len(read) == 1


def test_a_file_replaced_in_the_same_size_and_time_is_read_again(song, read):
    first, status = look([song])[str(song)], song.stat()
    soundfile.write(song.with_name("b.wav"), np.full(8000, 0.5), 8000)
    song.with_name("b.wav").replace(song)
    os.utime(song, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert song.stat().st_size == status.st_size
    assert look([song])[str(song)].content != first.content and len(read) == 2


def test_what_changed_just_now_is_not_noted(song, read, monkeypatch):
    monkeypatch.setattr(known_files, "SETTLED_S", 1000.0)
    look([song]), look([song])
    assert len(read) == 2


def test_bad_files_are_told_and_asked_again(song, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    found = look([tmp_path / "bad.wav", tmp_path / "none.wav", song])
    assert isinstance(found[str(tmp_path / "bad.wav")], audio.AudioError)
    assert "no such file" in str(found[str(tmp_path / "none.wav")])
    soundfile.write(tmp_path / "bad.wav", np.zeros(800), 8000)
    assert look([tmp_path / "bad.wav"])[str(tmp_path / "bad.wav")].duration_s == 0.1


@pytest.mark.parametrize("damage", ["text", "folder", "other table"])
def test_without_usable_notes_everything_is_read(damage, song, tmp_path, read):
    place = tmp_path / "cache" / "files.sqlite"
    place.parent.mkdir()
    if damage == "text":
        place.write_text("no database")
    elif damage == "folder":
        place.mkdir()
    else:
        with sqlite3.connect(place) as notes:
            notes.execute("CREATE TABLE file (name TEXT)")
    assert look([song])[str(song)].duration_s == 1.0
    assert look([song])[str(song)].duration_s == 1.0
    assert len(read) == 2


def test_many_files_are_asked_for_in_parts(song, tmp_path, read, monkeypatch):
    monkeypatch.setattr(known_files, "AT_ONCE", 2)
    paths = [tmp_path / f"{number}.wav" for number in range(5)]
    for number, path in enumerate(paths):
        soundfile.write(path, np.full(80 * (number + 1), 0.1), 8000)
    told = []
    first = look(paths, lambda done, total: told.append((done, total)))
    assert told == [(n, 5) for n in range(1, 6)] and look(paths) == first and len(read) == 5
    assert [known.duration_s for known in first.values()] == pytest.approx([0.01, 0.02, 0.03, 0.04, 0.05])
