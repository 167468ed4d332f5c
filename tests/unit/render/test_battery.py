"""The battery: every sound has what its label says, heard by estimators that know nothing of how it was made."""

import mir_eval
import numpy as np
import pytest

from sordino.baselines.chroma_template import chroma, estimate_key
from sordino.baselines.onset_autocorrelation import estimate_tempo
from sordino.datasets.battery import Battery
from sordino.render.battery import write_battery
from sordino.render.battery_sounds import (
    DRUMS,
    NOTES,
    QUALITIES,
    RATE_HZ,
    SCALES,
    TIMBRES,
    Clip,
    clips,
    hit,
    note,
    placed,
)

EVERYTHING = list(clips())


def of(question, every=1):
    return [clip for clip in EVERYTHING if clip.question == question][::every]


def spectrum(wave):
    """Frequencies and magnitudes, finer than a semitone at 100 Hz."""
    return np.fft.rfftfreq(4 * len(wave), 1 / RATE_HZ), np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 4 * len(wave)))


def strongest_classes(wave, n):
    """The strongest pitch classes."""
    return {int(place) for place in np.argsort(chroma(wave, RATE_HZ).mean(0))[-n:]}


@pytest.mark.parametrize("timbre", TIMBRES)
def test_a_note_sounds_at_its_pitch(timbre):
    hz, level = spectrum(note(TIMBRES[timbre], 57, 1.4))  # A3
    for harmonic in (1, 2, 3):
        amplitude = TIMBRES[timbre].partials[harmonic - 1] if harmonic <= len(TIMBRES[timbre].partials) else 0
        near = level[np.abs(hz - 220 * harmonic) < 6].max()
        between = level[np.abs(hz - 220 * (harmonic + 0.5)) < 6].max()
        assert (near > 20 * between) == (amplitude > 0.0) or TIMBRES[timbre].breath


def test_the_pitch_class_of_notes_is_heard():
    for clip in of("note", 7):
        assert strongest_classes(clip.make(), 1) == {NOTES.index(clip.answer)}, clip.id


def test_triads_have_their_steps():
    heard = []
    for clip in of("triad", 13):
        found = sorted(strongest_classes(clip.make(), 3))
        turns = [{(place - root) % 12 for place in found} for root in found]
        heard.append(set(QUALITIES[clip.answer]) in turns)
    assert np.mean(heard) > 0.8  # strong third harmonics blur some


def test_scales_have_seven_notes_of_their_mode():
    for clip in of("scale", 17):
        weights = chroma(clip.make(), RATE_HZ).mean(0)
        steps = SCALES[clip.answer]
        inside = max(sum(weights[(tonic + step) % 12] for step in steps) for tonic in range(12))
        assert inside > 0.8 * weights.sum(), clip.id


def test_progressions_are_in_a_key_of_their_mode():
    found = [
        (clip.answer[0].isupper(), estimate_key(clip.make(), RATE_HZ).endswith("major"))
        for clip in of("progression", 23)
    ]
    assert np.mean([major == heard for major, heard in found]) > 0.75


def test_tempi_are_heard_up_to_octaves():
    clips_ = of("tempo", 9)
    right = [
        mir_eval.tempo.detection(np.array([clip.answer] * 2), 1.0, np.array([estimate * ratio] * 2), 0.04)[1]
        for clip in clips_
        for estimate in [estimate_tempo(clip.make(), RATE_HZ)]
        for ratio in (0.5, 1.0, 2.0)
    ]
    assert np.sum(right) > 0.8 * len(clips_)


def test_the_first_beat_of_a_metre_is_the_loudest():
    clip = next(clip for clip in of("metre") if clip.answer == "3/4" and clip.sound == "wood")
    wave = np.abs(clip.make())
    peaks = [wave[at : at + 600].max() for at in range(0, len(wave) - 600, 600)]
    loud = np.flatnonzero(np.array(peaks) > 0.75 * max(peaks))
    weak = np.flatnonzero((np.array(peaks) < 0.45 * max(peaks)) & (np.array(peaks) > 0.2 * max(peaks)))
    assert 4 <= len(loud) <= 12 and len(weak) >= 1.5 * len(loud)


def test_each_clip_is_the_same_every_time_and_never_clips():
    for clip, again in zip(EVERYTHING[::97], list(clips())[::97], strict=True):
        wave = clip.make()
        assert clip.id == again.id and np.array_equal(wave, again.make())
        assert np.abs(wave).max() == pytest.approx(0.5, abs=1e-4)


def test_no_timbre_stands_in_two_splits_and_every_answer_in_all():
    splits = {}
    for clip in EVERYTHING:
        splits.setdefault(clip.sound, set()).add(clip.split)
    assert all(len(own) == 1 for own in splits.values()) and len(splits) == len(TIMBRES) + len(DRUMS)
    for question in {clip.question for clip in EVERYTHING} - {"tempo"}:
        answers = [
            {clip.answer for clip in of(question) if clip.split == split} for split in ("train", "validation", "test")
        ]
        assert answers[0] == answers[1] == answers[2], question
    assert Battery.size[0] == len(EVERYTHING)


def test_an_interrupted_set_is_made_anew(tmp_path):
    few = [Clip(f"n{n}", "note", "C", "s", "train", lambda: placed([(0.0, hit("wood"))], 0.5)) for n in range(3)]
    broken = [few[0], Clip("x", "note", "C", "s", "train", lambda: 1 / 0), few[1]]
    write_battery(tmp_path / "b", [few[2]])
    with pytest.raises(ZeroDivisionError):
        write_battery(tmp_path / "b", broken)
    assert not Battery(tmp_path / "b").available()
    assert write_battery(tmp_path / "b", few[:2]) == 2
    assert [track.id for track in Battery(tmp_path / "b").tracks()] == ["n0", "n1"]
    assert sorted(path.name for path in (tmp_path / "b" / "note").iterdir()) == ["n0.flac", "n1.flac"]


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="thesis"):
        write_battery(tmp_path)
