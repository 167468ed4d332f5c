"""Facts of the named corpora that their miniatures cannot show."""

import csv
import re
import shutil
from collections import Counter

import pytest

from sordino import registry
from sordino.datasets import load_dataset, prepare
from sordino.datasets._annotations import read_beats, read_chords, table
from sordino.datasets._corpus import Corpus, write_text, write_tone
from sordino.datasets._download import DIGESTS
from sordino.datasets._gtzan import GENRES, MINI, filtered_split
from sordino.datasets.ballroom import COMMIT, Ballroom
from sordino.datasets.beatles import Beatles, main_key
from sordino.datasets.giantsteps_key import GiantStepsKey
from sordino.datasets.giantsteps_mtg_key import GiantStepsMTGKey, published_validation, shared_artists
from sordino.datasets.giantsteps_tempo import GiantStepsTempo
from sordino.datasets.gtzan_key import GTZANKey
from sordino.datasets.gtzan_rhythm import GTZANRhythm
from sordino.datasets.guitarset import GuitarSet
from sordino.datasets.magnatagatune import MagnaTagATune
from sordino.datasets.mtg_jamendo_top50 import JamendoTop50
from sordino.study.catalogue import describe
from sordino.tasks import make_task


def test_the_filtered_split_of_gtzan_has_its_published_sizes():
    split = filtered_split()
    assert Counter(split.values()) == {"train": 443, "validation": 197, "test": 290}
    assert {name.split(".")[0] for name in split} == set(GENRES)
    assert all(name == f"{name.split('.')[0]}.{int(name.split('.')[1]):05d}" for name in split)


def test_the_version_mini_of_gtzan_has_93_recordings_of_the_filtered_list(tmp_path):
    assert len(MINI) == 100
    assert len(MINI & set(filtered_split())) == 93
    GTZANKey.miniature(tmp_path, "mini")
    mini = load_dataset("gtzan_key:mini", tmp_path)
    assert [track.id for track in mini.tracks()] == ["blues.00000", "jazz.00011", "rock.00000"]
    assert len(mini.absent) == 90
    assert not GTZANKey(tmp_path).available()  # what holds the hundred is not taken for the whole
    assert not any("genres.tar.gz" in archive.url for archive in mini.archives)
    assert load_dataset("gtzan_key:mini").root.name == "gtzan_mini"


def test_several_corpora_may_be_versions(tmp_path, monkeypatch):
    monkeypatch.setenv("SORDINO_DATA", str(tmp_path))
    GTZANKey.miniature(tmp_path / "gtzan_mini", "mini")
    GTZANKey.miniature(tmp_path / "gtzan")
    together = load_dataset("gtzan_key:mini+gtzan_key")
    assert together.name == "gtzan_key:mini+gtzan_key"
    assert {track.id for track in together.tracks()} >= {"gtzan_key:mini/blues.00000", "gtzan_key/blues.00000"}


def test_the_two_odd_recordings_of_gtzan(tmp_path):
    """jazz.00054 is broken in most copies, and left out as such; jazz.00031 is faster than there are classes."""
    split = filtered_split()
    assert (split["jazz.00054"], split["jazz.00031"], len(split) - 1) == ("train", "validation", 929)
    GTZANRhythm.miniature(tmp_path)
    for name, n_bytes in (("jazz.00054", 100), ("jazz.00031", None)):
        whole = (tmp_path / "genres" / "rock" / "rock.00010.wav").read_bytes()
        (tmp_path / "genres" / "jazz" / f"{name}.wav").write_bytes(whole[:n_bytes])
        stem = f"gtzan_{name.replace('.', '_')}"
        write_text(tmp_path / "beats" / f"{stem}.beats", "0.217\t1\n0.695\t2\n")
        write_text(tmp_path / "tempo" / f"{stem}.bpm", "3.216400000000000432e+02\n")
    tempo = make_task("tempo")
    found = prepare(GTZANRhythm(tmp_path), [tempo])
    assert list(found.broken) == ["jazz.00054"] and "cut off" in found.broken["jazz.00054"]
    (fast,) = (track for track in found.tracks if track.id == "jazz.00031")
    assert tempo.read(fast) == pytest.approx(321.64) and not tempo.doubt(321.64)
    assert tempo.decode(tempo.encode(321.64).numpy()).value == pytest.approx(160.82, abs=1e-3)


