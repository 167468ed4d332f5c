"""What opens a sound file: libsndfile, helped where it would read a part or nothing, or else PyAV.

Conventions: a file is refused only for what is certain: it holds less than it says, or nothing can decode it. A length
that is only estimated is counted instead.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from sordino.decoding import av_decoder, mpeg, overheard, streams
from sordino.decoding.cursor import Cursor
from sordino.decoding.spliced import Spliced

LIBSNDFILE = (".aif", ".aifc", ".aiff", ".au", ".flac", ".mp2", ".mp3", ".oga", ".ogg", ".opus", ".w64", ".wav")
MPEG = (".mp2", ".mp3")
PYAV = (".3gp", ".aac", ".ape", ".caf", ".m4a", ".m4b", ".mka", ".mp4", ".webm", ".wma", ".wv")
FORMATS = tuple(sorted(LIBSNDFILE + PYAV))
LOWEST_HZ, HIGHEST_HZ = 1_000, 1_000_000
READER = 3  # raised when a file that was read is refused, or the other way round: what was noted of files is then void
SLACK_BYTES = 4096  # that a header may say too much, by sloppy writers
COUNTED_FRAMES = 1 << 20  # decoded at once to count


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


OpenFile = soundfile.SoundFile | Chain | av_decoder.AvSound


@contextmanager
def opened(path: str | Path) -> Iterator[OpenFile]:
    """Open a sound file, to be read from any frame.

    Raises:
        AudioError: missing, empty, cut off, or nothing here can decode it; says what can be done.
    """
    path = Path(path)
    with ExitStack() as stack:
        with told_of(path):
            file = _opened(path, stack)
        yield file


@contextmanager
def told_of(path: str | Path) -> Iterator[None]:
    """Whatever a file's bytes, its name or the system make fail is one AudioError with the file and the reason; what a
    decoder only complains of is told with the file."""
    try:
        with overheard.listening() as said:
            yield
        overheard.tell(path, said)
    except AudioError:
        raise
    except FileNotFoundError as error:
        raise AudioError(f"{path}: no such file") from error
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # decoders of bytes that may be anything
        raise AudioError(f"{path}: damaged, or not audio ({type(error).__name__}: {str(error)[:80]})") from error


def _opened(path: Path, stack: ExitStack) -> Any:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise AudioError(f"{path}: not a file")
    if status.st_size == 0:
        raise AudioError(f"{path}: empty file")
    try:
        file = _by_libsndfile(path, stack)
    except soundfile.LibsndfileError as error:
        file = _by_pyav(path, error)
    if file.frames <= 0:
        raise AudioError(f"{path}: holds no sound")
    if not LOWEST_HZ <= file.samplerate <= HIGHEST_HZ:
        raise AudioError(f"{path}: a sample rate of {file.samplerate} Hz is none of music")
    return file


def _by_libsndfile(path: Path, stack: ExitStack) -> Any:
    """The file, counted and mended where that is needed.

    Raises:
        soundfile.LibsndfileError: libsndfile cannot read it.
    """

    def enter(what: Path | Spliced) -> Counted:
        source: Any = stack.enter_context(what) if isinstance(what, Spliced) else _name(what)
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
    if file.format == "OGG":
        links = streams.ogg_links(*known)
        if len(links) > 1:
            parts = [enter(Spliced(path, [link])) for link in links]
            for part, link in zip(parts, links, strict=True):
                part.counted = _ogg_frames(*known, link)
            return _chain(path, parts)
        file.counted = _ogg_frames(*known, (0, status.st_size))
        return file
    if file.format == "FLAC" and (whole := streams.flac_with_length(path)):
        return enter(whole)
    if file.subtype.startswith("MPEG") and (found := mpeg.understated(*known)):
        if found.layer == 3:
            return enter(mpeg.with_table(path, found))
        file.counted = found.n_samples
    return file


def _name(path: Path) -> Path | bytes:
    """A name as libsndfile takes it: its bytes, which need not be UTF-8."""
    return os.fsencode(path) if os.name == "posix" else path


def _chain(path: Path, files: list[Any]) -> Chain:
    kinds = {(file.samplerate, file.channels) for file in files}
    if len(kinds) > 1:
        told = ", ".join(f"{rate_hz} Hz {n} ch" for rate_hz, n in sorted(kinds))
        raise AudioError(f"{path}: {len(files)} streams of several kinds ({told}) one behind the other; split it")
    return Chain(files)


def _by_pyav(path: Path, error: Exception) -> av_decoder.AvSound:
    told = f"ffmpeg -i '{path.name}' '{path.stem}.flac' converts it"
    if not av_decoder.available():
        if kind := path.suffix if path.suffix.lower() in PYAV else streams.foreign(path):
            raise AudioError(f"{path}: {kind} needs `pip install 'sordino[av]'`, or {told}") from error
        kinds = " ".join(LIBSNDFILE)
        raise AudioError(f"{path}: not audio that libsndfile can read ({kinds}), or damaged") from error
    try:
        return av_decoder.AvSound(path)
    except ValueError as reason:
        raise AudioError(f"{path}: not audio, or damaged: {reason}") from reason


def _is_cut_off(path: Path, container: str, n_bytes: int) -> bool:
    """Whether a wav, aiff, au or ogg file is shorter than it says; libsndfile would not tell."""
    with path.open("rb") as file:
        if container == "OGG":
            file.seek(max(0, n_bytes - 0x11000))  # a page is at most 65,307 bytes
            return not streams.ends_with_last_page(file.read())
        head = file.read(12)
    if container in ("WAV", "WAVEX", "AIFF"):
        n_claimed = struct.unpack(">I" if head[:4] == b"FORM" else "<I", head[4:8])[0] + 8
        known = n_claimed < 0x7FFF0000  # streams do not know their length
    elif container == "AU":
        begin, length = struct.unpack(">II" if head[:4] == b".snd" else "<II", head[4:12])
        n_claimed, known = begin + length, length < 0x7FFF0000
    else:
        return False
    return known and n_claimed - n_bytes > min(SLACK_BYTES, n_claimed // 100)


@lru_cache(maxsize=4096)
def _ogg_frames(path: Path, n_bytes: int, changed_ns: int, link: tuple[int, int]) -> int | None:
    """Frames of an Ogg stream whose last page says more than there is, though all pages are whole; None for others.

    Args:
        path: the file.
        n_bytes: its size and
        changed_ns: when it was changed: what was counted is remembered for these.
        link: where in the file the stream begins and ends.

    Raises:
        AudioError: a page is damaged, or it decodes to less than it says because one is missing.
    """
    pages = streams.ogg_pages(path, *link)
    if not pages.whole:
        raise AudioError(f"{path}: damaged, a page of it is not what it was; copy it again")
    with Spliced(path, [link]) as source, Counted(source) as file:  # type: ignore[arg-type]  # a file, for soundfile
        n_tail = min(file.frames, file.samplerate)
        file.seek(file.frames - n_tail)
        if len(file.read(n_tail, dtype="float32", always_2d=True)) == n_tail:
            return None
        if not pages.in_order:
            raise AudioError(f"{path}: cut off or damaged, it decodes to less than it says; copy it again")
        file.seek(0)
        return sum(iter(lambda: len(file.read(COUNTED_FRAMES, dtype="float32", always_2d=True)), 0))
