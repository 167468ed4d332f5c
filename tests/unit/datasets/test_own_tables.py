"""Tables as people have them: what is read of them, what is refused row by row, and what is said of it."""

import json
import unicodedata

import numpy as np
import pytest

from sordino import audio
from sordino.contracts import Unreadable
from sordino.contracts.cells import is_empty, number, seconds, several
from sordino.datasets._columns import columns_of
from sordino.datasets.folder import Folder
from sordino.tasks import make_task


def sounds(root, *names):
    for place, name in enumerate(names):
        audio.write(root / name, np.full(4_000, 0.01 * (place + 1), np.float32), 8_000)


def read(path, text, encoding="utf-8"):
    path.write_text(text, encoding=encoding)
    dataset = Folder(path)
    return dataset, {track.path.name: track for track in dataset.tracks()}


def test_cells():
    assert (number("97,5"), number(" -0,25 "), number("1e3"), number(7)) == (97.5, -0.25, 1000.0, 7.0)
    assert (seconds("3:45"), seconds("1:02:03.5"), seconds("12,5"), seconds(4)) == (225.0, 3723.5, 12.5, 4.0)
    for text in ("soon", "1:x", "1:2:3:4", "1,000,000", "-3", "1:-3", "inf", "nan"):
        with pytest.raises(ValueError, match=r"\S"):
            seconds(text)
    assert several("dark; techno") == several("dark|techno") == several("dark, techno ,") == ["dark", "techno"]
    assert several("Folk, World; Latin") == ["Folk, World", "Latin"]
    assert all(is_empty(cell) for cell in (None, "", " ", "n/a", "NaN", float("nan"), "None", "-", "NULL"))
    assert not any(is_empty(cell) for cell in (0, 0.0, False, "none", "0", "Nan"))


def test_one_tempo_with_a_decimal_comma_and_two_where_two_are_written():
    tempo = make_task("tempo")
    for text, bpm in (("97,5", 97.5), ("150,7 BPM", 150.7), ("bpm 90", 90.0), ("1,2e2", 120.0)):
        assert tempo.parse(text) == bpm
    for text in ("60 120", "60, 120", "60/120", "60;120 bpm", "60,0 120,0", "60.0,120.0", "60.0,120.0,0.5"):
        assert tempo.parse(text)["tempi"] == [60.0, 120.0]
    assert tempo.words(tempo.parse("60/120")) == ["60/120"] and tempo.words(97.5) == ["97.5"]
    assert tempo.doubt(19.9) == "tempo 19.9 BPM is under 20 or over 400" and not tempo.doubt(tempo.parse("60/120"))
    with pytest.raises(ValueError, match="'fast' is not a tempo"):
        tempo.parse("fast")
    assert make_task("regression", label="mood").parse("0,25") == 0.25


def test_columns_are_matched_without_case_spaces_and_units():
    row = {"File Name": "a.wav", "Tempo (BPM)": "1", "Mood": "x", "ARTIST": "y", "Initial Key": "C", "Sub Genre": "z"}
    columns = columns_of(row)
    assert columns.fields == {"path": "File Name", "group": "ARTIST"}
    assert columns.labels == {"tempo": "Tempo (BPM)", "mood": "Mood", "key": "Initial Key", "sub_genre": "Sub Genre"}
    assert str(columns).startswith("path from `File Name`, group from `ARTIST`; labels: tempo from `Tempo (BPM)`")
    assert columns_of({"file_name": "a.wav"}).fields == {"path": "file_name"}
    assert columns_of({"Song": "My Song", "Sound": "b/a.MP3"}).fields == {"path": "Sound"}
    assert columns_of({"path": "a", "BPM": "1", "tempo": "2"}).labels == {"tempo": "tempo"}


