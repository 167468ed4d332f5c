"""Read every sound file once: what it is, whether it is whole, and two fingerprints.

Conventions: `fingerprint` is a hash of the bytes. `sound` is a code of what is heard, so that the same
recording is found again under another name, in another format, or at another level: 64 time slots over its
whole length x 17 bands from 100 to 3500 Hz; a bit says whether the step from band to band grew from slot to
slot (Haitsma and Kalker, A Highly Robust Audio Fingerprinting System, 2002, there on fixed frames).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from sordino import audio
from sordino.datasets._alike import near_pairs
from sordino.decoding.overheard import listening, take_as_told
from sordino.files import is_there, one_line
from sordino.known_files import Known, remember, states_of

RATE_HZ, BLOCK_SAMPLES = 8_000, 512
N_SLOTS, N_BANDS = 64, 17
EDGES_HZ = np.geomspace(100, 3_500, N_BANDS + 1)
LENGTH_S, N_EQUAL_BITS = 0.3, 0.75  # two files are one recording: so near in length, so many equal bits


@dataclass(frozen=True)
class Scan:
    """What one reading of a file found.

    Attributes:
        path: the file.
        n_bytes: its size.
        changed_ns: when it was last changed.
        reason: why it cannot be used; empty: it can.
        duration_s: length as decoded.
        sample_rate_hz: its own rate.
        n_channels: its channels.
        format: container and coding.
        fingerprint: hash of the bytes.
        sound: code of the sound, hexadecimal; empty for silence.
        said: what the decoder wrote on stderr, the first line.
        reader: what read it, see `audio.READER`.
    """

    path: str
    n_bytes: int = 0
    changed_ns: int = 0
    reason: str = ""
    duration_s: float = 0.0
    sample_rate_hz: int = 0
    n_channels: int = 0
    format: str = ""
    fingerprint: str = ""
    sound: str = ""
    said: str = ""
    reader: int = 0

    def to_json(self) -> dict[str, Any]:
        """All fields but the path."""
        fields = asdict(self)
        del fields["path"]
        return fields


def scan_file(path: str) -> Scan:
    """Decode a whole file."""
    with listening() as said:
        found = _decoded(path)
    return replace(found, said=said[0]) if said else found


def _decoded(path: str) -> Scan:
    try:
        status = Path(path).stat()
        about = audio.info(path)
        energies = [_energies(block) for block in audio.blocks(path, RATE_HZ, 256 * BLOCK_SAMPLES / RATE_HZ)]
        sound = _code(np.concatenate(energies))
        code = audio.fingerprint(path)
    except (audio.AudioError, OSError) as error:
        return Scan(path, reason=one_line(error, 2000).removeprefix(f"{path}: "))
    size = (status.st_size, status.st_mtime_ns, "")
    kind = (about.sample_rate_hz, about.n_channels, about.format)
    return Scan(path, *size, about.duration_s, *kind, code, sound, reader=audio.READER)


def scan(
    paths: Iterable[Path],
    known: Mapping[str, Scan] | None = None,
    n_workers: int = 1,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Scan]:
    """Read files, in parallel, those that have not changed since `known` not again; note what training wants to know.

    Args:
        paths: the files.
        known: what an earlier scan found, by path.
        n_workers: processes; 1: in this one.
        advance: called with files done and files in all.
    """
    names = sorted({str(path) for path in paths})
    earlier = known or {}
    found = {
        name: replace(old, path=name)
        for name in names
        if (old := earlier.get(os.path.normpath(name))) and _unchanged(old)
    }
    todo = [name for name in names if name not in found]
    states = states_of(todo)
    done = len(found)
    advance(done, len(names))
    if n_workers > 1 and len(todo) > 1:
        with ProcessPoolExecutor(n_workers, mp_context=get_context("spawn")) as pool:
            for result in pool.map(scan_file, todo, chunksize=4):
                found[result.path] = result
                done += 1
                advance(done, len(names))
    else:
        for name in todo:
            found[name] = scan_file(name)
            done += 1
            advance(done, len(names))
    remember(states, {name: _known(found[name]) for name in todo})
    take_as_told(name for name in names if found[name].said)
    return {name: found[name] for name in names}


def same_recordings(scans: Sequence[Scan]) -> list[tuple[str, str, str]]:
    """Pairs of files that hold one recording: `(path, path, "same bytes" or "same sound")`."""
    whole = sorted((scan for scan in scans if not scan.reason), key=lambda scan: (scan.duration_s, scan.path))
    pairs = []
    by_bytes: dict[str, str] = {}
    for one in whole:
        if one.fingerprint in by_bytes:
            pairs.append((by_bytes[one.fingerprint], one.path, "same bytes"))
        else:
            by_bytes[one.fingerprint] = one.path
    heard = [one for one in whole if one.sound and by_bytes[one.fingerprint] == one.path]
    pairs += [(heard[one].path, heard[other].path, "same sound") for one, other in _same_sound(heard)]
    return sorted(pairs)


def _same_sound(heard: Sequence[Scan]) -> Iterator[tuple[int, int]]:
    """Numbers of files, sorted by length, that sound alike."""
    if not heard:
        return
    lengths = np.array([one.duration_s for one in heard])
    codes = np.frombuffer(bytes.fromhex("".join(one.sound for one in heard)), np.uint8).reshape(len(heard), -1)
    most = math.ceil((1 - N_EQUAL_BITS) * 8 * codes.shape[1]) - 1
    cells = np.floor(lengths / (2 * LENGTH_S))  # whatever is near enough in length lies in one or in the next
    for cell in np.unique(cells):
        first, middle, end = np.searchsorted(cells, [cell, cell + 1, cell + 2])
        for one, other in near_pairs(codes[first:end], most) + first:
            if one < middle and lengths[other] - lengths[one] <= LENGTH_S:  # both in the next: found with that
                yield int(one), int(other)


def _known(found: Scan) -> Known | audio.AudioError:
    return audio.AudioError(found.reason) if found.reason else Known(found.fingerprint, found.duration_s)


def _unchanged(old: Scan) -> bool:
    if old.reason or old.reader != audio.READER or not is_there(old.path):
        return False
    status = Path(old.path).stat()
    return (status.st_size, status.st_mtime_ns) == (old.n_bytes, old.changed_ns)


def _energies(block: np.ndarray) -> np.ndarray:
    """Energies of the bands of every 64 ms, [frame band]; what is left over at the end is dropped."""
    n_frames = len(block) // BLOCK_SAMPLES
    frames = block[: n_frames * BLOCK_SAMPLES].reshape(n_frames, BLOCK_SAMPLES) * np.hanning(BLOCK_SAMPLES)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    bins = np.round(EDGES_HZ * BLOCK_SAMPLES / RATE_HZ).astype(int)
    return np.add.reduceat(power, bins, axis=1)[:, :N_BANDS]


def _code(energies: np.ndarray) -> str:
    """The code of a recording from its band energies."""
    if len(energies) < N_SLOTS or float(energies.max(initial=0.0)) < 1e-6:
        return ""  # shorter than 4 s, or silent: bytes must do
    edges = np.linspace(0, len(energies), N_SLOTS + 1).astype(int)
    slots = np.log(np.add.reduceat(energies, edges[:-1], axis=0) + 1e-6)
    bits = np.diff(np.diff(slots, axis=1), axis=0) > 0
    return np.packbits(bits).tobytes().hex()
