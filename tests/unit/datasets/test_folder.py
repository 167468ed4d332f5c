"""A user's own data, with the spellings and accidents that users' data have."""

import json

import numpy as np
import pytest

from sordino import audio
from sordino.contracts import Unreadable
from sordino.datasets import load_dataset
from sordino.datasets.folder import Folder
from sordino.tasks import make_task


def sounds(root, *names):
    for number, name in enumerate(names):
        audio.write(root / name, np.full(4_000, 0.01 * (number + 1), np.float32), 8_000)


def by_id(dataset):
    return {track.id: track for track in dataset.tracks()}


def test_a_folder_per_class(tmp_path):
    sounds(tmp_path, *(f"rock/disc 1/{n}.wav" for n in range(10)), *(f"jäzz/{n}.mp3" for n in range(10)))
    (tmp_path / "rock" / "._hidden.wav").write_bytes(b"")
    (tmp_path / "rock" / "cover.jpg").write_bytes(b"")
    dataset = load_dataset(tmp_path)
    tracks = dataset.tracks()
    assert dataset.labels == ("label",) and len(tracks) == 20
    assert {track.labels["label"] for track in tracks} == {"rock", "jäzz"}
    assert dataset.splits == "made here: 80/10/10 by group, seed 0"
    assert tracks != Folder(tmp_path, seed=1).tracks()


def test_a_folder_per_split_and_class(tmp_path):
    sounds(tmp_path, "train/a/1.wav", "train/b/2.wav", "Valid/a/3.wav", "test/b/4.wav")
    splits = {name: (track.split, track.labels["label"]) for name, track in by_id(Folder(tmp_path)).items()}
    assert splits == {
        "train/a/1.wav": ("train", "a"),
        "train/b/2.wav": ("train", "b"),
        "Valid/a/3.wav": ("validation", "a"),
        "test/b/4.wav": ("test", "b"),
    }


def test_a_table_of_a_spreadsheet(tmp_path):
    sounds(tmp_path, "müsic/a.wav", "b.wav", "c.wav")
    table = "\ufeffFilename;Key;BPM;Tags;Artist;Split;Mood\r\n"
    table += "müsic/a.wav;Am;99,5;calm | piano;X;train;0,25\r\nb.wav;;120;;X;dev;1\r\n\r\nc.wav;Db;60;;Y;Test;\r\n"
    (tmp_path / "labels.csv").write_text(table, encoding="utf-8")
    for root in (tmp_path, tmp_path / "labels.csv"):
        dataset = Folder(root)
        tracks = by_id(dataset)
        assert dataset.labels == ("key", "tempo", "tags", "mood")
        assert tracks["müsic/a.wav"].labels == {
            "key": "Am", "tempo": "99,5", "tags": "calm | piano", "mood": "0,25"
        }  # fmt: skip
        assert tracks["müsic/a.wav"].path.is_file() and tracks["müsic/a.wav"].group == "X"
        assert tracks["müsic/a.wav"].info["source"] == "labels.csv line 2"
        assert tracks["b.wav"].labels["key"] is None and tracks["b.wav"].split == "validation"
        assert tracks["c.wav"].split == "test" and dataset.splits == "as given"


def test_stretches_of_one_file(tmp_path):
    sounds(tmp_path, "long.wav")
    lines = ["path\tid\tstart\tduration\tkey\tgroup", "long.wav\ta\t0\t0.2\tC\tlong", "long.wav\tb\t0.2\t\tD\tlong"]
    (tmp_path / "t.tsv").write_text("\n".join(lines))
    tracks = by_id(Folder(tmp_path / "t.tsv"))
    assert (tracks["b"].start_s, tracks["b"].duration_s) == (0.2, None)
    assert tracks["a"].duration_s == 0.2 and tracks["a"].split == tracks["b"].split


