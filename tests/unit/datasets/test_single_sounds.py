"""Notes, voices, solos, excerpts with instruments, and clips with a genre: odd cells and names, splits, groups."""

import csv
from collections import Counter
from pathlib import Path

from sordino.checks.datasets import check_splits
from sordino.datasets import load_dataset
from sordino.datasets._corpus import write_text
from sordino.datasets.fma_small import FMASmall
from sordino.datasets.medley_solos import MedleySolos
from sordino.datasets.nsynth import NSynth
from sordino.datasets.openmic import INSTRUMENTS, OpenMIC
from sordino.datasets.vocalset import TECHNIQUES, TESTED, VALIDATED, VocalSet
from sordino.tasks import make_task

FOLDER = Path(__file__).parent / "vocabularies"


def read(dataset):
    return {track.id: track for track in dataset.tracks()}


def test_the_21571_solos_by_subset():
    rows = [line.split("\t") for line in (FOLDER / "medley_solos.tsv").read_text(encoding="utf-8").splitlines()]
    clips, songs = Counter(), 0
    for subset, _, n_clips, n_songs in rows:
        clips[subset] += int(n_clips)
        songs += int(n_songs)
    assert clips == {"training": 5841, "validation": 3494, "test": 12236} and songs == 227
    assert MedleySolos.size[0] == clips.total() and len({instrument for _, instrument, _, _ in rows}) == 8


def test_solos_of_a_song_stay_together_and_old_names_are_found(tmp_path):
    MedleySolos.miniature(tmp_path)
    tracks = read(MedleySolos(tmp_path))
    assert Counter(track.group for track in tracks.values()) == {"song 7": 2, "song 210": 1, "song 0": 1}
    old = tracks["003d41a8-afad-501f-fbc3-d406dc694ceb"]
    assert old.path.name.endswith(".wav.wav") and (old.split, old.labels["instrument"]) == ("test", "clarinet")
    table = tmp_path / "annotation" / "Medley-solos-DB_metadata.csv"
    write_text(table, table.read_text().replace("song_id", "track_id"))
    assert read(MedleySolos(tmp_path)) == tracks


def test_a_note_has_family_pitch_source_and_qualities(tmp_path):
    NSynth.miniature(tmp_path)
    tracks = read(NSynth(tmp_path))
    note = tracks["bass_synthetic_033-022-050"]
    assert note.labels == {"instrument": "bass", "pitch": 22, "source": "synthetic", "tags": ["dark"]}
    assert make_task("classification").parse(note.labels["pitch"]) == "22"
    test = tracks["keyboard_acoustic_004-060-075"]
    assert make_task("tagging").parse(test.labels["tags"]) == []
    assert {track.split for track in tracks.values() if track.group == "bass_synthetic_033"} == {"train"}
    assert test.group != tracks["keyboard_acoustic_004-060-025"].group  # the instrument is in validation and in test


def test_a_part_of_nsynth_may_be_missing(tmp_path):
    NSynth.miniature(tmp_path)
    (tmp_path / "nsynth-train" / "examples.json").unlink()
    dataset = NSynth(tmp_path)
    assert {track.split for track in dataset.tracks()} == {"validation", "test"}
    assert dataset.notes == (f"no {tmp_path / 'nsynth-train' / 'examples.json'}",)


def test_the_singers_of_vocalset():
    singers = {f"female{n}" for n in range(1, 10)} | {f"male{n}" for n in range(1, 12)}
    tested = {"female2", "female8", "male3", "male5", "male10"}  # by the corpus's test_singers_technique.txt
    assert tested == TESTED and singers > VALIDATED | TESTED and not TESTED & VALIDATED and len(TECHNIQUES) == 10


def test_folders_name_singer_and_technique(tmp_path):
    VocalSet.miniature(tmp_path)
    tracks = read(VocalSet(tmp_path))
    assert len(tracks) == 5  # the repeated file and what macOS left are no recordings
    nameless = tracks["female2/scales/vocal_fry/scales_vocal_fry"]
    assert nameless.labels == {"technique": "vocal_fry", "singer": "female2"} and nameless.split == "test"
    assert tracks["male11/long_tones/straight/m11_long_straight_i"].split == "validation"
    assert tracks["male4/arpeggios/fast_forte/m4_arps_fast_forte_c"].labels["technique"] is None
    by_recording = read(load_dataset("vocalset:split=singer", tmp_path))
    assert by_recording.keys() == tracks.keys() and not any(track.group for track in by_recording.values())


def test_instruments_that_were_judged(tmp_path):
    assert len(INSTRUMENTS) == 20 and list(INSTRUMENTS) == sorted(INSTRUMENTS)  # as class-map.json numbers them
    OpenMIC.miniature(tmp_path)
    tracks = read(OpenMIC(tmp_path))
    judged = tracks["000046_3840"].labels["instruments"]
    assert list(judged) == list(INSTRUMENTS)
    known = {name: there for name, there in judged.items() if there is not None}
    assert known == {"clarinet": False, "flute": False, "voice": True}  # 0.171, 0, and 0.5
    label = make_task("tagging").parse(judged)
    assert len(label) == 18 and {name for name in label if name[0] != "?"} == {"voice"} and "?flute" not in label
    assert tracks["000141_153600"].split == "test" and tracks["000046_3840"].split != "test"
    assert tracks["000135_483840"].group == tracks["000139_119040"].group == "artist 52"
    assert tracks["000135_483840"].split == tracks["000139_119040"].split


def test_one_instrument_of_openmic(tmp_path):
    OpenMIC.miniature(tmp_path)
    guitar = read(load_dataset("openmic:instrument=guitar", tmp_path))
    assert {name: track.labels["instruments"] for name, track in guitar.items()} == {
        "000135_483840": {"guitar": True},
        "000139_119040": {"guitar": False},
    }


def test_rows_of_fma_behind_line_breaks_and_a_long_biography(tmp_path):
    FMASmall.miniature(tmp_path)
    usual = csv.field_size_limit()
    tracks = read(FMASmall(tmp_path))
    assert {name: (track.split, track.labels["genre"]) for name, track in tracks.items()} == {
        "000002": ("train", "Hip-Hop"),
        "000005": ("train", "Hip-Hop"),
        "000140": ("validation", "Folk"),
        "000148": ("test", "Experimental"),
    }
    assert csv.field_size_limit() == usual
    assert tracks["000002"].group == tracks["000005"].group == "artist 1"
    assert tracks["000148"].info["source"].endswith("tracks.csv line 11")
    check_splits(list(tracks.values()))
