"""A song from a MIDI file as a performance: its own parts and drums, other sounds, another key, about its own tempo."""

from __future__ import annotations

from collections import defaultdict
from math import ceil

import numpy as np

from .band.chart import Part, Performance
from .band.drums import Hit
from .band.style import Style
from .band.timing import Clock
from .charts import RENDERED_S, Request, Unsuitable
from .scores.songs import DRUM_CHANNEL, Song, sure_key
from .sound.palettes import KINDS, PALETTES, fold

_KIND_OF = {program: kind for kind in reversed(KINDS) for program in KINDS[kind].programs}
# Programs that no kind has, and the kind that comes near.
_KIND_OF |= {43: "strings", 47: "tuba", 55: "brass", 76: "flute", 83: "saw lead", 84: "saw lead", 86: "saw lead",
             93: "pad", 99: "pad", 101: "pad", 102: "pad", 103: "pad", 104: "nylon", 106: "banjo", 107: "harp",
             31: "clean"}  # fmt: skip
RECORDS = ("modern", "band", "live", "vintage")


def song_style(record: str) -> Style:
    """Return the style that stands for all songs: its name and the kind of recording are all that is asked of it."""
    nobody = ((), ())
    return Style(
        "song",
        0.0,
        (4, 1.0),
        (120, 0.1, 60, 190),
        0.5,
        "tight",
        "pop",
        (),
        ("acoustic",),
        nobody,
        (),
        (),
        record=record,
    )


def perform(request: Request, rng) -> Performance:
    """Return a window of a song.

    Args:
        request: names the song (`piece`), its key and its tempo.
        rng: a numpy generator.

    Raises:
        Unsuitable: the song is too short, or its window is in another key than the whole.
    """
    song = request.piece
    assert isinstance(song, Song)
    quarter_s = 60 / (request.tempo_bpm * song.meter[1])
    n_bars = ceil(1.1 * RENDERED_S / (quarter_s * song.bar_q)) + 2
    total = round(song.length_q / song.bar_q)
    if total <= n_bars:
        raise Unsuitable(f"{request.id}: {song.id} is too short")
    start_q = song.bar_q * int(rng.integers(total - n_bars))
    end_q = start_q + n_bars * song.bar_q
    window = [n for n in song.notes if start_q - 1e-6 <= n.onset_q < end_q]
    if len(window) < 4 * n_bars:
        raise Unsuitable(f"{request.id}: {song.id} has a pause here")
    if request.keyed and sure_key(window) != (song.tonic, song.mode):
        raise Unsuitable(f"{request.id}: {song.id} does not sound in its key here")
    shift = (request.tonic - song.tonic + 6) % 12 - 6 if song.tonic is not None else int(rng.integers(-5, 7))
    palette = PALETTES[request.palette]
    hits = [Hit(n.onset_q - start_q, n.pitch, n.velocity) for n in window if n.channel == DRUM_CHANNEL]
    beats_q = np.arange(n_bars * song.meter[0] + 1) * song.meter[1]
    return Performance(
        parts=_parts(window, start_q, shift, palette, rng),
        hits=hits,
        kit=palette.draw_kit(("acoustic", "acoustic", "machine"), rng) if hits else None,
        chords=None,
        beats_q=tuple(beats_q.tolist()),
        downbeats_q=tuple(beats_q[:: song.meter[0]].tolist()),
        beats_per_bar=song.meter[0],
        clock=_clock(song, start_q, beats_q, request.tempo_bpm / song.tempo_bpm),
        steadiness="tight",
    )


def _parts(window, start_q, shift, palette, rng):
    voices = defaultdict(list)
    for note in window:
        if note.channel != DRUM_CHANNEL and note.program in _KIND_OF:
            voices[note.channel, note.program].append(note)
    parts = []
    for (_, program), notes in sorted(voices.items()):
        kind = _KIND_OF[program]
        low, high = KINDS[kind].range
        played = [
            (n.onset_q - start_q, n.duration_q, fold(n.pitch + shift, low - 5, high + 7), n.velocity) for n in notes
        ]
        # The louder of the file's balance is kept by velocities; volumes are all about the same.
        parts.append(
            Part("song", palette.draw(kind, rng), played, int(rng.integers(84, 112)), int(rng.integers(24, 105)))
        )
    return parts


def _clock(song, start_q, beats_q, faster):
    """Return the song's tempo map between two positions, a little faster or slower."""
    bounds_q = np.array([q for q, _ in song.tempi] + [song.length_q + 10_000])
    lengths_s = np.array([s for _, s in song.tempi]) / faster
    bounds_s = np.concatenate([[0.0], np.cumsum(np.diff(bounds_q) * lengths_s)])
    positions_q = np.concatenate([[beats_q[0] - 16], beats_q, [beats_q[-1] + 16]])
    seconds = np.interp(positions_q + start_q, bounds_q, bounds_s)
    seconds[0], seconds[-1] = seconds[1] - 16 * lengths_s[0], seconds[-2] + 16 * lengths_s[-1]
    return Clock(tuple(positions_q), tuple(seconds - seconds[1]))
