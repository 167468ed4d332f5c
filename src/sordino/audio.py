"""From a sound file to a waveform: decode, mix to mono, resample, cut.

Conventions: a waveform is float32, mono, [time], full scale +-1. Channels are averaged. Output sample `i` of
a file at `sample_rate_hz` lies at `i / sample_rate_hz` seconds; a stretch read by itself equals that stretch
of the whole file (to 1e-5). Decoding is libsndfile, and where it is installed PyAV for what that does not
know (`decoding/`), resampling soxr `HQ`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr
from jaxtyping import Float32

from sordino.decoding.decoders import FORMATS, READER, AudioError, OpenFile, opened, told_of
from sordino.files import write_with

__all__ = [
    "FORMATS", "READER", "AudioError", "AudioInfo", "as_mono", "blocks", "blocks_at", "fingerprint", "info", "read",
    "resampled", "write", "write_blocks",
]  # fmt: skip

VERSION = 2  # raised when the same file gives other samples
_CODINGS = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".au": ("AU", "PCM_16"),
}
WRITE_FRAMES = 1 << 16  # libsndfile's Vorbis encoder overflows its stack on minutes at once
MPEG_PREROLL_FRAMES = 12 * 1152  # an MP3's frame may need bits of several before it; without them it is silent
MARGIN_FRAMES = 512  # read beside a stretch, so that the resampler's filter finds its neighbours


class AudioInfo(NamedTuple):
    """What a file's header says.

    Attributes:
        duration_s: length in seconds.
        sample_rate_hz: the file's own rate.
        n_channels: its channels.
        format: container and coding, `WAV PCM_16`.
    """

    duration_s: float
    sample_rate_hz: int
    n_channels: int
    format: str


def info(path: str | Path) -> AudioInfo:
    """Read the header (where it does not tell the length, count).

    Raises:
        AudioError: missing, empty, cut off, or not audio.
    """
    with opened(path) as file:
        rate = file.samplerate
        return AudioInfo(file.frames / rate, rate, file.channels, f"{file.format} {file.subtype}")


def read(
    path: str | Path, sample_rate_hz: int, start_s: float = 0.0, duration_s: float | None = None
) -> Float32[np.ndarray, " time"]:
    """Decode a file, or a stretch of one (by seeking).

    Args:
        path: the sound file.
        sample_rate_hz: the rate wanted.
        start_s: where to begin.
        duration_s: how much; None: to the end. Where the file ends earlier, the result is shorter.

    Raises:
        AudioError: missing, empty, cut off, not audio, or `start_s` is behind its end.
    """
    with opened(path) as file:
        n_frames, rate = file.frames, file.samplerate
        step = rate // math.gcd(rate, sample_rate_hz)  # so many input frames are whole output samples
        first = round(start_s * sample_rate_hz)
        if first * rate >= n_frames * sample_rate_hz:
            raise AudioError(f"{path}: begins at {start_s:g} s but the file is {n_frames / rate:.2f} s long")
        margin = 0 if rate == sample_rate_hz else MARGIN_FRAMES
        begin = max(0, first * rate // sample_rate_hz - margin) // step * step
        end, n_wanted = n_frames, None
        if duration_s is not None:
            n_wanted = round(duration_s * sample_rate_hz)
            end = min(n_frames, math.ceil((first + n_wanted) * rate / sample_rate_hz) + margin)
        x = _mono(_decode(file, path, begin, end), path)
    if rate != sample_rate_hz:
        x = soxr.resample(x, rate, sample_rate_hz)
    skip = first - begin * sample_rate_hz // rate
    x = np.ascontiguousarray(x[skip:] if n_wanted is None else x[skip : skip + n_wanted])
    if not len(x):
        raise AudioError(f"{path}: too short, not one sample at {sample_rate_hz} Hz")
    return x


def blocks(path: str | Path, sample_rate_hz: int, block_s: float) -> Iterator[Float32[np.ndarray, " time"]]:
    """Decode a file of any length in bounded memory; the blocks joined are what `read` gives.

    Args:
        path: the sound file.
        sample_rate_hz: the rate wanted.
        block_s: the length of every block but the last.

    Raises:
        AudioError: as `read`, and when the file ends too early.
    """
    n_block = max(1, round(block_s * sample_rate_hz))
    waiting = np.zeros(0, np.float32)
    for (x,) in blocks_at(path, [sample_rate_hz], block_s):
        waiting = np.concatenate([waiting, x])
        while len(waiting) >= n_block:
            yield waiting[:n_block].copy()
            waiting = waiting[n_block:]
    if len(waiting):
        yield waiting


def blocks_at(
    path: str | Path, sample_rates_hz: Sequence[int], block_s: float
) -> Iterator[list[Float32[np.ndarray, " time"]]]:
    """Decode a file of any length once, for several rates.

    Args:
        path: the sound file.
        sample_rates_hz: the rates wanted.
        block_s: how much is decoded at a time; what the resampler holds back comes with the next block.

    Yields:
        The next block at each rate; those of one rate joined are what `read` gives.

    Raises:
        AudioError: as `read`, and when the file ends too early.
    """
    with opened(path) as file:
        rate, n_frames = file.samplerate, file.frames
        n_read = max(1, round(block_s * rate))
        resamplers = [
            None if wanted == rate else soxr.ResampleStream(rate, wanted, 1, dtype="float32")
            for wanted in sample_rates_hz
        ]
        for begin in range(0, n_frames, n_read):
            end = min(begin + n_read, n_frames)
            x = _mono(_decode(file, path, begin, end), path)
            yield [x if each is None else each.resample_chunk(x, last=end == n_frames) for each in resamplers]


def as_mono(waveform: np.ndarray) -> Float32[np.ndarray, " time"]:
    """Samples from elsewhere as a waveform.

    Args:
        waveform: an array or tensor [time]; of two axes the shorter one are the channels. Whole numbers are scaled;
            of those without a sign the middle is silence, as in 8-bit WAV.

    Raises:
        ValueError: it is empty, has other axes, or holds samples that are not numbers.
    """
    x = np.asarray(waveform)
    if x.dtype.kind in "iu":
        full_scale = 2.0 ** (8 * x.dtype.itemsize - 1)
        x = x / full_scale - (x.dtype.kind == "u")
    if x.ndim == 2:
        x = x.mean(int(np.argmin(x.shape)))
    if x.ndim != 1:
        raise ValueError(f"a waveform is [time] or [channel time], not of shape {x.shape}")
    if not x.size:
        raise ValueError("a waveform without a sample cannot be answered")
    if not np.isfinite(x).all():
        raise ValueError("the waveform holds samples that are not numbers")
    return np.ascontiguousarray(x, dtype=np.float32)


def resampled(waveform: Float32[np.ndarray, " time"], sample_rate_hz: int, wanted_hz: int) -> np.ndarray:
    """A waveform at another rate, float32 [time]."""
    return waveform if sample_rate_hz == wanted_hz else soxr.resample(waveform, sample_rate_hz, wanted_hz)


def fingerprint(path: str | Path) -> str:
    """A hash of the file's bytes, 16 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()


