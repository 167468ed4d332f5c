"""Read standard MIDI files, and those inside the WAD archives of Doom-like games.

Conventions: positions in quarter notes. Only what a band plays is kept: notes with their channel and program, the
tempo map and the time signatures. Pitch bends, controllers and exclusive messages are skipped.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field


class UnreadableMidi(ValueError):
    """The bytes are no MIDI file of format 0 or 1 in quarter notes."""


@dataclass(frozen=True)
class MidiNote:
    """One note: where, how long, how high, how hard, and who plays it (channel 9 is drums)."""

    onset_q: float
    duration_q: float
    pitch: int
    velocity: int
    channel: int
    program: int


@dataclass
class MidiFile:
    """The content of a file.

    Attributes:
        notes: by onset.
        tempi: (position, seconds per quarter note), the first at 0.
        meters: (position, beats, quarter notes per written beat).
    """

    notes: list[MidiNote] = field(default_factory=list)
    tempi: list[tuple[float, float]] = field(default_factory=list)
    meters: list[tuple[float, int, float]] = field(default_factory=list)


def read_wad(content: bytes) -> dict[str, bytes]:
    """Return the MIDI files in a WAD archive, by lump name."""
    kind, n_lumps, directory = struct.unpack_from("<4sII", content)
    if kind not in (b"IWAD", b"PWAD"):
        raise UnreadableMidi("no WAD archive")
    found = {}
    for index in range(n_lumps):
        start, size, name = struct.unpack_from("<II8s", content, directory + 16 * index)
        if content[start : start + 4] == b"MThd":
            found[name.rstrip(b"\0").decode("ascii")] = content[start : start + size]
    return found


def read_midi(content: bytes) -> MidiFile:
    """Return the content of a standard MIDI file.

    Raises:
        UnreadableMidi: it is something else, cut off, or counts in seconds.
    """
    if content[:4] != b"MThd":
        raise UnreadableMidi("no MIDI file")
    _, n_tracks, division = struct.unpack_from(">HHH", content, 8)
    if division & 0x8000 or not division:
        raise UnreadableMidi("counts in seconds")
    file, position = MidiFile(), 14
    try:
        for _ in range(n_tracks):
            if content[position : position + 4] != b"MTrk":
                raise UnreadableMidi("a track does not begin where it should")
            (size,) = struct.unpack_from(">I", content, position + 4)
            if position + 8 + size > len(content):
                raise UnreadableMidi("cut off")
            _read_track(content[position + 8 : position + 8 + size], division, file)
            position += 8 + size
    except IndexError:
        raise UnreadableMidi("cut off") from None
    file.notes.sort(key=lambda note: (note.onset_q, note.channel, note.pitch))
    file.tempi = sorted(file.tempi) or [(0.0, 0.5)]
    if file.tempi[0][0] > 0:
        file.tempi.insert(0, (0.0, 0.5))
    file.meters.sort()
    return file


def _read_track(track, division, file):
    at, ticks, status = 0, 0, 0
    sounding: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
    programs = [0] * 16
    while at < len(track):
        delta, at = _number(track, at)
        ticks += delta
        if track[at] & 0x80:
            status, at = track[at], at + 1
        if status == 0xFF:
            kind, (size, at) = track[at], _number(track, at + 1)
            _meta(kind, track[at : at + size], ticks / division, file)
            at += size
        elif status in (0xF0, 0xF7):
            size, at = _number(track, at)
            at += size
        else:
            kind, channel = status & 0xF0, status & 0x0F
            first = track[at]
            second = track[at + 1] if kind not in (0xC0, 0xD0) else 0
            at += 1 if kind in (0xC0, 0xD0) else 2
            if kind == 0xC0:
                programs[channel] = first
            elif kind == 0x90 and second:
                sounding.setdefault((channel, first), []).append((ticks, second, programs[channel]))
            elif kind in (0x80, 0x90) and sounding.get((channel, first)):
                begun, velocity, program = sounding[channel, first].pop(0)
                length_q = max(ticks - begun, 1) / division
                file.notes.append(MidiNote(begun / division, length_q, first, velocity, channel, program))


def _meta(kind, data, position_q, file):
    if kind == 0x51:
        file.tempi.append((position_q, int.from_bytes(data, "big") / 1e6))
    elif kind == 0x58:
        file.meters.append((position_q, data[0], 4 / 2 ** data[1]))


def _number(track, at):
    value = 0
    while True:
        value = value << 7 | track[at] & 0x7F
        at += 1
        if not track[at - 1] & 0x80:
            return value, at