def test_paths_of_other_machines(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "Zoë/müsic.wav") for form in ("NFC", "NFD"))
    sounds(tmp_path, decomposed, "House/a.wav", "House/b c.wav", "Techno/a.wav", "d.wav")
    table = tmp_path / "t.csv"
    dataset, _ = read(table, "path,key\n" + "\n".join((
        f"{composed},C", r"D:\Music\House\a.wav,D", "file://localhost/Users/me/House/b%20c.wav,E", "techno/A.wav,F",
        "music/d.wav,G", "other/a.wav,A",
    )))  # fmt: skip
    paths = [track.path.relative_to(tmp_path).as_posix() for track in dataset.tracks()]
    assert paths == [decomposed, "House/a.wav", "House/b c.wav", "Techno/a.wav", "d.wav", "other/a.wav"]
    assert not (tmp_path / "other/a.wav").exists()  # two files end so: it is neither
    assert dataset.notes[0] == "t.csv: path; labels: key"
    assert dataset.notes[1].startswith("5 files found by their names, such as ")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", b"sep=;\r\npath;bpm;split\r\na.wav;97,5;train\r\nb.wav;n/a;test\r\n"),
        ("t.csv", "path\tbpm\tsplit\na.wav\t97,5\ttrain\nb.wav\tNaN\ttest\n".encode("utf-16")),
        ("t.json", json.dumps([{"path": "a.wav", "bpm": "97,5", "split": "train"},
                               {"path": "b.wav", "bpm": float("nan"), "split": "test"}]).encode()),
    ],
)  # fmt: skip
def test_encodings_separators_and_nothing(tmp_path, name, content):
    sounds(tmp_path, "a.wav", "b.wav")
    (tmp_path / name).write_bytes(content)
    dataset = Folder(tmp_path / name)
    assert [track.labels["tempo"] for track in dataset.tracks()] == ["97,5", None]


