"""Parts of a file as a file: what libsndfile is given where a container does not say what it should."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path


class Spliced(io.RawIOBase):
    """Some bytes, and then parts of a file, one behind the other.

    Args:
        path: the file.
        parts: begin and end of each.
        front: the bytes before them.
    """

    def __init__(self, path: Path, parts: Sequence[tuple[int, int]], front: bytes = b""):
        self._file, self._front, self._at = path.open("rb"), front, 0
        self._parts = [(0, 0, len(front))]  # place here, place there, length
        for begin, end in parts:
            self._parts.append((self.n_bytes, begin, end - begin))

    @property
    def n_bytes(self) -> int:
        """Its length."""
        here, _, length = self._parts[-1]
        return here + length

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place."""
        self._at = offset + (0, self._at, self.n_bytes)[whence]
        return self._at

    def tell(self) -> int:
        """Where it is."""
        return self._at

    def readinto(self, buffer) -> int:  # type: ignore[override]
        """Fill a buffer with what follows."""
        done = 0
        for number, (here, there, length) in enumerate(self._parts):
            inside, n = self._at - here, len(buffer) - done
            if 0 <= inside < length and n:
                if number:
                    self._file.seek(there + inside)
                    found = self._file.read(min(n, length - inside))
                else:
                    found = self._front[inside : inside + n]
                buffer[done : done + len(found)] = found
                done, self._at = done + len(found), self._at + len(found)
        return done

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
