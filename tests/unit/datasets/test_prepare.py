"""`sordino prepare`: what a look through a dataset finds."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from sordino import audio, known_files
from sordino.cli.prepare import command
from sordino.contracts import Archive
from sordino.datasets import load_dataset
from sordino.datasets._prepare import prepare
from sordino.datasets._scan import scan_file
from sordino.datasets.folder import Folder
from sordino.decoding import av_decoder
from sordino.tasks import make_task

RATE_HZ = 16_000


def song(seed, seconds=6.0):
    """Notes and noises, different for every seed."""
    rng = np.random.default_rng(seed)
    x = np.zeros(round(seconds * RATE_HZ), np.float32)
    for start in range(0, len(x) - RATE_HZ // 2, RATE_HZ // 8):
        time_s = np.arange(RATE_HZ // 2) / RATE_HZ
        hz = 110 * 2 ** (rng.integers(0, 36) / 12)
        x[start : start + len(time_s)] += 0.2 * np.exp(-5 * time_s) * np.sin(2 * np.pi * hz * time_s)
    return x + rng.normal(0, 0.003, len(x)).astype(np.float32)


@pytest.fixture
def data(tmp_path):
    """Six songs; one twice in another format and softer, one copied, one label wrong, one file broken."""
    root = tmp_path / "data"
    for number in range(6):
        audio.write(root / f"{number}.wav", song(number), RATE_HZ)
    audio.write(root / "again.mp3", 0.4 * song(0), RATE_HZ)
    (root / "copy.wav").write_bytes((root / "1.wav").read_bytes())
    (root / "broken.wav").write_bytes((root / "2.wav").read_bytes()[:9_000])
    keys = {"0": "C major", "1": "a", "2": "Am", "3": "H major extra", "4": "C", "5": ""}
    rows = [f"{n}.wav,{key},train,{60 + int(n)}" for n, key in keys.items()]
    rows += ["again.mp3,C,test,1", "copy.wav,a,train,2", "broken.wav,D,validation,3"]
    (root / "labels.csv").write_text("path,key,split,loudness\n" + "\n".join(rows))
    return root


def test_everything_that_is_wrong_is_found(data):
    found = prepare(Folder(data), [make_task("key")])
    assert len(found.tracks) == 8 and not found.flawless
    assert list(found.broken) == ["broken.wav"] and "cut off" in found.broken["broken.wav"]
    assert len(found.bad_labels) == 1 and found.bad_labels[0].startswith("labels.csv line 5: key")
    assert found.labels["key"]["train"] == {"C major": 2, "A minor": 3}
    assert found.repeated == [("0.wav", "again.mp3", "same sound", True), ("1.wav", "copy.wav", "same bytes", False)]
    assert found.torn == [("0.wav", "again.mp3", "same sound", True)]
    assert found.lengths_s() == pytest.approx([6.0] * 8, abs=0.05)


def test_the_manifest_is_data_and_spares_the_second_reading(data, monkeypatch):
    first = prepare(Folder(data), [make_task("key")])
    assert first.manifest == data / "sordino.jsonl"
    again = Folder(first.manifest).tracks()
    assert [(t.id, t.labels["key"], t.split) for t in again] == [(t.id, t.labels["key"], t.split) for t in first.tracks]
    assert set(Folder(first.manifest).labels) == {"key", "loudness"}
    read = []
    monkeypatch.setattr("sordino.datasets._scan.scan_file", lambda path: read.append(path) or scan_file(path))
    (data / "0.wav").touch()
    assert prepare(Folder(data)).broken == first.broken
    assert read == [str(data / "0.wav"), str(data / "broken.wav")]


def test_training_does_not_read_again_what_was_looked_through(data, tmp_path, monkeypatch):
    monkeypatch.setenv("SORDINO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(known_files, "SETTLED_S", 0.0)
    found, read, original = prepare(Folder(data), manifest=tmp_path / "out" / "looked.jsonl"), [], known_files._read
    monkeypatch.setattr(known_files, "_read", lambda name: read.append(name) or original(name))
    tracks = {track.id: track.path for track in Folder(found.manifest).tracks()}
    known = known_files.look(tracks.values())
    assert len(known) == 8 and not read
    for name, path in tracks.items():
        assert known[str(path)] == known_files.Known(audio.fingerprint(path), audio.info(path).duration_s), name
    audio.write(data / "3.wav", song(9), RATE_HZ)
    assert known_files.look(tracks.values())[str(tracks["3.wav"])] != known[str(tracks["3.wav"])]
    assert read == [str(tracks["3.wav"])]


def test_the_manifest_is_not_written_through_a_link(data, tmp_path):
    (data / "sordino.jsonl").symlink_to(tmp_path / "mine.jsonl")
    with pytest.raises(OSError, match="symbolic link and is left alone"):
        prepare(Folder(data))
    assert not (tmp_path / "mine.jsonl").exists()


def test_the_manifest_is_not_written_over_something_else(data, tmp_path):
    table, manifest = tmp_path / "labels.csv", tmp_path / "manifest.jsonl"
    table.write_text("path,key\na.wav,C\n")
    with pytest.raises(OSError, match=r"labels\.csv is there and no manifest"):
        prepare(Folder(data), manifest=table)
    assert table.read_text() == "path,key\na.wav,C\n"
    assert prepare(Folder(data), manifest=manifest).manifest == prepare(Folder(data), manifest=manifest).manifest


def test_two_processes_find_what_one_finds(data, tmp_path):
    one = prepare(Folder(data), manifest=tmp_path / "one.jsonl")
    two = prepare(Folder(data), n_workers=2, manifest=tmp_path / "two.jsonl")
    assert one.scans == two.scans


def test_what_a_decoder_says_is_told_with_the_file(tmp_path, capfd):
    path = tmp_path / "a.mp3"
    audio.write(path, np.random.default_rng(0).uniform(-0.3, 0.3, 88_200).astype(np.float32), 44_100)
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2 : len(damaged) // 2 + 3_000] = bytes(3_000)
    path.write_bytes(damaged)
    found = scan_file(str(path))
    assert "mpg123" in found.said or "header" in found.said.lower() or found.reason
    assert capfd.readouterr().err == ""


def test_a_format_that_needs_another_library_is_listed(tmp_path, monkeypatch):
    monkeypatch.setattr(av_decoder, "available", lambda: False)
    for name in ("rock/a.wav", "rock/b.wav", "jazz/c.wav", "jazz/d.m4a"):
        audio.write((tmp_path / name).with_suffix(".wav"), np.full(4_000, 0.01, np.float32), 8_000)
    (tmp_path / "jazz/d.wav").rename(tmp_path / "jazz/d.m4a")
    (tmp_path / "jazz/d.m4a").write_bytes(bytes(100))
    found = prepare(load_dataset(tmp_path))
    assert list(found.broken) == ["jazz/d.m4a"] and "needs `pip install 'sordino[av]'`" in found.broken["jazz/d.m4a"]


def test_the_report(data):
    result = CliRunner().invoke(command, [str(data), "--task", "key", "--workers", "1"])
    assert result.exit_code == 1, result.output
    for line in (
        "folder: 8 tracks, 0.01 h. Licence: yours",
        "splits: train 7, test 1 (as given)",
        "key: 2 values: A minor 3, C major 3",
        "  0.wav = again.mp3 (same sound, IN TWO SPLITS)",
        "broken, left out: 1",
        "not understood, left out: 1",
    ):
        assert line in result.stdout.splitlines()
    result = CliRunner().invoke(command, [str(data), "--json", "--workers", "1"])
    report = json.loads(result.stdout)
    assert report["tracks"] == 8 and report["repeated"][0]["in_two_splits"]
    assert report["labels"]["loudness"]["test"] == {"1": 1}


def test_the_rule_for_several_labels_stands_beside_what_was_read(tmp_path):
    for number, name in enumerate(("a.wav", "b.wav", "c.wav")):
        audio.write(tmp_path / name, song(number), RATE_HZ)
    (tmp_path / "t.csv").write_text('path,tags\na.wav,dark; techno\nb.wav,"dark, folk"\nc.wav,dark\n')
    result = CliRunner().invoke(command, [str(tmp_path), "--task", "tagging", "--workers", "1"])
    read = '  read: "dark; techno" as dark + techno, "dark, folk" as dark + folk'
    assert f"{read} (several stand between ; or |, or else between commas)" in result.stdout.splitlines()


def test_a_flawless_set_exits_with_zero(tmp_path):
    for number, name in enumerate(("a/1.wav", "b/2.wav")):
        audio.write(tmp_path / name, song(number), RATE_HZ)
    options = ["--task", "classification", "--label", "label", "--workers", "1"]
    result = CliRunner().invoke(command, [str(tmp_path), *options])
    assert result.exit_code == 0, result.output
    assert "same recording" not in result.stdout


def test_nothing_to_download_is_said():
    result = CliRunner().invoke(command, ["hainsworth", "--download"])
    assert isinstance(result.exception, ValueError)
    assert "nothing is published for download. It is not published: ask its users." in str(result.exception)


def test_download_fetches_unpacks_and_reads(tmp_path, monkeypatch):
    """The archives of a corpus are made here and fetched from a folder instead of the network."""
    import zipfile

    from sordino.datasets.gtzan_genre import GTZANGenre

    GTZANGenre.miniature(tmp_path / "made")
    with zipfile.ZipFile(tmp_path / "genres.zip", "w") as archive:
        for path in sorted((tmp_path / "made").rglob("*.wav")):
            archive.write(path, path.relative_to(tmp_path / "made"))
    monkeypatch.setattr(GTZANGenre, "archives", (Archive((tmp_path / "genres.zip").as_uri(), ""),))
    root = tmp_path / "root"
    result = CliRunner().invoke(command, ["gtzan_genre", "--download", "--root", str(root), "--workers", "1"])
    assert "7 files written, 0 were there; no checksum is known" in result.stderr
    assert "gtzan_genre: 7 tracks" in result.stdout