def test_a_workbook(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    sounds(tmp_path, "a.wav", "b.wav")
    book = openpyxl.Workbook()
    for row in (["File", "BPM", "Mood", None], ["a.wav", 97.5, " calm ", None], ["b.wav", None, "-", None]):
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    tracks = Folder(tmp_path).tracks()
    assert [track.labels for track in tracks] == [{"tempo": 97.5, "mood": "calm"}, {"tempo": None, "mood": None}]
    assert tracks[0].info["source"] == "t.xlsx row 2"


def test_a_bad_row_is_listed_and_the_others_are_read(tmp_path):
    sounds(tmp_path, "a.wav", "b.wav")
    (tmp_path / "a.beats").write_text("0.1 1\nsoon 2\n")
    dataset, tracks = read(tmp_path / "t.csv", "path,beat,split\na.wav,a.beats,train\nb.wav,,maybe\n,,\nb.wav,,\n,x,\n")
    assert set(tracks) == {"a.wav", "b.wav"}
    assert dataset.refused == (
        't.csv line 3: split "maybe" is unknown; use train, validation or test', "t.csv line 6: the path is empty"
    )  # fmt: skip
    assert tracks["a.wav"].labels["beat"] == Unreadable(f'{tmp_path / "a.beats"} line 2: "soon" is not a number')


def test_a_file_twice_and_stretches_without_ids(tmp_path):
    sounds(tmp_path, "a.wav")
    dataset, _ = read(tmp_path / "t.csv", "path,start_s,key\na.wav,0,C\na.wav,0:00.25,D\na.wav,0,E\n")
    assert [(track.id, track.start_s) for track in dataset.tracks()] == [("a.wav", 0.0), ("a.wav@0.25", 0.25)]
    assert dataset.refused == ('t.csv line 4: id "a.wav" stands in t.csv line 2 already; add a column `id`',)


def test_the_number_0_is_a_name(tmp_path):
    sounds(tmp_path, "a.wav", "b.wav", "c.wav")
    rows = [{"path": f"{name}.wav", "id": number, "artist": number // 2} for number, name in enumerate("abc")]
    (tmp_path / "t.json").write_text(json.dumps(rows))
    assert [(t.id, t.group) for t in Folder(tmp_path / "t.json").tracks()] == [("0", "0"), ("1", "0"), ("2", "1")]


def test_a_partly_filled_split(tmp_path):
    names = [f"{n}.wav" for n in range(20)]
    sounds(tmp_path, *names)
    rows = [f"{name},{('test' if n < 4 else '')},{'g' if n in (0, 19) else n}" for n, name in enumerate(names)]
    dataset, tracks = read(tmp_path / "t.csv", "path,split,group\n" + "\n".join(rows))
    assert [tracks[name].split for name in names[:4]] == ["test"] * 4
    assert tracks["19.wav"].split == "test"  # with its group
    assert {tracks[name].split for name in names[4:19]} == {"train", "validation"}
    assert dataset.splits == "as given; 15 without one are train and validation, seed 0"


REKORDBOX = """<?xml version="1.0" encoding="UTF-8"?>
<DJ_PLAYLISTS Version="1.0.0"><COLLECTION Entries="2">
<TRACK TrackID="1" Name="A" Artist="X" Genre="House" TotalTime="3" AverageBpm="120.00" Tonality="8A"
 Location="file://localhost/C:/Music/a%20b.wav">
<TEMPO Inizio="0.250" Bpm="120.00" Metro="4/4" Battito="3"/><TEMPO Inizio="2.000" Bpm="60.00" Metro="4/4" Battito="1"/>
</TRACK>
<TRACK TrackID="2" Name="B" TotalTime="1" AverageBpm="0.00" Location="file://localhost/C:/Music/c.wav"/>
<TRACK TrackID="3" AverageBpm="fast" Location="file://localhost/C:/Music/d.wav"/>
</COLLECTION></DJ_PLAYLISTS>"""
TRAKTOR = """<?xml version="1.0" encoding="UTF-8"?>
<NML VERSION="19"><COLLECTION ENTRIES="1"><ENTRY TITLE="A" ARTIST="X">
<LOCATION DIR="/:Users/:me/:Music/:" FILE="a b.wav" VOLUME="Macintosh HD"></LOCATION>
<INFO GENRE="House" KEY="8m" PLAYTIME="2" PLAYTIME_FLOAT="1.6"></INFO><TEMPO BPM="120.000000"></TEMPO>
<MUSICAL_KEY VALUE="21"></MUSICAL_KEY><CUE_V2 NAME="AutoGrid" TYPE="4" START="750.0"></CUE_V2>
</ENTRY></COLLECTION></NML>"""


def test_libraries_of_dj_programs(tmp_path):
    sounds(tmp_path, "a b.wav", "c.wav")
    dataset, tracks = read(tmp_path / "rekordbox.xml", REKORDBOX)
    one = tracks["a b.wav"]
    assert one.group == "X" and one.path.exists()
    assert one.labels == {
        "genre": "House", "key": "8A", "tempo": 120.0,
        "beat": {"beats": [0.25, 0.75, 1.25, 1.75, 2.0], "downbeats": [1.25, 2.0], "meter": 4},
    }  # fmt: skip
    assert tracks["c.wav"].labels["tempo"] is None and len(dataset.refused) == 1
    assert make_task("key").parse(one.labels["key"]) == "A minor"
    (track,) = read(tmp_path / "collection.nml", TRAKTOR)[1].values()
    assert track.labels == {
        "genre": "House", "key": "A minor", "tempo": 120.0,
        "beat": {"beats": [0.25, 0.75, 1.25], "downbeats": [], "meter": None},
    }  # fmt: skip


MIXXX = """"Artist","Title","Album","Genre","Year","Track #","Key","BPM","ReplayGain","Duration","Type","Location"
"X","One","LP","Techno; Dub","2019","1","Am","124.5","-8.6 dB","00:03","wav","/home/dj/Music/a b.wav"
"X","Two","LP","","","2","-","-","","00:03","wav","C:/Users/dj/Music/c.wav"
"""


def test_an_export_of_mixxx_is_a_table(tmp_path):
    sounds(tmp_path, "a b.wav", "c.wav")
    dataset, tracks = read(tmp_path / "crate.csv", MIXXX)
    one, two = tracks["a b.wav"], tracks["c.wav"]
    assert (one.group, one.duration_s, one.path.exists(), two.path.exists()) == ("X", 3.0, True, True)
    assert {name: one.labels[name] for name in ("key", "tempo", "genre")} == {
        "key": "Am", "tempo": "124.5", "genre": "Techno; Dub"
    }  # fmt: skip
    assert [two.labels[name] for name in ("key", "tempo", "genre")] == [None] * 3 and dataset.refused == ()
    assert make_task("key").parse("Am") == "A minor" and make_task("tempo").parse("124.5") == 124.5
    assert make_task("tagging", label="genre").parse("Techno; Dub") == ["Dub", "Techno"]


@pytest.mark.parametrize(
    ("content", "downbeats"),
    [
        ('0.250000000,"1"\n0.750000000,"2"\n1.250000000,"1"\n', [0.25, 1.25]),
        ("TIME,LABEL\n0.25,1.1\n0.75,1.2\n1.25,2.1\n", [0.25, 1.25]),
        ("0.250000000,New Point\n0.750000000,New Point\n1.250000000,New Point\n", []),
        ("0.25\t0.25\t1\n\\\t100.0\t2000.0\n0.75\t0.75\t\n\\\t-1.0\t-1.0\n1.25\t1.25\t1\n", [0.25, 1.25]),
    ],
)
def test_beats_from_sonic_visualiser_and_audacity(content, downbeats, tmp_path):
    """With and without names of the columns; Audacity writes a line for a selection of frequencies too."""
    sounds(tmp_path, "a.wav")
    (tmp_path / "layer.csv").write_text(content)
    beat = read(tmp_path / "t.csv", "path,beat\na.wav,layer.csv\n")[1]["a.wav"].labels["beat"]
    assert (beat["beats"], beat["downbeats"]) == ([0.25, 0.75, 1.25], downbeats)


def test_chords_from_sonic_visualiser(tmp_path):
    sounds(tmp_path, "a.wav")
    for content in ('0.0,"N"\n0.5,"C:maj7/3"\n2.7,"N"\n', 'Time,Label\n0.0,N\n0.5,C:maj7/3\n2.7,N\n',
                    'start,end,chord\n0,0.5,N\n0.5,2.7,"C:maj7/3"\n'):  # fmt: skip
        (tmp_path / "chords.csv").write_text(content)
        chord = read(tmp_path / "t.csv", "path,chord\na.wav,chords.csv\n")[1]["a.wav"].labels["chord"]
        assert chord == [[0.0, 0.5, "N"], [0.5, 2.7, "C:maj7/3"]]


def test_folders_as_birdnet_has_them(tmp_path):
    sounds(tmp_path, "rock/1.wav", "rock, live/2.wav", "-rock/3.wav", "Silence/4.wav", "Jazz/5.wav")
    tracks = {track.path.name: track for track in Folder(tmp_path).tracks()}
    parse = make_task("tagging").parse
    assert [parse(tracks[f"{n}.wav"].labels["tags"]) for n in range(1, 6)] == [
        ["rock"],
        ["live", "rock"],
        [],
        [],
        ["Jazz"],
    ]
    assert tracks["2.wav"].labels["label"] == "rock, live"


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".ogg", ".opus", ".wav"])
def test_tags_in_the_files_themselves(tmp_path, suffix):
    pytest.importorskip("mutagen")
    from sordino.datasets._file_tags import write_tags

    path = tmp_path / f"a{suffix}"
    audio.write(path, np.zeros(48_000, np.float32), 48_000)
    before = audio.read(path, 16_000)
    assert Folder(tmp_path).tracks()[0].labels == {}
    write_tags(path, {"tempo": "97.5", "key": "Am"})
    write_tags(path, {"genre": "House"})
    dataset = Folder(tmp_path)
    assert dataset.tracks()[0].labels == {"tempo": "97.5", "key": "Am", "genre": "House"}
    assert dataset.notes == (
        "labels from the files' tags: tempo 1, key 1, genre 1",
        "no track in test and validation; add tracks or a column `split`",
    )
    np.testing.assert_array_equal(audio.read(path, 16_000), before)
