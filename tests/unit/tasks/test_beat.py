from itertools import combinations

import numpy as np
import pytest
import torch

from sordino.tasks import make_task
from sordino.tasks._beat_tracking import CHANGE_COST, _changed, find_bars, pick_peaks, to_logit, track_beats


def even(bpm, beats_per_bar, duration_s, first_s=0.31):
    beats = np.arange(first_s, duration_s - 0.2, 60 / bpm)
    return {"beats": beats.tolist(), "downbeats": beats[::beats_per_bar].tolist()}


@pytest.mark.parametrize("decoder", ["dp", "peaks"])
@pytest.mark.parametrize("rate_hz", [25.0, 50.0, 75.0])
@pytest.mark.parametrize("bpm, beats_per_bar", [(40, 4), (61, 3), (97.3, 4), (133, 3), (180, 4), (240, 4)])
def test_perfect_activations_give_the_beats_finer_than_a_frame(decoder, rate_hz, bpm, beats_per_bar):
    task = make_task("beat", decoder=decoder)
    label = task.parse(even(bpm, beats_per_bar, 25))
    answer = task.decode(task.encode(label, int(25 * rate_hz), rate_hz).numpy(), rate_hz)
    np.testing.assert_allclose(answer.value["beats"], label["beats"], atol=1e-6)
    np.testing.assert_allclose(answer.value["downbeats"], label["downbeats"], atol=1e-6)
    assert answer.details["tempo_bpm"] == pytest.approx(bpm, rel=1e-4)


def noisy(task, label, rate_hz, seed, missing=0.0, level=0.35):
    """An activation with weak false peaks, and some of the beats all but silent."""
    rng = np.random.default_rng(seed)
    target = task.encode(label, int(30 * rate_hz), rate_hz).clamp_min(0).numpy()
    for time_s in label["beats"]:
        if rng.random() < missing:
            frame = round(time_s * rate_hz)
            target[max(frame - 2, 0) : frame + 3] *= 0.2
    return np.clip(0.9 * target + level * rng.random(target.shape) ** 3, 0.01, 0.99)


def test_the_tracker_bridges_silent_beats_where_peaks_do_not():
    label = make_task("beat").parse(even(110, 4, 30))
    scores = {}
    for decoder in ("dp", "peaks"):
        task = make_task("beat", decoder=decoder)
        found = [task.score(label, task.decode(noisy(task, label, 25.0, seed, 0.2), 25.0).value) for seed in range(5)]
        scores[decoder] = {name: np.mean([row[name] for row in found]) for name in found[0]}
    assert scores["dp"]["cmlt"] > 0.97 and scores["dp"]["downbeat_f_measure"] > 0.9
    assert scores["peaks"]["cmlt"] < 0.8


def test_the_tracker_follows_a_ritardando():
    task = make_task("beat")
    intervals = np.linspace(0.45, 0.65, 45)
    label = task.parse(np.cumsum(intervals))
    answer = task.decode(noisy(task, label, 25.0, 0, 0.1), 25.0)
    assert task.score(label, answer.value)["cmlt_full"] > 0.95


def test_nothing_is_heard_where_nothing_is():
    task = make_task("beat")
    for frames in (0, 1, 2, 500):
        value = task.decode(np.full((frames, 2), 0.02), 25.0).value
        assert value == {"beats": [], "downbeats": None}
    half = np.full((1000, 2), 0.02)
    half[:500] = noisy(task, task.parse(even(120, 4, 20)), 25.0, 0)[:500]
    assert max(task.decode(half, 25.0).value["beats"]) < 20.5


@pytest.mark.parametrize("decoder", ["dp", "peaks"])
def test_frames_that_are_far_apart_never_give_one_beat_twice(decoder):
    for seed in range(5):
        probabilities = np.random.default_rng(seed).random((20, 2))
        beats = make_task("beat", decoder=decoder).decode(probabilities, 2.5).value["beats"]
        assert (np.diff(beats) > 0).all()


def test_the_running_maxima_equal_trying_every_pair():
    rng = np.random.default_rng(0)
    score, cost = rng.normal(size=(7, 30)) * 5, 40 * np.log(np.arange(20, 50))
    pairs = score[:, None, :] - np.abs(cost[:, None] - cost[None, :])
    value, origin = _changed(score, cost)
    np.testing.assert_allclose(value, pairs.max(2))
    np.testing.assert_allclose(np.take_along_axis(pairs, origin[..., None], 2)[..., 0], value)


