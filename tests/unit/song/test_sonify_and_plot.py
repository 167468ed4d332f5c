"""What is heard and seen is where it was answered."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from sordino.contracts import Prediction
from sordino.results import FileAnswer
from sordino.song.plot import plot
from sordino.song.sonify import sonify
from sordino.tasks import make_task

TASKS = {"key": make_task("key"), "beat": make_task("beat"), "chord": make_task("chord")}


@pytest.fixture
def silence(tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros((45 * 16_000, 2)), 16_000)
    return str(tmp_path / "silence.wav")


def loudest_hz(wave, rate, low, high):
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    hz = np.fft.rfftfreq(len(wave), 1 / rate)
    return hz[(hz > low) & (hz < high)][spectrum[(hz > low) & (hz < high)].argmax()]


def test_clicks_and_chords_sound_where_they_were_heard(silence, tmp_path):
    beats = {"beats": [1.0, 19.99, 30.0], "downbeats": [30.0]}  # the second one over the border of two blocks
    answer = FileAnswer(silence, {"beat": Prediction(beats)}, 45.0)
    sonify(answer, TASKS, tmp_path / "a.wav")
    wave, rate = soundfile.read(tmp_path / "a.wav")
    assert rate == 16_000 and len(wave) == 45 * rate
    loud = np.flatnonzero(np.abs(wave) > 0.02) / rate
    starts = loud[np.concatenate([[True], np.diff(loud) > 0.5])]
    np.testing.assert_allclose(starts, beats["beats"], atol=0.002)
    assert loudest_hz(wave[rate : rate + 640], rate, 100, 4000) == pytest.approx(1000, abs=40)
    assert loudest_hz(wave[30 * rate : 30 * rate + 640], rate, 100, 4000) == pytest.approx(2000, abs=40)


def test_a_chord_has_its_notes(silence, tmp_path):
    chords = Prediction([[0.0, 10.0, "A:min"], [10.0, 20.0, "N"], [20.0, 40.0, "C:maj"]])
    sonify(FileAnswer(silence, {"chord": chords}, 45.0), TASKS, tmp_path / "a.flac")
    wave, rate = soundfile.read(tmp_path / "a.flac")
    assert np.abs(wave[11 * rate : 19 * rate]).max() < 1e-4
    for hz in (440.0, 261.6, 329.6):
        assert loudest_hz(wave[rate : 9 * rate], rate, hz - 15, hz + 15) == pytest.approx(hz, abs=0.5)
    assert TASKS["chord"].pitch_classes("A:min") == [9, 0, 4] and TASKS["chord"].pitch_classes("N") == []


def test_the_song_itself_is_left_alone(silence):
    before = Path(silence).read_bytes()
    with pytest.raises(ValueError, match="is the song itself"):
        sonify(FileAnswer(silence, {"beat": Prediction({"beats": [1.0], "downbeats": None})}, 45.0), TASKS, silence)
    assert Path(silence).read_bytes() == before


def test_nothing_to_be_heard_is_told(silence, tmp_path):
    with pytest.raises(ValueError, match="neither beats nor chords"):
        sonify(FileAnswer(silence, {"key": Prediction("A minor")}, 45.0), TASKS, tmp_path / "a.wav")


def test_the_picture_has_every_beat_and_chord_and_the_key_over_time(song, tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    drawn = {"lines": [], "spans": [], "texts": []}
    for name, method in {"lines": "vlines", "spans": "axvspan", "texts": "text"}.items():
        original = getattr(Axes, method)
        monkeypatch.setattr(Axes, method, lambda self, *a, name=name, original=original, **k: (
            drawn[name].append(a), original(self, *a, **k))[1])  # fmt: skip
    beats = {"beats": [1.0, 2.0, 3.0], "downbeats": [2.0]}
    chords = [[0.0, 4.0, "A:min"], [4.0, 6.0, "N"], [6.0, 12.0, "G:maj"]]
    answer = FileAnswer(str(song), {"beat": Prediction(beats), "chord": Prediction(chords)}, 12.8)
    plot(answer, TASKS, tmp_path / "a.svg")
    assert [list(each[0]) for each in drawn["lines"]] == [[1.0, 3.0], [2.0]]
    assert drawn["spans"][:2] == [(0.0, 4.0), (6.0, 12.0)]
    assert [each[2] for each in drawn["texts"] if len(each) > 2][:3] == ["Am", "G", "A minor"]
    assert (tmp_path / "a.svg").stat().st_size > 5000
