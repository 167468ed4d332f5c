"""The plain estimators on sounds whose answer is known."""

import numpy as np
import pytest

from sordino.baselines.chroma_template import chroma, estimate_key
from sordino.baselines.onset_autocorrelation import ENVELOPE_HZ, estimate_tempo, onset_envelope
from sordino.tasks import make_task
from tests.known_audio import RATE_HZ, cadence, chord, click_track, key_label


@pytest.mark.parametrize("mode", ["major", "minor"])
def test_cadences_in_all_keys_even_out_of_tune(mode):
    task = make_task("key")
    for tonic in range(12):
        for detune in (0.0, 0.35, -0.35):
            wave, _ = cadence(tonic, mode, chord_s=0.6, detune=detune)
            assert task.plain_baseline(wave, RATE_HZ).value == task.parse(key_label(tonic, mode))


def test_chroma_of_a_triad_has_its_three_notes():
    wave = chord(9, "min", 2.0).astype(np.float32)
    mean = chroma(wave, RATE_HZ)[2:-4].mean(0)
    assert set(np.argsort(mean)[-3:]) == {9, 0, 4}
    assert chroma(wave, RATE_HZ).shape == (20, 12)


@pytest.mark.parametrize("rate_hz", [8_000, 24_000, 44_100])
def test_any_rate_will_do(rate_hz):
    wave, _ = cadence(2, "minor", rate_hz=rate_hz)
    assert estimate_key(wave, rate_hz) == "D minor"
    clicks, _ = click_track(100, 4, 12, rate_hz=rate_hz)
    assert estimate_tempo(clicks, rate_hz) == pytest.approx(100, rel=0.01)


@pytest.mark.parametrize("beats_per_bar", [3, 4])
@pytest.mark.parametrize("bpm", [40, 60, 77, 93, 120, 150, 180, 200, 250])
def test_click_tracks_up_to_the_octave(bpm, beats_per_bar):
    wave, label = click_track(bpm, beats_per_bar, 20)
    scores = make_task("tempo").score(float(bpm), estimate_tempo(wave, RATE_HZ))
    assert scores["accuracy2"] == 1.0
    if 70 <= bpm <= 160:
        assert scores["accuracy1"] == 1.0
        beat = make_task("beat")
        assert beat.score(beat.parse(label), beat.plain_baseline(wave, RATE_HZ).value)["f_measure"] > 0.95


def test_onsets_are_where_the_clicks_are():
    wave, label = click_track(90, 4, 10)
    envelope = onset_envelope(wave, RATE_HZ)
    peaks = np.flatnonzero(envelope > 0.5 * envelope.max()) / ENVELOPE_HZ
    distance = np.abs(peaks[:, None] - np.array(label["beats"])).min(1)
    assert distance.max() < 0.04 and len(envelope) == 1000


@pytest.mark.parametrize("mode", ["major", "minor"])
def test_chords_of_cadences(mode):
    for tonic in (0, 3, 8):
        wave, label = cadence(tonic, mode, chord_s=1.5)
        task = make_task("chord")
        assert task.score(task.parse(label), task.plain_baseline(wave, RATE_HZ).value)["majmin"] > 0.85


def test_a_key_has_a_second_choice_and_a_tempo_its_octave():
    wave, _ = cadence(9, "minor")
    ranking = make_task("key").plain_baseline(wave, RATE_HZ).details["alternatives"]
    fits = list(ranking.values())
    assert next(iter(ranking)) == "A minor" and len(fits) == 3 and fits == sorted(fits, reverse=True)
    clicks, _ = click_track(100, 4, 20)
    found = make_task("tempo").plain_baseline(clicks, RATE_HZ)
    slow, fast = found.details["tempi"]
    assert found.value in (slow, fast) and fast == pytest.approx(2 * slow, rel=0.02)
    assert (found.details["salience"] >= 0.5) == (found.value == slow)


def test_a_few_beats_in_much_silence_are_found():
    clicks, label = click_track(120, 4, 4)
    wave = np.pad(clicks, (0, 240 * RATE_HZ))
    found = make_task("beat").plain_baseline(wave, RATE_HZ).value["beats"]
    assert len(found) >= len(label["beats"]) - 1
    assert max(np.abs(np.array(label["beats"]) - time_s).min() for time_s in found) < 0.05
    assert make_task("beat").plain_baseline(np.full(RATE_HZ, 0.5, np.float32), RATE_HZ).value["downbeats"] is None
