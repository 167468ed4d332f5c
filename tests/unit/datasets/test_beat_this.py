"""The beat corpora in the format of Beat This: forms of their files, published splits, groups."""

from collections import Counter
from pathlib import Path

import pytest

from sordino import registry
from sordino.datasets import load_dataset
from sordino.datasets._beat_this import BeatThis, read_places
from sordino.datasets._corpus import write_text
from sordino.datasets.asap import ASAP
from sordino.datasets.harmonix import Harmonix
from sordino.datasets.rwc import RWC
from sordino.tasks import make_task

SPLITS = Path(__file__).parent / "vocabularies" / "beat_this_splits.tsv"


def labels(dataset):
    return {track.id: track.labels["beat"] for track in dataset.tracks()}


def test_places_and_bars_and_what_lies_before_the_sound(tmp_path):
    Harmonix.miniature(tmp_path)
    beats = labels(Harmonix(tmp_path))
    assert beats["0373_driveby"] == {"beats": [0.1, 0.3, 0.5, 0.7], "downbeats": [0.5], "meter": 4}  # not the bar 1
    assert beats["0413_ifyoucouldonlysee"] == {"beats": [0.4, 0.8], "downbeats": [0.8], "meter": 2}
    assert beats["0630_crushcrushcrush"]["downbeats"] == [0.2]
    assert make_task("beat").parse(beats["0413_ifyoucouldonlysee"])["downbeats"] == [0.8]


def test_times_only_have_no_downbeats_and_a_word_is_told(tmp_path):
    write_text(tmp_path / "a.beats", "0.454971\n0.953000\n")
    assert read_places(tmp_path / "a.beats") == {"beats": [0.454971, 0.953], "downbeats": [], "meter": None}
    write_text(tmp_path / "a.beats", "0.4\t1\n0.9\ttwo\n")
    with pytest.raises(ValueError, match=r'a\.beats line 2: "two" is not a number'):
        read_places(tmp_path / "a.beats")


def test_the_published_numbers_of_recordings():
    rows = [line.split("\t") for line in SPLITS.read_text(encoding="utf-8").splitlines()]
    sizes = {name: (int(train), int(val), [int(n) for n in folds.split()]) for name, train, val, folds in rows}
    own = {name: registry.find("dataset", name) for name in registry.names("dataset")}
    own = {name: cls for name, cls in own.items() if issubclass(cls, BeatThis)}
    assert set(own) == set(sizes)
    for name, (train, val, folds) in sizes.items():
        assert own[name].size[0] == train + val == sum(folds) and len(folds) == 8


def test_a_fold_is_tested_on_and_the_next_validates(tmp_path):
    RWC.miniature(tmp_path)
    split = {track.id: track.split for track in RWC(tmp_path).tracks()}
    assert Counter(split.values()) == {"train": 2, "validation": 1} and split["rwc_popular_CD3_01"] == "validation"
    table = next(tmp_path.glob("beat_this*")) / "rwc" / "8-folds.split"
    write_text(table, "rwc_classical_CD2_03\t7\nrwc_jazz_CD1_03\t0\nrwc_popular_CD3_01\t3\n")
    dataset = load_dataset("rwc:split=fold7", tmp_path)
    assert {track.id.split("_")[1]: track.split for track in dataset.tracks()} == {
        "classical": "test", "jazz": "validation", "popular": "train",
    }  # fmt: skip
    assert dataset.splits.startswith("Beat This: fold7 of 8")
    table.unlink()
    with pytest.raises(FileNotFoundError, match=r"no 8-folds\.split in"):
        dataset.tracks()


def test_performances_of_a_piece_are_one_group(tmp_path):
    ASAP.miniature(tmp_path)
    groups = {track.id: track.group for track in ASAP(tmp_path).tracks()}
    assert groups["Bach_Fugue_bwv_848_Denisova06M"] == groups["Bach_Fugue_bwv_848_Lee01M"] == "Bach_Fugue_bwv_848"
    assert groups["Scriabin_Sonatas_5_Yeletskiy07M"] == "Scriabin_Sonatas_5"


def test_a_clone_and_files_named_as_their_annotations(tmp_path):
    RWC.miniature(tmp_path)
    place = tmp_path / "clone"
    next(tmp_path.glob("beat_this*")).rename(place)
    (tmp_path / "audio").rename(place / "audio")
    sound = place / "audio" / "popular_CD3_01.wav"
    sound.rename(sound.with_name("rwc_popular_CD3_01.wav"))
    assert len(RWC(place).tracks()) == 3
