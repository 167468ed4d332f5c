"""What is written for other programs is what our readers of their formats read."""

from xml.etree import ElementTree

import numpy as np
import pytest

from sordino import audio
from sordino.contracts import Prediction
from sordino.datasets._annotations import read_beats, read_chords
from sordino.datasets.folder import Folder
from sordino.exports import tag_values, write_audacity, write_rekordbox
from sordino.results import FileAnswer
from sordino.song.outputs import Outputs
from sordino.tasks import make_task

TASKS = {name: make_task(name) for name in ("beat", "chord", "key", "tempo")}
BEATS = {"beats": [0.2, 0.7, 1.21, 1.7, 2.2, 2.7], "downbeats": [0.7, 2.2]}
CHORDS = [[0.0, 1.0, "E:aug(9,11)"], [1.0, 3.0, "N"]]


@pytest.fixture
def answer(tmp_path):
    path = tmp_path / "a b ü.wav"
    audio.write(path, np.zeros(24_000, np.float32), 8_000)
    values = {"beat": BEATS, "chord": CHORDS, "key": "A minor", "tempo": {"bpm": 120.5, "tempi": [60.25, 120.5]}}
    return FileAnswer(str(path), {name: Prediction(value) for name, value in values.items()}, 3.0)


def test_audacity_reads_times_and_texts(answer, tmp_path):
    write_audacity(answer, TASKS, tmp_path, "a b ü")
    assert (tmp_path / "a b ü.beat.txt").read_text().splitlines()[:2] == [
        "0.200000\t0.200000\t",
        "0.700000\t0.700000\t1",
    ]
    found = read_beats(tmp_path / "a b ü.beat.txt")
    assert (found["beats"], found["downbeats"], found["meter"]) == (BEATS["beats"], BEATS["downbeats"], 3)
    assert read_chords(tmp_path / "a b ü.chord.txt") == CHORDS
    assert (tmp_path / "a b ü.key.txt").read_text() == "0.000000\t3.000000\tA minor\n"


def test_rekordbox_gets_tempo_key_and_a_grid(answer, tmp_path):
    broken = FileAnswer("gone.wav", error="no such file")
    write_rekordbox([answer, broken], TASKS, tmp_path / "library.xml")
    (track,) = Folder(tmp_path / "library.xml").tracks()
    assert track.path.samefile(answer.path)
    assert track.labels["tempo"] == 120.5 and track.labels["key"] == "A minor"
    assert track.labels["beat"] == {**BEATS, "meter": 3}


@pytest.mark.parametrize(
    ("downbeats", "metro", "places"),
    [
        ([0, 4, 12, 16], "4/4", [1, 2, 3, 4] * 4 + [1, 2]),  # one was missed: no bar of eight
        ([2, 5, 8, 11, 14], "3/4", [2, 3, *[1, 2, 3] * 5, 1]),
        ([], "4/4", [1, 2, 3, 4] * 4 + [1, 2]),
    ],
)
def test_a_grid_has_the_bars_that_most_are(downbeats, metro, places, answer, tmp_path):
    beats = [0.5 * number for number in range(18)]
    answer.answers = {"beat": Prediction({"beats": beats, "downbeats": [beats[number] for number in downbeats]})}
    write_rekordbox([answer], TASKS, tmp_path / "library.xml")
    marks = list(ElementTree.parse(tmp_path / "library.xml").iter("TEMPO"))
    assert [float(mark.get("Inizio")) for mark in marks] == beats and {mark.get("Bpm") for mark in marks} == {
        "120.0000"
    }
    assert {mark.get("Metro") for mark in marks} == {metro}
    assert [int(mark.get("Battito")) for mark in marks] == places


def test_a_library_of_somebody_is_left_alone(answer, tmp_path):
    path = tmp_path / "library.xml"
    for _ in range(2):
        write_rekordbox([answer], TASKS, path)  # its own is replaced
    path.write_text(path.read_text().replace("sordino", "rekordbox"))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="is there and not by sordino"):
        write_rekordbox([answer], TASKS, path)
    with pytest.raises(ValueError, match="is there and not by sordino"):
        Outputs(TASKS, rekordbox=str(path))
    assert path.read_bytes() == before


def test_tags_hold_what_is_known(answer):
    assert tag_values(answer, TASKS) == {"key": "A minor", "tempo": "120.50"}
    answer.answers.update(key=Prediction("none"), tempo=Prediction(0.0))
    assert tag_values(answer, TASKS) == {}
    tags = {"tags": make_task("tagging", label="genre", tags=["folk", "pop", "rock"])}
    for given, told in ((["folk", "rock"], {"genre": "folk; rock"}), ([], {})):
        assert tag_values(FileAnswer("a.wav", {"tags": Prediction(given)}), tags) == told
