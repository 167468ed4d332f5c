"""All cores of one machine: processes that each answer a few recordings at a time, and outlive one another.

A process that dies (killed, out of memory, a decoder that crashes) is replaced; what it was at is asked again, one
recording at a time, and the recording that kills a process once more is given up with an error of its own.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from itertools import count
from multiprocessing import get_context

from sordino.bulk.asked import Asked
from sordino.bulk.sounds import Named
from sordino.memory import keep_freed_memory
from sordino.results import FileAnswer

CHUNK = 8  # recordings that a process takes at a time
WORTH = 4  # so many chunks for each process, or the time to start one is not won back

_log = logging.getLogger("sordino")


def usual_workers(n_sounds: int, device: str | None) -> int:
    """As many processes as there are cores and work enough for; one where a GPU computes."""
    from sordino.compute import Compute

    if Compute.choose(device or "auto").device.type != "cpu":
        return 1
    return max(1, min(os.cpu_count() or 1, n_sounds // (CHUNK * WORTH)))


def answers(asked: Asked, sounds: Sequence[Named], workers: int) -> Iterator[FileAnswer]:
    """Answer recordings in their order.

    Args:
        asked: what answers.
        sounds: the recordings.
        workers: processes; 1 for this one alone.
    """
    if workers == 1:
        yield from asked.answers(sounds)
        return
    n_threads = max(1, (os.cpu_count() or 1) // workers)
    theirs = replace(asked, n_threads=n_threads)
    chunks = deque([sounds[first : first + CHUNK] for first in range(0, len(sounds), CHUNK)])
    crew = _Crew(theirs, workers)
    under_way: deque[tuple[Sequence[Named], Future[list[FileAnswer]]]] = deque()
    try:
        while chunks or under_way:
            while chunks and len(under_way) < 2 * workers:
                under_way.append((chunks[0], crew.submit(chunks.popleft())))
            chunk, future = under_way.popleft()
            try:
                yield from future.result()
            except BrokenProcessPool:
                again = [waiting for waiting, _ in under_way]
                crew.restart()
                yield from crew.one_by_one(chunk)
                under_way = deque((waiting, crew.submit(waiting)) for waiting in again)
    finally:
        crew.stop()


class _Crew:
    """The processes."""

    def __init__(self, asked: Asked, workers: int):
        self._asked, self._workers = asked, workers
        self._pool = self._started()

    def _started(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._workers, get_context("spawn"), _begin, (self._asked, _log.level))

    def submit(self, chunk: Sequence[Named]) -> Future[list[FileAnswer]]:
        try:
            return self._pool.submit(_answer, list(chunk))
        except BrokenProcessPool as error:  # it broke while nobody looked; told where the result is asked for
            broken: Future[list[FileAnswer]] = Future()
            broken.set_exception(error)
            return broken

    def restart(self) -> None:
        self.stop()
        self._pool = self._started()

    def stop(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def one_by_one(self, chunk: Sequence[Named]) -> Iterator[FileAnswer]:
        """Answers of a chunk in which a process died."""
        for sound in chunk:
            for attempt in count():
                try:
                    yield from self.submit([sound]).result()
                    break
                except BrokenProcessPool:
                    self.restart()
                    if attempt:
                        told = f"{sound.path}: the process that read it died twice"
                        yield FileAnswer(sound.path, error=told, name=sound.name)
                        break


_asked: Asked  # in a worker


def _begin(asked: Asked, log_level: int) -> None:
    global _asked
    _asked = asked
    _log.setLevel(log_level)
    keep_freed_memory()


def _answer(chunk: list[Named]) -> list[FileAnswer]:
    """Some recordings, in a worker."""
    return list(_asked.answers(chunk))
