"""What opens a sound file: libsndfile, helped where it would read a part or nothing, or else PyAV.

Conventions: a file is refused only for what is certain: it holds less than it says, or nothing can decode it. A length
that is only estimated is counted instead.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from sordino.decoding import av_decoder, mpeg, streams
from sordino.decoding.cursor import Cursor
from sordino.decoding.spliced import Spliced

LIBSNDFILE = (".aif", ".aifc", ".aiff", ".au", ".flac", ".mp2", ".mp3", ".oga", ".ogg", ".opus", ".w64", ".wav")
MPEG = (".mp2", ".mp3")
PYAV = (".aac", ".ape", ".m4a", ".m4b", ".mka", ".wma", ".wv")
FORMATS = tuple(sorted(LIBSNDFILE + PYAV))


class AudioError(ValueError):
    """A file that cannot be decoded, in one line: the file, and what is wrong with it."""


class Counted(soundfile.SoundFile):
    """A file whose length may have been counted, and that stays where it is when it is told to go there.

    `soundfile` seeks after every read to where it is already; an MP3's decoder then forgets the bits that the next
    frames need, and gives up to a tenth of a second of silence.
    """

    counted: int | None = None

    def seek(self, frames: int, whence: int = 0) -> int:
        """Go to a frame."""
        here = super().seek(0, 1)
        return here if whence == 0 and frames == here else super().seek(frames, whence)

    @property
    def frames(self) -> int:
        """Its length."""
        return super().frames if self.counted is None else self.counted


class Chain(Cursor):
    """Files that follow one another, as one."""

    def __init__(self, files: list[Any]):
        first = files[0]
        self.samplerate, self.channels, self.format, self.subtype = (
            first.samplerate, first.channels, first.format, first.subtype
        )  # fmt: skip
        self._files = files
        self.frames = sum(file.frames for file in files)

    def read(self, frames: int, dtype: str = "float32", always_2d: bool = True) -> np.ndarray:
        """What follows, [frame channel]."""
        parts: list[np.ndarray] = [np.zeros((0, self.channels), dtype)]
        begin = 0
        for file in self._files:
            inside = self._at - begin
            if 0 <= inside < file.frames and frames:
                file.seek(inside)
                parts.append(file.read(min(frames, file.frames - inside), dtype=dtype, always_2d=True))
                frames, self._at = frames - len(parts[-1]), self._at + len(parts[-1])
            begin += file.frames
        return np.concatenate(parts)


Sound = soundfile.SoundFile | Chain | av_decoder.AvSound


@contextmanager
def opened(path: str | Path) -> Iterator[Sound]:
    """Open a sound file, to be read from any frame.

    Raises:
        AudioError: missing, empty, cut off, or nothing here can decode it; says what can be done.
    """
    path = Path(path)
    if not path.exists():
        raise AudioError(f"{path}: no such file")
    if not path.is_file():
        raise AudioError(f"{path}: not a file")
    if path.stat().st_size == 0:
        raise AudioError(f"{path}: empty file")
    with ExitStack() as stack:
        try:
            file = _by_libsndfile(path, stack)
        except soundfile.LibsndfileError as error:
            file = _by_pyav(path, error)
        if file.frames <= 0:
            raise AudioError(f"{path}: holds no sound")
        yield file


def _by_libsndfile(path: Path, stack: ExitStack) -> Any:
    """The file, counted and mended where that is needed.

    Raises:
        soundfile.LibsndfileError: libsndfile cannot read it.
    """

    def enter(what: Path | Spliced) -> Counted:
        source: Any = stack.enter_context(what) if isinstance(what, Spliced) else what
        return stack.enter_context(Counted(source))

    status = path.stat()
    known = (path, status.st_size, status.st_mtime_ns)
    if path.suffix.lower() in MPEG and (found := mpeg.understated(*known)) and found.layer == 3:
        return enter(mpeg.with_table(path, found))  # before libsndfile complains of it
    try:
        file = enter(path)
    except soundfile.LibsndfileError:
        place = streams.mp3_in_wav(path)
        found = mpeg.count(*known, *place) if place else None
        mended = mpeg.with_table(path, found) if found and found.layer == 3 else streams.flac_with_length(path)
        if mended is None:
            raise
        return enter(mended)
    if _is_cut_off(path, file.format, status.st_size):
        raise AudioError(f"{path}: cut off, the file ends before its sound does; copy it again")
    if file.format == "OGG" and len(links := streams.ogg_links(*known)) > 1:
        return _chain(path, [enter(Spliced(path, [link])) for link in links])
    if file.format == "FLAC" and (whole := streams.flac_with_length(path)):
        return enter(whole)
    if file.subtype.startswith("MPEG") and (found := mpeg.understated(*known)):
        if found.layer == 3:
            return enter(mpeg.with_table(path, found))
        file.counted = found.n_samples
    return file


def _chain(path: Path, files: list[Any]) -> Chain:
    kinds = {(file.samplerate, file.channels) for file in files}
    if len(kinds) > 1:
        told = ", ".join(f"{rate_hz} Hz {n} ch" for rate_hz, n in sorted(kinds))
        raise AudioError(f"{path}: {len(files)} streams of several kinds ({told}) one behind the other; split it")
    return Chain(files)


def _by_pyav(path: Path, error: Exception) -> av_decoder.AvSound:
    told = f"ffmpeg -i '{path.name}' '{path.stem}.flac' converts it"
    if not av_decoder.available():
        if path.suffix.lower() in PYAV:
            raise AudioError(f"{path}: {path.suffix} needs `pip install 'sordino[av]'`, or {told}") from error
        kinds = " ".join(LIBSNDFILE)
        raise AudioError(f"{path}: not audio that libsndfile can read ({kinds}), or damaged") from error
    try:
        return av_decoder.AvSound(path)
    except ValueError as reason:
        raise AudioError(f"{path}: not audio, or damaged: {reason}") from reason


def _is_cut_off(path: Path, container: str, n_bytes: int) -> bool:
    """Whether a wav, aiff or ogg file is shorter than it says; libsndfile would not tell."""
    with path.open("rb") as file:
        if container in ("WAV", "WAVEX", "AIFF"):
            head = file.read(8)
            n_claimed = struct.unpack(">I" if head[:4] == b"FORM" else "<I", head[4:])[0] + 8
            return 0.99 * n_claimed > n_bytes and n_claimed < 0x7FFFFF00  # streams do not know their length
        if container == "OGG":
            file.seek(max(0, n_bytes - 0x11000))  # a page is at most 65,307 bytes
            tail = file.read()
            page = tail.rfind(b"OggS")
            is_last = page >= 0 and len(tail) > page + 27 and tail[page + 5] & 4
            return not is_last
    return False