def test_a_corpus_that_is_not_here_says_in_one_line_how_to_come_by_it(monkeypatch):
    monkeypatch.setenv("SORDINO_DATA", "/data/nobody/has/this")
    for name in registry.names("dataset"):
        corpus = registry.find("dataset", name)
        if issubclass(corpus, Corpus):
            with pytest.raises(FileNotFoundError) as told:
                corpus().tracks()
            line = str(told.value)
            assert len(line) <= 300 and corpus.get in line and f"`sordino show {name}`" in line
            assert ("--download" in line) == bool(corpus.archives)
            assert set(describe(name)["expected"]) == set(corpus.places)


def test_numbers_of_gtzan_key_begin_with_a(tmp_path):
    GTZANKey.miniature(tmp_path)
    keys = {track.id: track.labels["key"] for track in GTZANKey(tmp_path).tracks()}
    assert keys["blues.00029"] == "G minor"  # 22
    assert keys["blues.00012"] == "C major"  # 3
    assert keys["blues.00000"] is None  # -1
    write_text(tmp_path / "gtzan_key" / "genres" / "rock" / "rock.00010.lerch.txt", "24\n")
    bad = next(track for track in GTZANKey(tmp_path).tracks() if track.id == "rock.00010").labels["key"]
    assert bad.reason.endswith("rock.00010.lerch.txt line 1: 24 is not a key; expected -1 to 23")


def test_the_key_of_a_song_is_that_of_most_of_it(tmp_path):
    path = tmp_path / "a.lab"
    for content, key in (
        ("0 1 Silence\n1 5 Key E\n5 8 Key C#:minor\n", "E major"),
        ("0 4 Key E\n4 8 Key A\n", None),
        ("0 8 Key D:mixolydian\n", "D mixolydian"),
        ("0 8 Silence\n", None),
        ("0 8 Key C#:modal\n", None),
    ):
        write_text(path, content)
        assert main_key(path) == key


def test_albums_decide_the_split_of_the_beatles(tmp_path):
    Beatles.miniature(tmp_path)
    tracks = Beatles(tmp_path).tracks()
    assert {track.group: track.split for track in tracks} == {
        "03_-_A_Hard_Day's_Night": "train",
        "10CD1_-_The_Beatles": "validation",
        "12_-_Let_It_Be": "test",
    }
    assert [track.labels["beat"] is None for track in tracks] == [True, False, False]
    assert tracks[0].labels["chord"][1] == [0.5, 1.25, "E:aug(9,11)"]


def test_one_kind_of_annotation_is_enough(tmp_path):
    Beatles.miniature(tmp_path)
    shutil.rmtree(tmp_path / "annotations" / "beat")
    dataset = Beatles(tmp_path)
    assert dataset.available() and len(dataset.tracks()) == 3
    assert dataset.notes == (f"no beats in {tmp_path} (`sordino show beatles` says where they are looked for)",)
    shutil.rmtree(tmp_path / "annotations")
    assert not Beatles(tmp_path).available()
    with pytest.raises(FileNotFoundError, match="no chords and no beats and no keys in"):
        Beatles(tmp_path).tracks()
    (tmp_path / "chordlab").mkdir()
    with pytest.raises(FileNotFoundError, match="no annotated track in"):
        Beatles(tmp_path).tracks()


