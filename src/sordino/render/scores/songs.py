"""Whole band arrangements from the MIDI files of free games: which of them can be trusted with labels.

Beats are those of the file's own grid and tempo map, kept only where the notes bear them out: one metre throughout, a
felt tempo of 60 to 190 BPM, notes on the grid, beats and downbeats that somebody plays. The key is that of three
key profiles where they agree on the whole song, with its tonic prominent in the bass; else the song has none.

Papers: Krumhansl, Cognitive Foundations of Musical Pitch, 1990; Temperley, Music and Probability, 2007; Albrecht and
Shanahan, The use of large corpora to train a new type of key-finding algorithm, 2013 (profiles).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from .midi_file import MidiNote, UnreadableMidi, read_midi, read_wad
from .pieces import PROFILES, key_fit

DRUM_CHANNEL = 9
TEMPO_BPM = (60.0, 190.0)
SHORTEST_S = 24.0
ON_GRID, ON_BEATS, ON_DOWNBEATS = 0.9, 0.6, 0.7  # least shares of notes, beats and downbeats
# Metre to beats per bar and quarter notes per felt beat.
_METERS = {
    (4, 1.0): (4, 1.0),
    (3, 1.0): (3, 1.0),
    (2, 1.0): (2, 1.0),
    (6, 0.5): (2, 1.5),
    (12, 0.5): (4, 1.5),
    (2, 2.0): (2, 2.0),
}


@dataclass(frozen=True)
class Songs:
    """Where some songs are, and their terms."""

    title: str
    licence: str
    package: str
    files: tuple[str, ...]
    folder: str
    free: bool  # whether renderings may go under any licence


SONGS = {
    "freedoom": Songs("Freedoom, by the contributors to the Freedoom project", "BSD-3-Clause", "freedoom",
                      ("freedoom1.wad", "freedoom2.wad"), "/usr/share/games/doom", True),
    "openmsx": Songs("OpenMSX, music for OpenTTD, by its composers", "GPL-2.0-only", "openttd-openmsx", ("*.mid",),
                     "/usr/share/games/openttd/baseset/openmsx", False),
}  # fmt: skip


@dataclass(frozen=True)
class Song:
    """A MIDI file that can be trusted with labels.

    Attributes:
        id: source and file or lump.
        source: a name in `SONGS`.
        title: its name in the package.
        group: the same for files with the same notes.
        meter: beats per bar and quarter notes per beat.
        tonic: pitch class; None where the key is not sure.
        mode: major or minor.
        length_q: whole bars.
        tempi: (position, seconds per quarter note).
        notes: by onset, from the first bar.
    """

    id: str
    source: str
    title: str
    group: str
    meter: tuple[int, float]
    tonic: int | None
    mode: str
    length_q: float
    tempi: tuple[tuple[float, float], ...]
    notes: tuple[MidiNote, ...]
    n_voices: int = 0

    @property
    def bar_q(self):
        """Length of a bar in quarter notes."""
        return self.meter[0] * self.meter[1]

    @property
    def tempo_bpm(self):
        """The felt tempo that lasts longest."""
        bounds_q = [q for q, _ in self.tempi] + [max(self.length_q, self.tempi[-1][0])]
        lasting = max(range(len(self.tempi)), key=lambda i: bounds_q[i + 1] - bounds_q[i])
        return 60 / (self.tempi[lasting][1] * self.meter[1])


@cache
def load_songs() -> tuple[Song, ...]:
    """Return every song that is on this machine and can be trusted, in a fixed order."""
    found = []
    for source, songs in SONGS.items():
        for pattern in songs.files:
            for path in sorted(Path(songs.folder).glob(pattern)):
                content = path.read_bytes()
                lumps = read_wad(content) if path.suffix == ".wad" else {path.stem: content}
                found += [read_song(content, source, name) for name, content in lumps.items()]
    unique = {song.group: song for song in reversed(found) if song}
    return tuple(sorted(unique.values(), key=lambda song: song.id))


def read_song(content: bytes, source: str, name: str) -> Song | None:
    """Return a song, or None when its grid cannot be trusted."""
    try:
        file = read_midi(content)
    except UnreadableMidi:
        return None
    meters = {(beats, beat_q) for _, beats, beat_q in file.meters} or {(4, 1.0)}
    if len(meters) != 1 or (meter := _METERS.get(meters.pop())) is None or len(file.notes) < 200:
        return None
    bar_q = meter[0] * meter[1]
    first_q = float(file.notes[0].onset_q // bar_q * bar_q)
    notes = tuple(
        MidiNote(n.onset_q - first_q, n.duration_q, n.pitch, n.velocity, n.channel, n.program) for n in file.notes
    )
    length_q = bar_q * max(1, int((max(n.onset_q for n in notes) + 0.01) // bar_q))
    tempi = tuple((q - first_q, s) for q, s in file.tempi)
    group = f"{source}-" + hashlib.sha256(str([(n.pitch, n.onset_q) for n in notes[:200]]).encode()).hexdigest()[:8]
    tonic, mode = sure_key(notes)
    song = Song(f"{source}-{name}", source, name, group, meter, tonic, mode, length_q, tempi, notes)
    long_enough = length_q * meter[1] * 60 / song.tempo_bpm / meter[1] >= SHORTEST_S
    in_range = all(TEMPO_BPM[0] <= 60 / (s * meter[1]) <= TEMPO_BPM[1] for q, s in tempi if q < length_q)
    return song if long_enough and in_range and _grid_holds(song) else None


def _grid_holds(song):
    onsets_q = np.unique(np.round([n.onset_q for n in song.notes], 3))
    steps = np.array([0.25, 1 / 3])  # sixteenths or triplets of a quarter
    off = np.abs(onsets_q[:, None] / steps - np.round(onsets_q[:, None] / steps)) * steps
    on_grid = np.mean(off.min(axis=1) < 0.045)
    beats_q = np.arange(0, song.length_q, song.meter[1])
    low = [n.onset_q for n in song.notes if n.pitch < 50 or n.channel == DRUM_CHANNEL]
    if not low:
        return False
    return (
        on_grid >= ON_GRID
        and _covered(beats_q, onsets_q) >= ON_BEATS
        and _covered(np.arange(0, song.length_q, song.bar_q), np.array(low)) >= ON_DOWNBEATS
    )


def _covered(positions_q, onsets_q):
    """Return the share of positions at which something begins."""
    onsets_q = np.sort(onsets_q)
    near = np.searchsorted(onsets_q, positions_q - 0.06)
    return float(
        np.mean([i < len(onsets_q) and onsets_q[i] <= q + 0.06 for i, q in zip(near, positions_q, strict=True)])
    )


def sure_key(notes) -> tuple[int | None, str]:
    """Return (tonic, mode) on which three profiles agree, (None, "major") where they do not or the bass objects."""
    weights, bass = np.zeros(12), np.zeros(12)
    for note in notes:
        if note.channel != DRUM_CHANNEL:
            weights[note.pitch % 12] += min(note.duration_q, 4.0)
            if note.pitch < 52:
                bass[note.pitch % 12] += min(note.duration_q, 4.0)
    answers = {int(key_fit(weights, profile).argmax()) for profile in PROFILES}
    if len(answers) != 1 or weights.std() == 0:
        return None, "major"
    answer = answers.pop()
    tonic, mode = answer % 12, ("major", "minor")[answer // 12]
    prominent = bass.sum() == 0 or tonic in np.argsort(bass)[-2:]
    return (tonic, mode) if prominent else (None, "major")
