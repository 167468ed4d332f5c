"""The tools that label music with published networks, as far as it goes without the networks."""

import sys
from pathlib import Path

import numpy as np
import pytest

from sordino.pretrain.store import Item
from sordino.tasks import make_task
from tests.known_audio import click_track

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
import agree_labels
import label_corpus
from teachers import beatnet, crema


def test_beatnets_filters_are_triangles_of_area_one_at_quarter_tones():
    assert beatnet.BANK.shape == (705, 136)
    np.testing.assert_allclose(beatnet.BANK.sum(0), 1, rtol=1e-5)
    time_s = np.arange(22_050) / 22_050
    for hz in (440.0, 1760.0, 440.0 * 2 ** (1 / 24) * 4):
        level = beatnet.features(np.sin(2 * np.pi * hz * time_s))[25, :136]
        centre_hz = beatnet.BANK[:, level.argmax()].argmax() * 22_050 / 1410
        assert centre_hz == pytest.approx(hz, rel=0.02)


def test_beatnets_frames_are_centred_at_every_fiftieth_of_a_second():
    wave, label = click_track(75, 4, 6, rate_hz=22_050)
    rise = beatnet.features(wave)[:, 136:].sum(1)
    assert len(rise) == 300
    for beat in label["beats"]:
        around = round(beat * 50)
        assert abs(rise[max(0, around - 8) : around + 9].argmax() - min(8, around)) <= 1


def test_cremas_chords_are_the_ones_that_mir_eval_knows():
    import mir_eval

    assert len(crema.CHORDS) == 170 and list(crema.CHORDS) == sorted(crema.CHORDS)
    roots = {mir_eval.chord.encode(chord)[0] for chord in crema.CHORDS if ":" in chord}
    assert roots == set(range(12))
    major, minor = mir_eval.chord.encode("C:maj")[1], mir_eval.chord.encode("C:min")[1]
    for chord, number in zip(crema.CHORDS, agree_labels.CLASSES, strict=True):
        if number < agree_labels.NONE:
            root, pitches, _ = mir_eval.chord.encode(chord)
            assert root == number % 12
            assert (pitches >= (major if number < 12 else minor)).all()


def test_cremas_recurrent_layer_is_the_old_one_of_keras():
    rng = np.random.default_rng(0)
    x, kernel, recurrent, bias = (rng.normal(size=size) for size in ((5, 3), (3, 6), (2, 6), (6,)))
    state = [0.0, 0.0]
    for t, row in enumerate(crema.gru(x, kernel, recurrent, bias)):
        given = [sum(x[t][i] * kernel[i][j] for i in range(3)) + bias[j] for j in range(6)]
        gate = [
            min(max(0.2 * (given[j] + sum(state[i] * recurrent[i][j] for i in range(2))) + 0.5, 0), 1) for j in range(4)
        ]
        reset = [gate[2 + i] * state[i] for i in range(2)]
        new = [np.tanh(given[4 + j] + sum(reset[i] * recurrent[i][4 + j] for i in range(2))) for j in range(2)]
        state = [gate[j] * state[j] + (1 - gate[j]) * new[j] for j in range(2)]
        np.testing.assert_allclose(row, state, rtol=1e-5)


def test_tracks_of_all_packages_come_evenly():
    items = [
        Item(f"{p}{n}.npy", f"{p}/{n}.ogg", p, "train", 1) for p, many in (("a", 40), ("b", 10)) for n in range(many)
    ]
    order = [item.source[0] for item in label_corpus.in_turn(items)]
    assert len(order) == 50
    for n in (10, 20, 30, 40):
        assert abs(order[:n].count("b") - n / 5) <= 1


def activation(times_s, duration_s, downbeats=()):
    """What BeatNet would say: a peak at each beat, in the second column at downbeats."""
    frames = np.zeros((round(duration_s * 50), 2))
    column = np.isin(times_s, downbeats).astype(int)
    for frame in range(len(frames)):  # a triangle, so that the place between two frames is kept
        nearest = np.abs(times_s - frame / 50).argmin()
        frames[frame, column[nearest]] = 0.95 * max(0, 1 - abs(times_s[nearest] * 50 - frame) / 2)
    return frames


def versions(beats_s, duration_s, downbeats=()):
    """The activations of a track and of its changed versions."""
    rates = {speed: label_corpus.rate_of(shift) for speed, shift in label_corpus.SPEEDS.items()}
    return {
        speed: activation(np.array(beats_s) / rate, duration_s / rate, np.array(downbeats) / rate)
        for speed, rate in rates.items()
    }