def write(path: str | Path, waveform: np.ndarray, sample_rate_hz: int) -> None:
    """Write a sound file, [time] or [time channel], in the format of its suffix (16 bit where it can be)."""
    n_channels = 1 if waveform.ndim == 1 else waveform.shape[1]
    write_blocks(path, [waveform], sample_rate_hz, n_channels)


def write_blocks(path: str | Path, blocks: Iterable[np.ndarray], sample_rate_hz: int, n_channels: int = 1) -> None:
    """Write a sound file that comes in blocks, each [time] or [time channel]; as `write`.

    Raises:
        AudioError: the suffix is of no format that is written.
    """
    path = Path(path)
    container, coding = _CODINGS.get(path.suffix.lower(), (None, None))
    if container is None:
        raise AudioError(f"{path}: sound is written as {' '.join(_CODINGS)}")

    def fill(part: Path) -> None:
        with soundfile.SoundFile(part, "w", sample_rate_hz, n_channels, coding, format=container) as file:
            for block in blocks:
                for begin in range(0, len(block), WRITE_FRAMES):
                    file.write(block[begin : begin + WRITE_FRAMES])

    write_with(path, fill)


def _decode(file: OpenFile, path: str | Path, begin: int, end: int) -> np.ndarray:
    """Frames `begin` to `end`, all of them."""
    with told_of(path):
        try:
            if file.tell() != begin:
                before = min(begin, MPEG_PREROLL_FRAMES if file.subtype.startswith("MPEG") else 0)
                file.seek(begin - before)
                file.read(before, dtype="float32", always_2d=True)
            x = file.read(end - begin, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, ValueError) as error:
            raise AudioError(f"{path}: damaged, decoding fails behind {begin / file.samplerate:.2f} s") from error
    if len(x) < end - begin:
        found_s, length_s = (begin + len(x)) / file.samplerate, file.frames / file.samplerate
        raise AudioError(f"{path}: cut off or damaged, {found_s:.2f} s of {length_s:.2f} s decoded")
    return x


def _mono(x: np.ndarray, path: str | Path) -> Float32[np.ndarray, " time"]:
    with np.errstate(over="ignore", invalid="ignore"):
        x = x[:, 0] if x.shape[1] == 1 else x @ np.full(x.shape[1], 1 / x.shape[1], np.float32)
        total = float(x.sum())
    if not math.isfinite(total):
        raise AudioError(f"{path}: holds samples that are not numbers")
    return x