def test_the_key_of_a_guitar_piece_is_its_own_or_none(tmp_path):
    """The name tells the tonic of both (`Eb`), the mode of neither."""
    GuitarSet.miniature(tmp_path)
    found = prepare(GuitarSet(tmp_path), [make_task("key"), make_task("beat")])
    keys = {track.id: track.labels["key"] for track in found.tracks}
    known, unknown = ("00_BN1-129-Eb_comp", "05_BN1-129-Eb_comp"), "04_BN1-129-Eb_comp"
    assert keys == {**dict.fromkeys(known, "Eb:major"), unknown: None}
    assert found.unlabelled == {"key": [unknown]} and found.bad_labels == []
    assert found.labels["key"]["train"] == {"Eb major": 1}


def test_dances_and_the_layout_of_mirdata(tmp_path):
    Ballroom.miniature(tmp_path / "flat")
    place = tmp_path / "mirdata" / "b_1.0"
    for part, below in (("BallroomData", "audio"), (f"BallroomAnnotations-{COMMIT}", "annotations/beats"),
                        ("BallroomAnnotations", "annotations/tempo")):  # fmt: skip
        shutil.copytree(tmp_path / "flat" / part, place / below / part)
    for root in (tmp_path / "flat", tmp_path / "mirdata"):
        tracks = {track.id: track for track in Ballroom(root).tracks()}
        assert len(tracks) == 6 and "Albums-Fire-09" not in tracks
        assert tracks["Media-100614"].labels["genre"] == tracks["Media-105207"].labels["genre"] == "Rumba"
        assert tracks["Media-105207"].labels["beat"] is None and tracks["Media-105207"].labels["tempo"] == 84.0
        assert tracks["Media-100614"].labels["beat"]["meter"] == 3


def test_archives_as_they_are_unpacked_are_found(tmp_path):
    GiantStepsTempo.miniature(tmp_path / f"giantsteps-tempo-dataset-{'0b' * 20}")
    assert [track.id for track in GiantStepsTempo(tmp_path).tracks()] == ["1030011", "3041381"]


def test_every_archive_of_a_repository_is_one_commit():
    for name in registry.names("dataset"):
        for archive in registry.find("dataset", name).archives:
            assert "github.com" not in archive.url or re.search(r"/archive/[0-9a-f]{40}\.zip$", archive.url)
            assert len(archive.checksum) in (0, *DIGESTS)


def test_artists_who_share_tracks_stay_in_one_split(tmp_path):
    GiantStepsMTGKey.miniature(tmp_path)
    tracks = {track.id: track for track in GiantStepsMTGKey(tmp_path).tracks()}
    assert len(tracks) == 10
    assert tracks["5001"].group == tracks["5004"].group == tracks["5008"].group == "brainbashers"
    assert len({track.group for track in tracks.values()}) == 8
    groups = shared_artists({"1": "A, B", "2": "C", "3": "D,C", "4": "", "5": "b, D", "6": "E"})
    assert groups == {"1": "a", "2": "a", "3": "a", "4": "track 4", "5": "a", "6": "e"}


def test_published_splits_of_giantsteps_mtg(tmp_path):
    assert (len(published_validation("paper")), len(published_validation("jukemir"))) == (234, 236)  # of 1159
    assert len(published_validation("paper") & published_validation("jukemir")) < 234
    GiantStepsMTGKey.miniature(tmp_path)
    known = sorted(published_validation("paper"))[0]
    shutil.copy(tmp_path / "audio" / "5000.LOFI.mp3", tmp_path / "audio" / f"{known}.LOFI.mp3")
    rows = f"ID\tMANUAL KEY\tC\n{known}\tC minor\t2\n5000\tC minor\t2\n"
    write_text(tmp_path / "annotations" / "annotations.txt", rows)
    dataset = load_dataset("giantsteps_mtg_key:split=paper", tmp_path)
    assert {track.id: track.split for track in dataset.tracks()} == {known: "validation", "5000": "train"}
    assert "46 of the 234 validation tracks share an artist" in dataset.splits


def test_the_other_layout_of_giantsteps_key(tmp_path):
    name = "10089 Jason Sparks - Close My Eyes feat. J. Little (Original Mix)"
    write_tone(tmp_path / "audio" / f"{name}.mp3")
    write_text(tmp_path / "keys_gs+" / f"{name}.txt", "D major")
    (track,) = GiantStepsKey(tmp_path).tracks()
    assert track.id == "10089" and track.labels["key"] == "D major" and track.split == "test"