def test_json_lines_and_parquet_hold_lists_and_numbers(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    sounds(tmp_path, "a.wav", "b.wav")
    rows = [
        {"path": "a.wav", "tags": ["x", "y"], "energy": 0.5, "beat": {"beats": [0.1], "downbeats": [], "meter": None}},
        {"path": "b.wav", "tags": [], "energy": None, "beat": None},
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    parquet.write_table(pyarrow.Table.from_pylist(rows[:1]), tmp_path / "t.parquet")
    a = by_id(Folder(tmp_path / "t.jsonl"))["a.wav"]
    assert a.labels["tags"] == ["x", "y"] and a.labels["energy"] == 0.5 and a.labels["beat"]["beats"] == [0.1]
    (b,) = Folder(tmp_path / "t.parquet").tracks()
    assert b.labels["tags"] == ["x", "y"] and b.info["source"] == "t.parquet row 1"
    with pytest.raises(ValueError, match=r"several tables \(t.jsonl, t.parquet\)"):
        Folder(tmp_path)


def test_annotation_files_in_cells(tmp_path):
    sounds(tmp_path, "a.wav")
    (tmp_path / "a.beats").write_text("0.5 1\n1.0 2\n")
    (tmp_path / "a.lab").write_text("0 1 C:maj\n")
    (tmp_path / "t.csv").write_text("path,beats,chords\na.wav,a.beats,a.lab\n")
    (track,) = Folder(tmp_path / "t.csv").tracks()
    assert track.labels["beat"] == {"beats": [0.5, 1.0], "downbeats": [0.5], "meter": 2}
    assert track.labels["chord"] == [[0.0, 1.0, "C:maj"]]


def test_jams(tmp_path):
    sounds(tmp_path, "audio/song.flac", "other.wav")
    content = {
        "file_metadata": {"artist": "Somebody", "title": "Song", "duration": 0.5},
        "annotations": [
            {"namespace": "key_mode", "data": [{"time": 0, "duration": 0.5, "value": "C:minor"}]},
            {"namespace": "tempo", "data": [{"time": 0, "duration": 1, "value": 90, "confidence": 0.2},
                                            {"time": 0, "duration": 1, "value": 120, "confidence": 0.8}]},
            {"namespace": "beat", "data": [{"time": 0.1, "duration": 0, "value": 1},
                                           {"time": 0.3, "duration": 0, "value": 2}]},
            {"namespace": "chord", "data": {"time": [0.0], "duration": [0.5], "value": ["C:min"], "confidence": [1]}},
            {"namespace": "tag_open", "data": [{"time": 0, "duration": 1, "value": "dark"}]},
            {"namespace": "pitch_contour", "data": []},
        ],
    }  # fmt: skip
    (tmp_path / "song.jams").write_text(json.dumps(content))
    (track,) = Folder(tmp_path).tracks()
    assert track.path == tmp_path / "audio" / "song.flac" and track.group == "Somebody"
    assert track.labels == {
        "key": "C:minor", "tempo": 120.0, "beat": {"beats": [0.1, 0.3], "downbeats": [0.1], "meter": 2},
        "chord": [[0.0, 0.5, "C:min"]], "tags": ["dark"],
    }  # fmt: skip
    (tmp_path / "song.jams").write_text("{}")
    with pytest.raises(ValueError, match=r"song\.jams: not a JAMS file"):
        Folder(tmp_path)


def test_errors_of_jams_name_file_annotation_and_row(tmp_path):
    sounds(tmp_path, "song.wav")
    content = {"annotations": [
        {"namespace": "tempo", "data": [{"time": 0, "duration": 1, "value": 90}, {"time": 0, "value": "fast"}]},
        {"namespace": "key_mode", "data": [{"time": 0, "duration": 1, "value": "C:minor"}]},
        {"namespace": "beat", "data": [{"time": 0.1, "value": 1}, {"time": "soon", "value": 2}]},
        {"namespace": "chord", "data": [{"time": 0, "value": "C"}]},
    ]}  # fmt: skip
    (tmp_path / "song.jams").write_text(json.dumps(content))
    (track,) = Folder(tmp_path).tracks()
    file = tmp_path / "song.jams"
    assert track.labels == {
        "tempo": Unreadable(f"{file} annotation 1 (tempo) row 2: could not convert string to float: 'fast'"),
        "key": "C:minor",
        "beat": Unreadable(f"{file} annotation 3 (beat) row 2: could not convert string to float: 'soon'"),
        "chord": Unreadable(f"{file} annotation 4 (chord) row 1: 'duration' is missing"),
    }


def test_what_a_task_does_not_understand_in_jams_is_named_by_file_annotation_and_row(tmp_path):
    sounds(tmp_path, "song.wav")
    rows = [{"time": 0, "duration": 1, "value": "C:minor"}, {"time": 1, "duration": 9, "value": "X:minor"}]
    chords = [{"time": 0, "duration": 1, "value": "C"}, {"time": 1, "duration": 1, "value": "H:maj"}]
    content = {"annotations": [{"namespace": "key_mode", "data": rows}, {"namespace": "chord", "data": chords}]}
    (tmp_path / "song.jams").write_text(json.dumps(content))
    (track,) = Folder(tmp_path).tracks()
    with pytest.raises(ValueError, match=r"^song.jams annotation 1 \(key_mode\) row 2: key .*X:minor"):
        make_task("key").read(track)
    with pytest.raises(ValueError, match=r"^song.jams annotation 2 \(chord\): chord 2 \(at 1 s\): .*H:maj"):
        make_task("chord").read(track)


def test_links_out_of_the_folder_are_read_and_circles_end(tmp_path):
    sounds(tmp_path / "elsewhere", "a.wav", "b.wav")
    root = tmp_path / "root"
    (root / "class").mkdir(parents=True)
    (root / "class" / "linked.wav").symlink_to(tmp_path / "elsewhere" / "a.wav")
    (root / "library").symlink_to(tmp_path / "elsewhere")
    (root / "class" / "circle").symlink_to(root)
    assert set(by_id(Folder(root))) == {"class/linked.wav", "library/a.wav", "library/b.wav"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "title,key\nx,C\n", r"t\.csv line 2: no column `path`; the columns are title, key"),
        ("t.csv", "path,key\na.wav,C,D\n", r"t\.csv line 2: more cells than the 2 columns; quote cells that hold ','"),
        ("t.csv", "path,key\n,C\n", r"t\.csv line 2: the path is empty"),
        ("t.csv", "path,split\na.wav,maybe\n", r't\.csv line 2: split "maybe" is unknown; use train'),
        ("t.csv", "path,start_s\na.wav,soon\n", r't\.csv line 2: start_s "soon" is not a number of seconds'),
        ("t.csv", "", r"t\.csv: empty; its first line must name the columns"),
        ("t.csv", "path\n", r"t\.csv: no rows"),
        ("t.jsonl", "{oops\n", r"t\.jsonl line 1: not JSON"),
        ("t.json", '[{"path": "a.wav"},\noops]\n', r"t\.json line 2: not JSON"),
        ("t.json", '{"path": "a.wav"}', r"t\.json: not a JSON array of objects"),
        ("t.json", "[1]", r"t\.json object 1: not a JSON object; a row is "),
        ("t.xml", "<a><b></a>", r"t\.xml: not XML"),
        ("t.xml", "<a/>", r"t\.xml: neither a library of rekordbox nor of Traktor \(a\)"),
        ("t.jsonl", "[1]\n", r"t\.jsonl line 1: not a JSON object"),
        ("t.xlsx", "x", r"t\.xlsx: not a workbook"),
        ("t.ods", "x", r"not a table of a known kind .*; save the sheet as .xlsx or CSV"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_table_is_said_with_its_line(tmp_path, name, content, message):
    sounds(tmp_path, "a.wav")
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        Folder(tmp_path / name)


def test_a_table_in_another_encoding_and_paths_of_nowhere(tmp_path):
    (tmp_path / "latin.csv").write_bytes("path,label\nmüsic.wav,x\n".encode("latin-1"))
    with pytest.raises(ValueError, match="not UTF-8 text"):
        Folder(tmp_path / "latin.csv")
    (tmp_path / "t.csv").write_text("path,label\ngone.wav,x\n")
    with pytest.raises(FileNotFoundError, match=r"none of the first 1 paths exists .*relative to the table's folder"):
        Folder(tmp_path / "t.csv")
    with pytest.raises(FileNotFoundError, match="no sound files"):
        (tmp_path / "empty").mkdir()
        Folder(tmp_path / "empty")


def test_train_and_test_given_validation_is_taken_from_train(tmp_path):
    names = [f"{n}.wav" for n in range(12)]
    sounds(tmp_path, *names)
    lines = [f"{name},{'test' if n > 9 else 'train'},{n % 2}" for n, name in enumerate(names)]
    (tmp_path / "t.csv").write_text("path,split,label\n" + "\n".join(lines))
    dataset = Folder(tmp_path / "t.csv")
    splits = [track.split for track in dataset.tracks()]
    assert splits[10:] == ["test", "test"] and set(splits[:10]) == {"train", "validation"}
    assert dataset.splits.startswith("as given; a tenth of train is validation")


def test_options_are_checked(tmp_path):
    Folder.miniature(tmp_path)
    with pytest.raises(ValueError, match=r'unknown setting "folder\.sed"; did you mean "folder\.seed"'):
        load_dataset(tmp_path, sed=1)
    with pytest.raises(ValueError, match=r"folder\.seed = -1; it wants a whole number \(0 or more\)"):
        load_dataset(tmp_path, seed=-1)
    assert load_dataset(tmp_path, seed=3).seed == 3
