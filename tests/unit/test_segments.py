"""Cutting and joining: nothing is lost, nothing counts twice, blocks do not matter."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sordino.segments import CLIP_TAIL, FRAME_TAIL, TRAIN_TAIL, Grid, Joiner, stream

TAILS = st.sampled_from([0.0, 0.1, 0.5])


@st.composite
def grids(draw):
    frame, n_frames = draw(st.integers(1, 4)), draw(st.integers(1, 15))
    return Grid(n_frames * frame, draw(st.integers(1, n_frames)) * frame, frame, draw(TAILS))


@given(st.integers(1, 500), grids())
def test_every_segment_is_full_and_nothing_but_a_short_tail_is_left_out(n_samples, grid):
    cut = grid.cut(n_samples)
    covered = np.zeros(n_samples, int)
    for piece in cut:
        fresh = covered[piece.start_samples : piece.start_samples + piece.n_samples] == 0
        assert piece.n_new == fresh.sum()
        covered[piece.start_samples : piece.start_samples + piece.n_samples] += 1
        assert piece.start_samples % grid.frame_samples == 0
        assert piece.n_samples > grid.length_samples - grid.frame_samples or n_samples < grid.length_samples
    left_out = (covered == 0).sum()
    assert left_out == 0 or left_out < grid.least_tail * grid.length_samples
    assert [piece.last for piece in cut] == [False] * (len(cut) - 1) + [True]


@given(st.integers(1, 300), grids(), st.integers(1, 70))
def test_streaming_cuts_as_the_whole(n_samples, grid, block):
    wave = np.arange(n_samples, dtype=np.float32)
    blocks = [wave[i : i + block] for i in range(0, n_samples, block)]
    streamed = list(stream(blocks, grid))
    assert [piece for piece, _ in streamed] == grid.cut(n_samples)
    for piece, part in streamed:
        np.testing.assert_array_equal(part, wave[piece.start_samples :][: piece.n_samples])


@pytest.mark.parametrize(("tail", "n_rows"), [(TRAIN_TAIL, 1), (CLIP_TAIL, 1), (FRAME_TAIL, 2)])
def test_a_clip_that_is_a_little_too_long_gives_no_row_of_padding(tail, n_rows):
    grid = Grid.of(30.0, 24_000, 960, least_tail=tail)
    cut = grid.cut(round(30.013 * 24_000))
    assert len(cut) == n_rows
    assert all(piece.n_samples > 29.9 * 24_000 for piece in cut)


def test_a_long_tail_is_moved_back_until_it_is_full():
    grid = Grid.of(10.0, 24_000, 960, least_tail=TRAIN_TAIL)
    assert [(p.start_samples / 24_000, p.n_new / 24_000) for p in grid.cut(16 * 24_000)] == [(0, 10), (6, 6)]
    assert len(grid.cut(14 * 24_000)) == 1


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


def test_joining_takes_time_and_memory_linear_in_the_segments():
    """Twice as many segments, about twice as many numbers copied: the array doubles instead of growing a little."""
    joiner, sizes = Joiner("frame", 2), set()
    for number in range(400):
        joiner.add(np.ones((10, 3)), 8 * number, 10)
        sizes.add(len(joiner._sum))
    assert len(sizes) <= 10
    assert joiner.joined().shape == (399 * 8 + 10, 3)
    np.testing.assert_allclose(joiner.joined(), 1.0)
