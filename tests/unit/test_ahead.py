"""Work done ahead: order, bounds, errors, and an early end."""

import threading

import pytest

from sordino.ahead import ahead


def numbers(first, n, made=None):
    for number in range(first, first + n):
        if made is not None:
            made.append(number)
        yield number


def test_items_come_in_order_whatever_thread_is_faster():
    gate = threading.Event()

    def late():
        gate.wait(10)
        yield from numbers(0, 3)

    def early():
        yield from numbers(3, 3)
        gate.set()  # the first stream begins when the second has ended

    assert list(ahead([late(), early(), *(numbers(6 + n, 1) for n in range(20))], 2, 3)) == list(range(26))


def test_only_so_many_wait():
    made: list[int] = []
    opened: list[int] = []

    def streams():
        for number in range(10):
            opened.append(number)
            yield numbers(1000 * number, 1000, made)

    found = ahead(streams(), n_threads=3, n_waiting=4)
    for expected in range(50):
        assert next(found) == expected
        assert len(opened) <= 3
        taken = expected + 1
        assert len(made) <= taken + 3 * (4 + 1)  # four wait in each stream, one is in its thread's hand
    found.close()


def test_a_stream_runs_ahead():
    made = threading.Event()

    def second():
        made.set()
        yield 1

    found = ahead([numbers(0, 2), second()], 2, 1)
    assert next(found) == 0
    assert made.wait(10)  # though the first one is not through
    assert list(found) == [1, 1]


def test_what_is_raised_is_raised_in_its_place():
    def broken():
        yield 2
        raise RuntimeError("the file is gone")

    found = ahead([numbers(0, 2), broken(), numbers(3, 10)], 3, 1)
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(RuntimeError, match="gone"):
        next(found)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_closed_early_all_threads_end_and_streams_are_closed():
    closed = []

    def endless():
        try:
            while True:
                yield 0
        finally:
            closed.append(True)

    found = ahead((endless() for _ in range(100)), 3, 2)
    next(found)
    found.close()
    assert closed == [True] * 3
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
