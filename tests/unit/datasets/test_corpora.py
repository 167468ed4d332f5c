"""Facts of the named corpora that their miniatures cannot show."""

from collections import Counter

import pytest

from sordino.datasets import load_dataset
from sordino.datasets._annotations import read_beats, read_chords
from sordino.datasets._corpus import write_text, write_tone
from sordino.datasets._gtzan import GENRES, MINI, filtered_split
from sordino.datasets.beatles import Beatles, main_key
from sordino.datasets.giantsteps_key import GiantStepsKey
from sordino.datasets.gtzan_key import GTZANKey
from sordino.datasets.magnatagatune import MagnaTagATune
from sordino.datasets.mtg_jamendo_top50 import JamendoTop50


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


def test_numbers_of_gtzan_key_begin_with_a(tmp_path):
    GTZANKey.miniature(tmp_path)
    keys = {track.id: track.labels["key"] for track in GTZANKey(tmp_path).tracks()}
    assert keys["blues.00029"] == "G minor"  # 22
    assert keys["blues.00012"] == "C major"  # 3
    assert keys["blues.00000"] is None  # -1
    write_text(tmp_path / "gtzan_key" / "genres" / "rock" / "rock.00010.lerch.txt", "24\n")
    with pytest.raises(ValueError, match=r"rock\.00010\.lerch\.txt line 1: 24 is not a key; expected -1 to 23"):
        GTZANKey(tmp_path).tracks()


def test_the_key_of_a_song_is_that_of_most_of_it(tmp_path):
    path = tmp_path / "a.lab"
    for content, key in (
        ("0 1 Silence\n1 5 Key E\n5 8 Key C#:minor\n", "E major"),
        ("0 4 Key E\n4 8 Key A\n", None),
        ("0 8 Key D:mixolydian\n", "D mixolydian"),
        ("0 8 Silence\n", None),
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