def test_the_tracker_finds_the_best_path_there_is():
    """Against trying every choice of beats on a short activation."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        activation = rng.uniform(0.05, 0.95, 14)
        logit = to_logit(activation)
        best, chosen = 0.0, ()
        for count in range(1, 6):
            for frames in combinations(range(14), count):
                gaps = np.diff(frames)
                if len(gaps) and (gaps.min() < 3 or gaps.max() > 6):
                    continue
                value = logit[list(frames)].sum() - CHANGE_COST * np.abs(np.diff(np.log(gaps))).sum()
                if value > best + 1e-12:
                    best, chosen = value, frames
        found = track_beats(activation, 100.0, low_bpm=1000.0, high_bpm=2000.0)
        np.testing.assert_allclose(found, np.array(chosen) / 100, atol=0.0101)


def test_bars_of_three_and_four_and_a_change_between():
    down = np.tile([0.9, 0.1, 0.1], 6), np.tile([0.9, 0.1, 0.1, 0.1], 6)
    for pattern in (*down, np.concatenate(down)):
        np.testing.assert_array_equal(find_bars(pattern), pattern > 0.5)
    weak = down[1].copy()
    weak[8] = 0.3
    np.testing.assert_array_equal(find_bars(weak), down[1] > 0.5)


def test_peaks_keep_their_distance():
    activation = np.zeros(50)
    activation[[10, 11, 30, 31, 32]] = 0.9
    activation[20] = 0.4
    times = pick_peaks(activation, 100.0, threshold=0.5, apart_s=0.07)
    assert len(times) == 2 and times[0] == pytest.approx(0.105, abs=0.006) and times[1] == pytest.approx(0.31, abs=0.02)


def test_a_crop_is_encoded_as_part_of_the_whole():
    task = make_task("beat")
    label = task.parse(even(97.3, 4, 20))
    whole, crop = task.encode(label, 500, 25.0), task.encode(label, 100, 25.0, 4.0)
    torch.testing.assert_close(whole[100:200], crop)


def test_the_loss_forgives_a_frame_and_no_more():
    task = make_task("beat")
    target = task.encode({"beats": [1.0, 2.0], "downbeats": [1.0]}, 75, 25.0)[None]

    def loss(shift):
        logits = torch.full((1, 75, 2), -8.0)
        logits[0, [25 + shift, 50 + shift], 0] = 8.0
        logits[0, 25 + shift, 1] = 8.0
        return task.loss(logits, target).item()

    assert loss(0) < 0.001 and loss(1) < 0.001 and loss(-1) < 0.001
    assert loss(3) > 1.0


def test_unknown_bars_do_not_count():
    task = make_task("beat")
    target = task.encode({"beats": [1.0, 2.0], "downbeats": None}, 75, 25.0)[None]
    logits = torch.randn(1, 75, 2, requires_grad=True)
    task.loss(logits, target).backward()
    assert (logits.grad[..., 1] == 0).all() and logits.grad[..., 0].abs().sum() > 0


def test_labels_in_rows_and_their_errors():
    task = make_task("beat")
    assert task.parse([[0.5, 1], [1.0, 2], [1.5, 1]]) == {"beats": [0.5, 1.0, 1.5], "downbeats": [0.5, 1.5]}
    assert task.parse({"beats": [1.0, 0.5], "downbeats": [], "meter": None}) == {
        "beats": [0.5, 1.0],
        "downbeats": None,
    }
    assert task.parse({"beats": [0.5, 1.0], "downbeats": [0.51]})["downbeats"] == [0.5]
    for wrong in ([-1.0, 2.0], ["a"], {"beats": [1.0], "downbeats": [3.0]}, [float("nan")]):
        with pytest.raises(ValueError, match="beat"):
            task.parse(wrong)
    with pytest.raises(ValueError, match="it wants dp or peaks"):
        make_task("beat", decoder="dbn")


def test_scores_after_five_seconds_and_in_full():
    task = make_task("beat")
    label = task.parse(even(120, 4, 30))
    late = {"beats": [t for t in label["beats"] if t > 6], "downbeats": None}
    scores = task.score(label, late)
    assert scores["f_measure"] > scores["f_measure_full"] > 0.8
    assert scores["downbeat_f_measure"] == 0.0
    assert np.isnan(task.score(late, label)["downbeat_f_measure"])
    assert np.isnan(task.score({"beats": [], "downbeats": None}, label)["f_measure"])
