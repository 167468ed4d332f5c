"""MPEG audio (MP3, MP2) whose length nobody has written down: frames are counted, and libsndfile is told.

libsndfile takes the length of an MP3 from its first frame where that is a table (`Xing`, `Info`, `VBRI`), and else from
the first frames' bit rate: a guess that is some frames too long for a constant rate, and far off for a variable one, or
where files were joined. What is behind its guess it never reads. So here every frame's head is read where there is no
such table, or where the file is longer than the table says, and a table is put in front.

Source: ISO 11172-3 and 13818-3; http://gabriel.mp3-tech.org/mp3infotag.html
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from sordino.decoding.spliced import Spliced

KBPS = {  # by MPEG version 1 or not, and layer
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}  # by version bits
HEAD_BYTES = 1 << 16
SLACK = 1.01  # a table's count of bytes may leave out tags


class Head(NamedTuple):
    """The head of a frame.

    Attributes:
        kind: version, layer and rate; all frames of a stream have the same.
        n_bytes: length of the frame.
        n_samples: that it decodes to.
        rate_hz: sample rate.
        table_at: where a table would lie in it.
    """

    kind: tuple[int, int, int]
    n_bytes: int
    n_samples: int
    rate_hz: int
    table_at: int


class Counted(NamedTuple):
    """A stream, counted.

    Attributes:
        n_samples: its length.
        layer: 2 or 3.
        start: where its first frame with sound begins.
        end: where its last whole frame ends.
        gaps: what lies between that is no frame (tags, damage): begin and end of each.
        head: the first four bytes.
        n_frames: frames with sound.
    """

    n_samples: int
    layer: int
    start: int
    end: int
    gaps: tuple[tuple[int, int], ...]
    head: bytes
    n_frames: int


def frame_head(data: bytes | mmap.mmap, at: int) -> Head | None:
    """The head of the frame at a place; None where there is none."""
    if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0:
        return None
    first, second = data[at + 1], data[at + 2]
    version, layer, rate = first >> 3 & 3, 4 - (first >> 1 & 3), second >> 2 & 3
    if version == 1 or layer not in (2, 3) or rate == 3 or second >> 4 in (0, 15):
        return None
    rate_hz, is_one = RATES_HZ[version][rate], version == 3
    n_samples = 1152 if is_one or layer == 2 else 576
    n_bytes = n_samples // 8 * KBPS[is_one, layer][second >> 4] * 1000 // rate_hz + (second >> 1 & 1)
    mono = data[at + 3] >> 6 == 3
    return Head(
        (version, layer, rate), n_bytes, n_samples, rate_hz, 4 + (17 if is_one == mono else 32 if is_one else 9)
    )


def understated(path: Path, n_bytes: int, changed_ns: int) -> Counted | None:
    """What an MPEG file holds, where libsndfile would guess the length or read a part of it; None where it would not.

    Args:
        path: the file.
        n_bytes: its size.
        changed_ns: when it was changed.
    """
    with path.open("rb") as file:
        begin = _behind_tags(file.read(10), 0)
        file.seek(begin)
        data = file.read(HEAD_BYTES)
    first = next(_frames(data, 0), None)
    told = _table(data, *first) if first else None
    if told and n_bytes - begin <= SLACK * (told[1] or n_bytes) + HEAD_BYTES:
        return None
    found = count(path, n_bytes, changed_ns)
    return found if found and (not told or found.n_frames > SLACK * told[0] + 1) else None


def _table(data: bytes | mmap.mmap, at: int, head: Head) -> tuple[int, int] | None:
    """Frames and bytes that a table in a frame tells, 0 for what it does not; None: the frame holds no table."""
    place = at + head.table_at
    if data[place : place + 4] in (b"Xing", b"Info"):
        flags, *numbers = struct.unpack(">III", data[place + 4 : place + 16])
        told = iter(numbers)
        return (next(told) if flags & 1 else 0), (next(told) if flags & 2 else 0)
    if data[at + 36 : at + 40] == b"VBRI":
        n_bytes, n_frames = struct.unpack(">II", data[at + 46 : at + 54])
        return n_frames, n_bytes
    return None


def _behind_tags(data: bytes | mmap.mmap, at: int) -> int:
    """The place behind an ID3v2 tag that begins at a place."""
    if data[at : at + 3] != b"ID3" or at + 10 > len(data):
        return at
    a, b, c, d = data[at + 6 : at + 10]
    return at + 10 + (a << 21 | b << 14 | c << 7 | d)


def _frames(data: bytes | mmap.mmap, at: int, end: int | None = None) -> Iterator[tuple[int, Head]]:
    """Places and heads of frames; all of the kind of the first, which is followed by another one."""
    end, kind = len(data) if end is None else end, None
    while at < end:
        head = frame_head(data, at)
        if head and (kind in (None, head.kind)) and at + head.n_bytes <= end:
            following = frame_head(data, at + head.n_bytes)
            if kind or (following and following.kind == head.kind):
                kind = head.kind
                yield at, head
                at += head.n_bytes
                continue
        behind = _behind_tags(data, at)
        found = data.find(b"\xff", max(at + 1, behind), end)
        at = end if found < 0 else found


@lru_cache(maxsize=4096)
def count(path: Path, n_bytes: int, changed_ns: int, start: int = 0, end: int | None = None) -> Counted | None:
    """Count the frames of a file, or of a part of it; None where that is no MPEG audio.

    Args:
        path: the file.
        n_bytes: its size and
        changed_ns: when it was changed: what was counted is remembered for these.
        start: where to begin.
        end: where to end.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        n_frames = n_samples = layer = 0
        first, last, gaps, head = start, start, [], b""
        for at, found in _frames(data, _behind_tags(data, start), end):
            if n_frames == 0 and _table(data, at, found) is not None:
                continue  # it holds no sound
            if n_frames == 0:
                first, head = at, data[at : at + 4]
            elif at != last:
                gaps.append((last, at))
            n_frames, n_samples, layer = n_frames + 1, n_samples + found.n_samples, found.kind[1]
            last = at + found.n_bytes
        inside = last - first - sum(end - begin for begin, end in gaps)
        if 2 * inside < (len(data) if end is None else end) - start:
            return None  # something else, that looks like a few frames by chance
        return Counted(n_samples, layer, first, last, tuple(gaps), head, n_frames)


def with_table(path: Path, counted: Counted) -> Spliced:
    """A counted stream of layer 3 as a file that libsndfile reads whole: a table in front, gaps left out."""
    cuts = [counted.start, *(place for gap in counted.gaps for place in gap), counted.end]
    parts = list(zip(cuts[::2], cuts[1::2], strict=True))
    return Spliced(path, parts, _info_frame(counted, sum(end - begin for begin, end in parts)))


def _info_frame(counted: Counted, n_bytes: int) -> bytes:
    """A frame without sound that tells how many frames follow."""
    head = bytes([0xFF, counted.head[1] | 1, counted.head[2] & 0x0C | 0x90, counted.head[3]])
    found = frame_head(head, 0)
    assert found is not None
    table = b"Xing" + struct.pack(">III", 3, counted.n_frames, n_bytes + found.n_bytes)
    return (head + bytes(found.table_at - 4) + table).ljust(found.n_bytes, b"\0")
