"""What libsndfile does not know (M4A, AAC, WMA, ...) through PyAV, whose wheels carry FFmpeg; an optional library.

Conventions: the length is counted by decoding, once for a file as it is: containers of these kinds estimate it, or
count what is no sound. A stretch is read by seeking to before it where the container knows the place of every frame
(M4A), and else from the beginning.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from sordino.decoding.cursor import Cursor

# Those of `PYAV` and of what libsndfile may refuse. None of them is a list of other files (HLS, DASH, concat), which
# FFmpeg would open: a sound from a stranger must not name what is read on this machine.
CONTAINERS = "aac,aiff,ape,asf,au,caf,flac,matroska,mov,mp3,ogg,w64,wav,wv"
PREROLL_S = 0.25  # decoded and thrown away before a stretch: codecs overlap their frames


def available() -> bool:
    """Whether PyAV is installed."""
    try:
        import_module("av")
    except ImportError:
        return False
    return True


class AvSound(Cursor):
    """A sound file, as far as `audio` uses `soundfile.SoundFile`.

    Args:
        path: the file.

    Raises:
        ValueError: there is no sound in it that FFmpeg can decode.
    """

    def __init__(self, path: Path):
        status = path.stat()
        self._path = path
        self.samplerate, self.channels, self.format, self.subtype, self.frames = _about(
            path, status.st_size, status.st_mtime_ns
        )

    def __enter__(self) -> AvSound:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def read(self, frames: int, dtype: str = "float32", always_2d: bool = True) -> np.ndarray:
        """What follows, [frame channel]; less where the file ends."""
        parts, wanted, end = [], self._at, self._at + frames
        for first, block in _blocks(self._path, self._at / self.samplerate - PREROLL_S):
            part = block[max(0, wanted - first) : max(0, end - first)]
            parts.append(part)
            wanted += len(part)
            if wanted >= end:
                break
        self._at = wanted
        return np.concatenate(parts).astype(dtype) if parts else np.zeros((0, self.channels), dtype)


@lru_cache(maxsize=4096)
def _about(path: Path, n_bytes: int, changed_ns: int) -> tuple[int, int, str, str, int]:
    """Rate, channels, container, coding and the number of frames."""
    n_frames = 0
    for first, block in _blocks(path, 0.0):
        n_frames = first + len(block)
    av = import_module("av")
    with av.open(str(path), options={"format_whitelist": CONTAINERS}) as container:
        stream = container.streams.audio[0]
        kind = container.format.name.partition(",")[0].upper()
        return stream.rate, stream.channels, kind, stream.codec_context.name.upper(), n_frames


def _blocks(path: Path, start_s: float) -> Iterator[tuple[int, np.ndarray]]:
    """Numbers of first frames and float32 blocks [frame channel] from some time before `start_s` to the end.

    Raises:
        ValueError: there is no sound in it that FFmpeg can decode.
    """
    av = import_module("av")
    try:
        with av.open(str(path), options={"format_whitelist": CONTAINERS}) as container:
            if not container.streams.audio:
                raise ValueError("holds no sound")
            stream = container.streams.audio[0]
            if start_s > 0 and "mp4" in container.format.name:
                container.seek(int(start_s / stream.time_base), stream=stream)
            at = None
            for frame in container.decode(stream):
                here = round(float(frame.pts * frame.time_base) * frame.rate) if frame.pts is not None else at or 0
                tick = max(1, frame.rate * stream.time_base)  # stamps are no finer: ms in Matroska
                at = here if at is None or abs(here - at) > tick else at
                block = _floats(frame)
                skip = max(0, -at)  # what an edit list cuts off
                if len(block) > skip:
                    yield at + skip, block[skip:]
                at += len(block)
    except av.error.FFmpegError as error:
        raise ValueError(f"cannot be decoded ({error.strerror or error})") from error


def _floats(frame: Any) -> np.ndarray:
    """A frame's samples as float32 [frame channel], full scale 1."""
    x = frame.to_ndarray()
    if not frame.format.is_planar:
        x = x.reshape(-1, len(frame.layout.channels)).T
    if x.dtype.kind == "u":
        return ((x.T.astype(np.float32)) - 128) / 128
    return (x.T / np.float32(np.iinfo(x.dtype).max + 1) if x.dtype.kind == "i" else x.T).astype(np.float32)
