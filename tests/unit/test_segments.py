"""Cutting and joining: nothing is lost, nothing counts twice, blocks do not matter."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sordino.segments import Grid, Joiner, stream


@given(st.integers(1, 500), st.integers(1, 60), st.integers(1, 60))
def test_segments_cover_every_sample(n_samples, length, hop):
    grid = Grid(max(length, hop), min(length, hop))
    cut = grid.cut(n_samples)
    covered = np.zeros(n_samples, int)
    for start, n in cut:
        assert 0 < n <= grid.length_samples
        covered[start : start + n] += 1
    assert covered.min() >= 1
    assert sum(n for _, n in cut[:-1]) == grid.length_samples * (len(cut) - 1)


@given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 40), st.integers(1, 70))
def test_streaming_cuts_as_the_whole(n_samples, length, hop, block):
    grid = Grid(max(length, hop), min(length, hop))
    wave = np.arange(n_samples, dtype=np.float32)
    blocks = [wave[i : i + block] for i in range(0, n_samples, block)]
    streamed = [(start, len(part), float(part[0])) for start, part in stream(blocks, grid)]
    assert streamed == [(start, n, float(start)) for start, n in grid.cut(n_samples)]


def test_clips_are_weighted_by_their_true_length():
    joiner = Joiner("clip")
    joiner.add(np.array([1.0, 0.0]), 0, 30)
    joiner.add(np.array([0.0, 1.0]), 30, 10)
    assert joiner.joined() == pytest.approx([0.75, 0.25])


def test_frames_that_agree_are_joined_without_a_trace():
    whole = np.random.default_rng(0).random((100, 3))
    joiner = Joiner("frame", overlap_frames=8)
    for start in range(0, 100, 32):
        part = whole[start : start + 40]
        joiner.add(part, start, len(part))
    np.testing.assert_allclose(joiner.joined(), whole, atol=1e-12)


def test_in_an_overlap_the_nearer_segment_counts_more():
    joiner = Joiner("frame", overlap_frames=3)
    joiner.add(np.zeros((10, 1)), 0, 10)
    joiner.add(np.ones((10, 1)), 7, 10)
    np.testing.assert_allclose(joiner.joined()[7:10, 0], [0.25, 0.5, 0.75])


def test_nothing_to_join_is_an_error():
    with pytest.raises(ValueError, match="empty"):
        Joiner("clip").joined()