def test_beats_that_move_with_the_speed_agree():
    beats = 0.4 + 0.5 * np.arange(60)
    arrays, told = agree_labels.compare_beats(versions(beats, 31, beats[::4]))
    np.testing.assert_allclose(arrays["beat_s"], beats, atol=0.021)
    assert (arrays["beat_agree"] == 2).all()
    np.testing.assert_array_equal(arrays["is_downbeat"], np.arange(60) % 4 == 0)
    assert told["tempo_bpm"] == pytest.approx(120, rel=0.01)
    assert (told["tempo_agree"], told["beats_per_bar"]) == (2, 4.0)
    assert told["beat_f"] == 1.0


def test_a_version_with_another_pulse_is_told():
    beats = 0.4 + 0.5 * np.arange(60)
    answers = versions(beats, 31)
    answers["faster"] = activation(np.arange(90) * 0.3, 31 / label_corpus.rate_of(2))
    arrays, told = agree_labels.compare_beats(answers)
    assert told["tempo_agree"] == 1
    assert 0.4 < told["beat_f"] < 0.9
    assert (arrays["beat_agree"] >= 1).all() and (arrays["beat_agree"] == 1).sum() > 20


def test_chords_and_keys_that_move_with_the_pitch_agree():
    task = make_task("key")
    song = ["C:maj", "F:7", "G:maj", "A:min7", "N", "D:sus4"]
    expected = [0, 5, 7, 21, 24, 25]
    answers = {}
    for speed, shift in label_corpus.SPEEDS.items():
        rate = label_corpus.rate_of(shift)
        n_frames = round(600 / rate)
        chord, pitch = np.zeros((n_frames, 170), np.float16), np.zeros((n_frames, 12), np.float16)
        for frame in range(n_frames):
            root, colon, quality = song[min(int(frame * rate / 100), 5)].partition(":")
            if colon:
                moved = (crema.PITCHES.index(root) + shift) % 12
                root = crema.PITCHES[moved]
                pitch[frame, [moved, (moved + 7) % 12, (moved + (3 if "min" in quality else 4)) % 12]] = 1
            chord[frame, crema.CHORDS.index(root + colon + quality)] = 0.8
        answers[speed] = {"chord": chord, "pitch": pitch}
    arrays, told = agree_labels.compare_chords(answers)
    np.testing.assert_array_equal(arrays["chord"][50::100], expected)
    assert (arrays["chord_agree"] == 2).mean() > 0.97
    assert task.parse(told["key"]) == "C major" and told["key_agree"] == 2
    assert told["no_chord"] == pytest.approx(1 / 6)
    answers["slower"] = answers["original"]
    arrays, told = agree_labels.compare_chords(answers)
    assert told["key_agree"] == 1
    assert (arrays["chord_agree"] == 2).mean() < 0.5


def test_next_to_nothing_is_kept_as_nothing():
    kept = label_corpus.compact(np.array([0.0004, 0.3, -0.5], np.float32))
    assert kept.dtype == np.float16
    np.testing.assert_allclose(kept, [0, 0.3, -0.5], atol=1e-3)


def test_only_what_all_versions_say_is_taught():
    beats = 0.4 + 0.5 * np.arange(60)
    arrays, told = agree_labels.compare_beats(versions(beats, 31, beats[::4]))
    arrays["beat_agree"][20:24] = 1  # from 10.4 to 11.9 s a version says otherwise
    arrays["downbeat_agree"][:30] = 1
    arrays["beat_s"][50:] += 0.1 * np.arange(10) ** 2  # slows down too fast to be true
    chords = {"chord": np.array([0] * 30 + [21] * 30 + [24] * 20 + [25] * 20), "chord_agree": np.full(100, 2)}
    chords["chord_agree"][:10] = 1
    row = {"source": "a/b.ogg", "split": "train", "group": "a", "duration_s": 31.0, "key": "D minor", "key_agree": 2}
    entry = agree_labels.agreed({**row, **told}, {**arrays, **chords})
    assert entry["beat"]["known"] == [[0.4, 9.9], [12.4, 25.4]]
    assert entry["beat"]["bars_known"] == [[15.4, 25.4]]
    assert (entry["tempo"], entry["key"]) == (pytest.approx(120, rel=0.01), "D minor")
    frame_s = 2048 / 22050
    assert [(round(start / frame_s), round(end / frame_s), label) for start, end, label in entry["chord"]] == [
        (10, 30, "C:maj"), (30, 60, "A:min"), (60, 80, "N"),
    ]  # fmt: skip
    unsure = agree_labels.agreed({**row, **told, "key_agree": 1, "tempo_agree": 1}, {**arrays, **chords})
    assert not {"key", "tempo"} & set(unsure)
