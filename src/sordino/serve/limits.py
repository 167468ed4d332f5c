"""What a server grants to whoever asks it: how much, how long, how many at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Annotated, Any, TypeVar

from sordino.rules import Count, Positive, Range
from sordino.settings import Settings

T = TypeVar("T")
Check = Callable[[], None]  # raises `Late` when time is up


class Busy(RuntimeError):
    """All places are taken."""


class Late(TimeoutError):
    """A request took longer than it may."""


class TooMuch(ValueError):
    """A sound is larger or longer, or there are more adapters, than the server grants."""


@dataclass(frozen=True)
class Limits(Settings):
    """Limits of a server.

    Attributes:
        upload_mb: largest body of a request, in megabytes.
        sound_s: longest sound, in seconds.
        parallel: requests that are computed at once.
        queue: requests that wait beside those; others are refused with 503.
        timeout_s: from the arrival of a request to its answer, in seconds.
        adapters: adapters that may be resident.
    """

    upload_mb: Positive = 64.0
    sound_s: Positive = 1200.0
    parallel: Count = 2
    queue: Annotated[int, Range(0)] = 16
    timeout_s: Positive = 300.0
    adapters: Count = 64

    @property
    def upload_bytes(self) -> int:
        """Largest body in bytes."""
        return int(self.upload_mb * 1e6)


class Place:
    """A request's place: what it asks for is computed when its turn comes, or never once its time is up.

    Args:
        pool: computes.
        timeout_s: from now on.
    """

    def __init__(self, pool: ThreadPoolExecutor, timeout_s: float):
        self._pool, self._end, self._timeout_s = pool, time.monotonic() + timeout_s, timeout_s
        self.job: Future[Any] | None = None

    @property
    def left_s(self) -> float:
        """Seconds that are left."""
        return max(0.0, self._end - time.monotonic())

    def check(self) -> None:
        """Raise Late when time is up."""
        if time.monotonic() > self._end:
            raise Late(f"no answer within {self._timeout_s:g} s; send less sound, or ask again later")

    def submit(self, work: Callable[[Check], T]) -> Future[T]:
        """Compute in a thread, once; `work` calls what it is given from time to time."""

        def job() -> T:
            self.check()
            return work(self.check)

        self.job = self._pool.submit(job)
        return self.job

    def result(self, work: Callable[[Check], T]) -> T:
        """As `submit`, and wait for it.

        Raises:
            Late: time is up.
        """
        job = self.submit(work)
        try:
            return job.result(self.left_s)
        except TimeoutError:
            job.cancel()
            self.check()
            raise


class Desk:
    """Gives places; a place is free again when its request is answered and nothing is computed for it any more.

    Args:
        limits: how many there are, and for how long.
    """

    def __init__(self, limits: Limits):
        self.limits = limits
        self._pool = ThreadPoolExecutor(limits.parallel, "answer")
        self._free = BoundedSemaphore(limits.parallel + limits.queue)

    @contextmanager
    def place(self) -> Iterator[Place]:
        """A place.

        Raises:
            Busy: there is none.
        """
        if not self._free.acquire(blocking=False):
            n = self.limits.parallel + self.limits.queue
            raise Busy(f"{n} requests are being answered or wait already; ask again later")
        place = Place(self._pool, self.limits.timeout_s)
        try:
            yield place
        finally:
            if place.job is None:
                self._free.release()
            else:
                place.job.add_done_callback(lambda _: self._free.release())