def test_tracks_without_sound_are_named(tmp_path):
    MagnaTagATune.miniature(tmp_path)
    (tmp_path / "mp3" / "c" / "a-b-03-c-0-29.mp3").unlink()
    dataset = MagnaTagATune(tmp_path)
    assert len(dataset.tracks()) == 4 and dataset.absent == ("c/a-b-03-c-0-29.mp3",)


def test_a_missing_table_of_jamendo_is_named(tmp_path):
    JamendoTop50.miniature(tmp_path)
    (tmp_path / "data" / "splits" / "split-0" / "autotagging_top50tags-test.tsv").unlink()
    with pytest.raises(FileNotFoundError, match=r"no autotagging_top50tags-test\.tsv in .*download\.py"):
        JamendoTop50(tmp_path).tracks()


def test_beats_in_the_spellings_of_the_corpora(tmp_path):
    path = tmp_path / "a.beats"
    for content, downbeats, meter in (
        ("0.5\n1.0\n", [], None),
        ("0.5 1\n1.0\t2\n", [0.5], 2),
        ("# comment\n0.5 1.1\n1.0 1.2\n\n1.5 2.1\n", [0.5, 1.5], 2),
        ("0.5,1,1\n1.0,1,4\n", [0.5], 4),
        ("\ufeff0.5 New Point\n1.0 1\n", [1.0], None),
        ("0.5 nan\n1.0 nan\n", [], None),
        ("0.5 3.0\n1.0 1.0\n", [1.0], 3),
        ("0.500000\t0.500000\t\n1.000000\t1.000000\t\n", [], None),
        ("0.500000\t0.500000\t1\n1.000000\t1.000000\t2\n", [0.5], 2),
        ('0.500000000,"1"\n1.000000000,"2"\n', [0.5], 2),
    ):
        write_text(path, content)
        found = read_beats(path)
        assert (found["downbeats"], found["meter"]) == (downbeats, meter)
        assert found["beats"][:2] == [0.5, 1.0]
    write_text(path, "0.5 1\nsoon 2\n")
    with pytest.raises(ValueError, match=r'a\.beats line 2: "soon" is not a number'):
        read_beats(path)
    write_text(path, "0 1\n")
    with pytest.raises(ValueError, match="line 1: expected `start end chord`"):
        read_chords(path)


def test_chords_in_the_spellings_of_the_corpora(tmp_path):
    path = tmp_path / "a.lab"
    for content in (
        "0 1 E:aug(9,11)\n1 2 N\n",
        '0.000000,1.0,"E:aug(9,11)"\r\n1.0,2.0,N\r\n',
        '0,E:aug(9,11)\n1,"N"\n2,N\n',
    ):
        write_text(path, content)
        assert read_chords(path) == [[0.0, 1.0, "E:aug(9,11)"], [1.0, 2.0, "N"]]
    write_text(path, "0 1 C\n1 N\n")
    with pytest.raises(ValueError, match="some lines are"):
        read_chords(path)


def test_a_corpus_table_is_read_by_its_columns_whatever_its_cells_hold(tmp_path):
    (tmp_path / "a.csv").write_bytes('name, artist\t\r\n1,"A\nB, C"\r\n 2 ,un\u2028deux\r\n3\r\n'.encode())
    rows = [{"name": "1", "artist": "A\nB, C"}, {"name": "2", "artist": "un\u2028deux"}, {"name": "3", "artist": ""}]
    assert table(tmp_path / "a.csv") == rows
    (tmp_path / "a.tsv").write_text('name\tartist\n1\t"A" and "B\n', encoding="utf-8")
    assert table(tmp_path / "a.tsv", delimiter="\t", quoting=csv.QUOTE_NONE) == [{"name": "1", "artist": '"A" and "B'}]
