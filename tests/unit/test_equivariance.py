"""Answers that move with the music: the moves themselves, and what a network learns from them alone."""

import numpy as np
import pytest
import torch

from sordino.backbones._mini_frontend import N_FEATURES, N_LAGS, VIEWS, fold_chroma, lag_bpms
from sordino.backbones._pulse import lag_weights, windowed_autocorrelation
from sordino.pretrain.equivariance import equivariance_loss, fifths_loss, move_keys, move_tempi, spread
from sordino.pretrain.stretching import TEMPO_STEP, rate_of, source_frames, stretch, transpose


def pulse_train(bpm, n_frames=600, phase=0.3):
    """Onsets at 50 Hz, one narrow bump per beat."""
    time_s = np.arange(n_frames) / 50
    away_s = (time_s + phase + 30 / bpm) % (60 / bpm) - 30 / bpm
    return torch.from_numpy(np.exp(-0.5 * (away_s / 0.02) ** 2)).float()


def tempogram(onsets):
    """[row tempo] of rows of onsets."""
    return windowed_autocorrelation(onsets[:, None], torch.hann_window(400))[:, 0].mean(1) @ lag_weights()


def test_a_tempo_moves_by_classes():
    share = torch.eye(N_LAGS)[[40, 40, 2, 94]]
    moved = move_tempi(share, torch.tensor([3, -3, -3, 3]))
    assert moved.argmax(1)[:2].tolist() == [43, 37]
    assert moved.sum(1).tolist() == [1, 1, 0, 0]  # what leaves the range is lost
    assert lag_bpms()[43] / lag_bpms()[40] == pytest.approx(rate_of(3), rel=1e-4)


def test_a_key_moves_within_its_mode():
    moved = move_keys(torch.eye(24)[[0, 11, 12, 23]], torch.tensor([1, 1, -1, 14]))
    assert moved.argmax(1).tolist() == [1, 0, 23, 13]


def test_the_loss_is_least_for_answers_that_move_along():
    steps = torch.tensor([4, -2])
    along = 20 * torch.eye(N_LAGS)[torch.tensor([50 + 4, 50 - 2])]
    constant = 20 * torch.eye(N_LAGS)[torch.tensor([50, 50])]
    undecided = torch.zeros(2, N_LAGS)
    losses = [float(equivariance_loss(x, steps, move_tempi)) for x in (along, undecided, constant)]
    assert losses[0] < 0.01 < losses[1] < losses[2]


def test_on_the_circle_of_fifths_only_answers_that_move_along_cost_nothing():
    moves = torch.tensor([0, 5, -3, 3])

    def cost(*keys):
        return float(fifths_loss(50 * torch.eye(24)[list(keys)], moves[: len(keys)]))

    assert cost(2, 7, 20, 14) == pytest.approx(0, abs=1e-5)  # D and G major, G# and D minor
    assert cost(2, 12 + 4) == pytest.approx(0, abs=1e-5)  # G major and E minor have one signature
    assert cost(2, 2) == pytest.approx(1 - np.cos(np.pi / 6), abs=1e-5)  # one fifth off
    assert cost(2, 7, 2, 2) == pytest.approx(1, abs=1e-5)  # the second pair a tritone off: 2
    assert float(fifths_loss(torch.zeros(4, 24), moves)) == pytest.approx(0.5, abs=1e-5)


def test_the_circle_is_computed_in_full_precision_under_autocast():
    logits, moves = torch.randn(4, 24, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 3, -2, 5])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = fifths_loss(logits, moves)
    assert torch.equal(under, fifths_loss(logits, moves))


def test_spread_counts_different_answers():
    answers = 30 * torch.eye(24)[torch.tensor([3, 3, 8, 8])]
    moves = torch.tensor([0, 5, 0, 2])
    moved = torch.stack([answers[row].roll(int(by)) for row, by in enumerate(moves)])
    assert spread(moved, moves, move_keys) == pytest.approx(2, abs=0.01)
    assert spread(answers, moves * 0, move_keys) == pytest.approx(2, abs=0.01)
    # A network that answers by how much a crop was moved knows one thing only.
    by_the_move = torch.stack([30 * torch.eye(24)[0].roll(int(by)) for by in moves])
    assert spread(by_the_move, moves, move_keys) == pytest.approx(1, abs=0.01)


