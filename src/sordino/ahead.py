"""Work done ahead: the items of several streams, made in threads before their turn comes.

What comes out does not depend on which thread was faster: the items of the first stream, then those of the second. Only
so many items wait at a time, however long a stream is, so a reader can feed a slower consumer in bounded memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from queue import SimpleQueue
from threading import Event, Semaphore
from typing import Any, Generic, TypeVar

T = TypeVar("T")
END = object()


class _Stream(Generic[T]):
    """One stream, filled by a thread and emptied by the consumer.

    Args:
        items: what to work through.
        n_waiting: so many items may wait; the thread holds one more.
    """

    def __init__(self, items: Generator[T, None, None], n_waiting: int):
        self._items = items
        self._made: SimpleQueue[Any] = SimpleQueue()
        self._room, self._stopped = Semaphore(n_waiting), Event()
        self._error: BaseException | None = None

    def fill(self) -> None:
        """Make the items; what is raised meanwhile is the consumer's to see."""
        try:
            with closing(self._items):
                for item in self._items:
                    self._room.acquire()
                    if self._stopped.is_set():
                        return
                    self._made.put(item)
        except BaseException as error:
            self._error = error
        finally:
            self._made.put(END)

    def __iter__(self) -> Iterator[T]:
        while (item := self._made.get()) is not END:
            self._room.release()
            yield item
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Nobody takes more: let the thread end at its next item."""
        self._stopped.set()
        self._room.release()


def ahead(streams: Iterable[Generator[T, None, None]], n_threads: int, n_waiting: int) -> Generator[T, None, None]:
    """The items of streams, one stream after the other.

    Args:
        streams: generators; one is taken when a thread is free for it, by the caller's own thread.
        n_threads: streams that are worked on at once.
        n_waiting: items of one stream that may wait.

    Yields:
        The items in order. What a stream raises is raised in its place. Closed early, all threads end.
    """
    remaining = iter(streams)
    open_: deque[_Stream[T]] = deque()
    with ThreadPoolExecutor(n_threads, thread_name_prefix="ahead") as pool:
        try:
            while True:
                while len(open_) < n_threads and (items := next(remaining, None)) is not None:
                    open_.append(_Stream(items, n_waiting))
                    pool.submit(open_[-1].fill)
                if not open_:
                    return
                yield from open_[0]
                open_.popleft()
        finally:
            for stream in open_:
                stream.stop()
