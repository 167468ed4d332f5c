"""Where the next read of a sound begins."""

from __future__ import annotations


class Cursor:
    """A place in a sound, in frames; it begins at the first."""

    _at = 0

    def tell(self) -> int:
        """The number of the next frame."""
        return self._at

    def seek(self, frame: int) -> int:
        """Go to a frame."""
        self._at = frame
        return frame