def learn(features, moves, move, n_classes, steps=300):
    """A linear layer taught by equivariance alone; features(step) gives [row feature] and moves of pairs."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(features(0)[0].shape[1], n_classes)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.02)
    for step in range(steps):
        x, moves = features(step)
        optimiser.zero_grad()
        equivariance_loss(layer(x), moves, move).backward()
        optimiser.step()
    return layer


def test_tempo_is_learned_from_stretched_clicks_without_labels():
    bpms = np.random.default_rng(0).uniform(60, 180, (300, 8))

    def draw(step):
        rng = np.random.default_rng(step)
        steps = rng.integers(-12, 13, 16)
        onsets = [
            pulse_train(bpms[step, row // 2] * rate_of(int(k)), phase=rng.random()) for row, k in enumerate(steps)
        ]
        return tempogram(torch.stack(onsets)), torch.from_numpy(steps)

    layer = learn(draw, None, move_tempi, N_LAGS)
    known = torch.tensor([70.0, 85.0, 100.0, 120.0, 140.0, 165.0])
    answers = layer(tempogram(torch.stack([pulse_train(float(b)) for b in known]))).argmax(1)
    factor = (lag_bpms()[answers] / known).log()
    # One factor is open (labels would fix it); beside it every answer is right within a class and a half.
    assert (factor - factor.median()).abs().max() < 1.5 * np.log(TEMPO_STEP)


def test_key_is_learned_from_transposed_chords_without_labels():
    profile = np.array([1.0, 0.05, 0.5, 0.05, 0.7, 0.5, 0.05, 0.9, 0.05, 0.5, 0.05, 0.3])

    def chroma(tonic, rng):
        return np.roll(profile + 0.15 * rng.random(12), tonic)

    def draw(step):
        rng = np.random.default_rng(step)
        tonics, moves = rng.integers(0, 12, 8).repeat(2), rng.integers(-5, 7, 16)
        rows = [chroma(t + m, rng) for t, m in zip(tonics, moves, strict=True)]
        return torch.from_numpy(np.stack(rows)).float(), torch.from_numpy(moves)

    layer = learn(draw, None, move_keys, 24)
    x, _ = torch.from_numpy(np.stack([chroma(t, np.random.default_rng(99)) for t in range(12)])).float(), None
    answers = layer(x).argmax(1)
    assert len({int(a) // 12 for a in answers}) == 1  # one and the same mode for one profile
    assert len({(int(a) - t) % 12 for t, a in enumerate(answers)}) == 1


def test_stretched_features_have_the_stretched_tempo():
    features = np.zeros((source_frames(300, rate_of(12)) + 10, N_FEATURES), dtype=np.float32)
    onsets = pulse_train(100.0, 2 * len(features)).numpy().reshape(-1, 2)
    mel = features[:, VIEWS["mel"]].reshape(-1, 2, 128)
    mel[..., 7] = onsets
    features[:, VIEWS["mel"]] = mel.reshape(len(features), -1)
    for steps in (-12, 0, 12):
        fast = stretch(features, steps, 300, offset=0.5)[:, VIEWS["mel"]].reshape(-1, 128)
        found = tempogram(torch.from_numpy(fast[None, :, 7]))[0]
        wanted = 100.0 * rate_of(steps)
        near = (lag_bpms() > 0.7 * wanted) & (lag_bpms() < 1.4 * wanted)
        assert float(lag_bpms()[found.masked_fill(~near, -1).argmax()]) == pytest.approx(wanted, rel=0.03)


def test_an_unmoved_crop_is_the_stored_one():
    features = np.random.default_rng(0).random((40, N_FEATURES)).astype(np.float32)
    assert np.array_equal(stretch(features, 0, 30), features[:30])


@pytest.mark.parametrize("semitones", [-5, 0, 6])
def test_a_transposed_pitch_view_has_a_rotated_chroma_and_no_empty_edge(semitones):
    octave = np.random.default_rng(1).random(36).astype(np.float32)
    pitch = np.tile(octave, 6)[None]
    moved = transpose(pitch, semitones)
    before, after = (fold_chroma(torch.from_numpy(x))[0].numpy() for x in (pitch, moved))
    assert np.allclose(np.roll(before, semitones), after, rtol=0.03)
    assert (moved > 0).all()
