"""Clocks, swing and players who are only human."""

import numpy as np
import pytest

from sordino.render.band.timing import LOOSENESS_S, STEADINESS, Swing, humanise, make_clock, swing_ratio


def clock_of(steadiness, seed=0, bpm=120.0, n=64, swing=None):
    return make_clock(np.arange(n) * 1.0, bpm, steadiness, (0, 4), swing, np.random.default_rng(seed))


def test_a_machine_is_exact():
    clock = clock_of("machine")
    assert clock.seconds(np.arange(64.0)) == pytest.approx(np.arange(64) * 0.5)
    assert clock.seconds(-2.0) == pytest.approx(-1.0)  # goes on outside


@pytest.mark.parametrize("steadiness", STEADINESS)
def test_tempi_stay_near_what_was_asked_for_and_never_go_back(steadiness):
    means = []
    for seed in range(30):
        clock = clock_of(steadiness, seed)
        beats_s = clock.seconds(np.arange(64.0))
        assert (np.diff(beats_s) > 0.3).all()
        means.append(np.median(np.diff(beats_s)))
    assert np.median(means) == pytest.approx(0.5, rel=0.02)
    assert np.ptp(means) < (1e-9 if steadiness == "machine" else 0.15)


def test_rubato_slows_down_before_a_downbeat():
    slow = [np.diff(clock_of("rubato", seed).seconds(np.arange(64.0))) for seed in range(60)]
    late = [lengths.argmax() for lengths in slow if lengths.max() > 0.7]
    assert len(late) > 5 and sum(index % 4 == 3 for index in late) > 0.8 * len(late)


@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("unit_q", [1.0, 0.5, 1.5])
def test_swing_ratio_is_measured_from_onsets(ratio, unit_q):
    clock = make_clock(
        np.arange(32) * max(unit_q, 1.0), 100.0, "machine", (0, 4), Swing(unit_q, ratio), np.random.default_rng(0)
    )
    written_q = np.arange(0, 16) * unit_q / 2
    gaps_s = np.diff(clock.seconds(written_q))
    assert gaps_s[::2][:7] / gaps_s[1::2][:7] == pytest.approx(np.full(7, ratio))
    # Beats themselves do not move.
    assert clock.seconds(written_q[::2]) == pytest.approx(np.arange(8) * 0.6 * unit_q / max(unit_q, 1.0))


def test_fast_swing_is_straighter():
    rng = np.random.default_rng(0)
    slow, fast = ([swing_ratio(bpm, 1.6, 2.4, rng) for _ in range(200)] for bpm in (100, 230))
    assert min(slow) >= 1.6 and max(slow) <= 2.4 and max(fast) < min(slow)
    assert min(fast) > 1


@pytest.mark.parametrize("steadiness", LOOSENESS_S)
def test_players_deviate_by_little(steadiness):
    due_s = np.arange(0, 400) * 0.25
    played_s = humanise(due_s, steadiness, np.random.default_rng(0))
    spread_s, _ = LOOSENESS_S[steadiness]
    assert np.std(played_s - due_s) == pytest.approx(spread_s, rel=0.15)
    assert np.abs(played_s - due_s).max() < 0.056
