import numpy as np
import pytest

from sordino.augment import Augmentation, BandLimit, Gain, Noise, Overlay, PitchShift, TimeStretch
from sordino.tasks import make_task
from sordino.vocoder import pitch_shift, time_stretch

RATE_HZ = 24_000
RNG = np.random.default_rng(0)


def tone(frequency_hz, seconds=3.0):
    return (0.3 * np.sin(2 * np.pi * frequency_hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def loudest_hz(x):
    x = x[len(x) // 4 : -len(x) // 4]
    power = np.abs(np.fft.rfft(x * np.hanning(len(x)), 8 * len(x)))
    return power.argmax() * RATE_HZ / (8 * len(x))


def clicks(period_samples, n_samples):
    x = np.zeros(n_samples, np.float32)
    for start in range(period_samples, n_samples - 1000, period_samples):
        x[start : start + 300] = np.random.default_rng(1).normal(0, 0.3, 300) * np.exp(-np.arange(300) / 60)
    return x


@pytest.mark.parametrize("semitones", [-4, -1, 1, 4])
def test_a_shifted_tone_is_in_tune_and_as_long_and_as_loud(semitones):
    x = tone(440.0)
    y = pitch_shift(x, semitones)
    assert y.shape == x.shape and y.dtype == np.float32
    assert 1200 * abs(np.log2(loudest_hz(y) / (440 * 2 ** (semitones / 12)))) < 1.0  # cents
    assert y.std() == pytest.approx(x.std(), rel=0.03)


@pytest.mark.parametrize("rate", [0.9, 0.95, 1.05, 1.1])
def test_a_stretched_tone_keeps_its_pitch_and_clicks_move(rate):
    y = time_stretch(tone(440.0), rate)
    assert len(y) == round(3 * RATE_HZ / rate)
    assert 1200 * abs(np.log2(loudest_hz(y) / 440)) < 1.0
    period = 6_000
    z = np.abs(time_stretch(clicks(period, 4 * RATE_HZ), rate))
    for n in range(1, 12):
        expected = round(n * period / rate)
        near = z[expected - 1_000 : expected + 1_000]
        found = np.searchsorted(np.cumsum(near**2), 0.1 * (near**2).sum()) - 1_000
        assert abs(found) < 0.006 * RATE_HZ


def test_doing_nothing_changes_nothing():
    x = tone(440.0, 1.0)
    assert pitch_shift(x, 0) is x and time_stretch(x, 1.0) is x


def test_short_and_silent_waveforms_survive():
    for x in (np.zeros(5_000, np.float32), tone(440.0, 0.02)):
        assert np.isfinite(time_stretch(x, 0.9)).all() and np.isfinite(pitch_shift(x, 3)).all()


def test_labels_move_with_the_sound():
    key, tempo, beat, chord = (make_task(name) for name in ("key", "tempo", "beat", "chord"))
    shift, stretch = PitchShift(3), TimeStretch(2.0)
    assert shift.relabel(key, key.parse("A minor")) == key.parse("C minor")
    assert shift.relabel(tempo, 120.0) == 120.0
    assert stretch.relabel(tempo, 60.0) == pytest.approx(120.0)
    assert stretch.relabel(key, "C major") == "C major"
    beats = beat.parse({"beats": [0.5, 1.0, 1.5], "downbeats": [0.5], "meter": 4})
    assert stretch.relabel(beat, beats)["beats"] == pytest.approx([0.25, 0.5, 0.75])
    chords = chord.parse([[0.0, 2.0, "A:min"]])
    moved = shift.relabel(chord, chords)
    assert chord.parse(moved) == chord.parse([[0.0, 2.0, "C:min"]])


def test_level_noise_and_band():
    x = tone(440.0) + tone(9_000.0)
    for change in (Gain(6.0), Noise(10.0), BandLimit(300.0, 3_400.0)):
        y = change.apply(x, RATE_HZ, np.random.default_rng(3))
        z = change.apply(x, RATE_HZ, np.random.default_rng(3))
        assert y.dtype == np.float32 and y.shape == x.shape
        np.testing.assert_array_equal(y, z)
        assert not np.array_equal(x, y)
    louder = Gain(6.0).apply(x, RATE_HZ, np.random.default_rng(0)) / x.max()
    assert 0.5 < louder.max() < 2.0
    quiet = Noise(10.0).apply(x, RATE_HZ, np.random.default_rng(3)) - x
    assert 10.0 <= 20 * np.log10(x.std() / quiet.std()) <= 40.5


def test_a_mixture_has_the_tags_of_both():
    tagging = make_task("tagging")
    mix = Overlay(-6.0)
    assert mix.relabel(tagging, ["drums", "calm"], ["piano", "calm"]) == ["calm", "drums", "piano"]
    x = tone(440.0)
    added = mix.apply(x, RATE_HZ, RNG, tone(880.0, 1.0)) - x
    assert 20 * np.log10(added.std() / x.std()) == pytest.approx(-6.0, abs=0.1)
    with pytest.raises(ValueError, match="only lists of tags can be mixed"):
        mix.relabel(make_task("key"), "C major", "A minor")


def test_versions_are_counted_and_begin_with_the_plain_one():
    assert list(Augmentation.named([]).versions()) == [[]]
    pitches = list(Augmentation.named(["pitch_shift"]).versions())
    assert len(pitches) == 9 and pitches[0] == []
    assert {change.semitones for changes in pitches for change in changes} == {-4, -3, -2, -1, 1, 2, 3, 4}
    both = list(Augmentation.named(["pitch_shift", "time_stretch", "gain"]).versions())
    assert len(both) == 45 and both[0] == [Gain(6.0)]
    mixed = list(Augmentation.named(["mix"]).versions())
    assert mixed == [[], [Overlay()]]
    with pytest.raises(ValueError, match="not empty"):
        Augmentation(semitones=())
    with pytest.raises(ValueError, match=r"rates\[0\] = 0"):
        Augmentation(rates=(0.0,))
    assert list(Augmentation(mix=True).versions()) == mixed
