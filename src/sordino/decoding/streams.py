"""Containers that libsndfile reads in part, or not at all, though it knows what is in them: Ogg with several streams
one behind the other, FLAC that was written to a pipe, MP3 in WAV.

Source: RFC 3533 (Ogg), RFC 9639 (FLAC).
"""

from __future__ import annotations

import mmap
import struct
import zlib
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from sordino.decoding.spliced import Spliced

BEGIN, LAST = 2, 4  # flags of a page
MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
MP3_IN_WAV = (0x50, 0x55)  # format tags of MPEG
STREAMINFO = slice(8, 42)


@lru_cache(maxsize=4096)
def ogg_links(path: Path, n_bytes: int, changed_ns: int) -> list[tuple[int, int]]:
    """Begin and end of each of the streams that follow one another in an Ogg file.

    Args:
        path: the file.
        n_bytes: its size and
        changed_ns: when it was changed: what was found is remembered for these.
    """
    begins, at, in_head = [], 0, False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        while data[at : at + 4] == b"OggS" and at + 27 <= n_bytes:
            is_begin = bool(data[at + 5] & BEGIN)
            if is_begin and not in_head:
                begins.append(at)
            in_head, at = is_begin, _page_end(data, at)
    return list(zip(begins, [*begins[1:], n_bytes], strict=True))


def ends_with_last_page(tail: bytes) -> bool:
    """Whether the end of an Ogg file holds the whole last page of a stream."""
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) < at + 27:
        return False
    return bool(tail[at + 5] & LAST) and _page_end(tail, at) <= len(tail)


class Pages(NamedTuple):
    """How the pages of an Ogg stream are.

    Attributes:
        whole: each has its checksum, and nothing lies between them: none is lost on the way to the decoder.
        in_order: their numbers follow one another: none was left out.
    """

    whole: bool
    in_order: bool


def ogg_pages(path: Path, begin: int, end: int) -> Pages:
    """Go through the pages of one Ogg stream (several logical ones may be interleaved)."""
    numbers: dict[bytes, int] = {}
    in_order = True
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = begin
        while at < end and data[at : at + 4] == b"OggS":
            page = data[at : _page_end(data, at)]
            serial, number, checksum = page[14:18], *struct.unpack("<II", page[18:26])
            if _page_checksum(page) != checksum:
                return Pages(False, False)
            in_order &= number == numbers.get(serial, number - 1) + 1
            numbers[serial], at = number, at + len(page)
        return Pages(bool(numbers) and data.find(b"OggS", at, end) < 0, in_order)  # tags of other kinds may follow


def _page_end(data: bytes | mmap.mmap, at: int) -> int:
    """The place behind the page that begins at a place."""
    n_segments = data[at + 26]
    return at + 27 + n_segments + sum(data[at + 27 : at + 27 + n_segments])


def _page_checksum(page: bytes) -> int:
    """The checksum of a page: zlib's polynomial, bits the other way round, nothing before and behind."""
    mirrored = (page[:22] + bytes(4) + page[26:]).translate(MIRRORED)
    return int(f"{zlib.crc32(mirrored, 0xFFFFFFFF) ^ 0xFFFFFFFF:032b}"[::-1], 2)


def flac_with_length(path: Path) -> Spliced | None:
    """A FLAC file whose head does not tell its length, with the length that its last frame tells.

    Returns:
        None where the head does tell it, or it is no FLAC file.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        head = bytearray(data[: STREAMINFO.stop])
        if head[:4] != b"fLaC" or len(head) < STREAMINFO.stop or head[21] & 0x0F or any(head[22:26]):
            return None
        block = struct.unpack(">H", head[8:10])[0]
        at = len(data)
        while (at := data.rfind(b"\xff", STREAMINFO.stop, at)) > 0:
            n_samples = _flac_frame_end(data[at : at + 16], block)
            if n_samples:
                head[21] |= n_samples >> 32
                head[22:26] = struct.pack(">I", n_samples & 0xFFFFFFFF)
                return Spliced(path, [(STREAMINFO.stop, len(data))], bytes(head))
    return None


def _flac_frame_end(head: bytes, block: int) -> int:
    """The number of the sample behind a frame, 0 where these bytes are no head of a frame.

    Args:
        head: sixteen bytes from where it may begin.
        block: samples in a frame of a stream of equal frames.
    """
    if len(head) < 6 or head[1] & 0xFE != 0xF8 or head[2] >> 4 == 0 or head[3] & 1:
        return 0
    ones = 8 - (head[4] ^ 0xFF).bit_length()  # leading ones of a number's first byte tell its length, as in UTF-8
    length = max(0, ones - 1)
    if ones in (1, 8):
        return 0
    number = head[4] & (0x7F >> ones)
    for byte in head[5 : 5 + length]:
        number = number << 6 | byte & 0x3F
    at, code = 5 + length, head[2] >> 4
    n_extra = {6: 1, 7: 2}.get(code, 0)
    size = int.from_bytes(head[at : at + n_extra], "big") + 1 if n_extra else 192 if code == 1 else (
        576 << code - 2 if code < 6 else 256 << code - 8)  # fmt: skip
    at += n_extra + {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if at >= len(head) or _crc8(head[:at]) != head[at]:
        return 0
    return (number if head[1] & 1 else number * block) + size


def _crc8(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ 0x07 if value & 0x80 else value << 1) & 0xFF
    return value


def foreign(path: Path) -> str:
    """What a file holds that libsndfile does not know, whatever its name; empty where that cannot be told."""
    with path.open("rb") as file:
        head = file.read(64)
    return "MP4" if head[4:8] == b"ftyp" else "FLAC in Ogg" if head[:4] == b"OggS" and b"\x7fFLAC" in head else ""


def mp3_in_wav(path: Path) -> tuple[int, int] | None:
    """Where the MPEG stream in a WAV file begins and ends; None where there is none."""
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return None
        tag, at, n_bytes = 0, 12, path.stat().st_size
        while at + 8 <= n_bytes:
            file.seek(at)
            name, length = struct.unpack("<4sI", file.read(8))
            if name == b"fmt ":
                tag = struct.unpack("<H", file.read(2))[0]
            elif name == b"data":
                return (at + 8, min(at + 8 + length, n_bytes)) if tag in MP3_IN_WAV else None
            at += 8 + length + length % 2
    return None
