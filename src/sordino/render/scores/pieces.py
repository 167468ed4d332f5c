"""A piece of symbolic music, as small as the renderer needs it.

Conventions: positions and lengths are in quarter notes (suffix ``_q``), pitches are MIDI numbers, a pitch
class is 0 (C) to 11 (B). A piece starts on a downbeat and is a whole number of bars long, so it can be looped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

MAJOR_NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MINOR_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")

_DEGREES = {3: "b3", 4: "3", 7: "5"}  # of a chord's bass, in Harte's syntax

# Semitones of the seven degrees above the tonic.
SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
}

# How strongly each degree belongs to a key: of major, of minor.
PROFILES = {
    # Albrecht and Shanahan, "The use of large corpora to train a new type of key-finding algorithm" (2013), table 1.
    "albrecht": ((0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081),
                 (0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052)),
    # Krumhansl, Cognitive Foundations of Musical Pitch (1990), table 2.1.
    "krumhansl": ((6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
                  (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)),
    # Temperley, Music and Probability (2007), figure 6.4.
    "temperley": ((0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400),
                  (0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.133, 0.330)),
}  # fmt: skip


@dataclass(frozen=True)
class Note:
    """One sounding note: where it starts, how long it lasts, its pitch and the voice it belongs to."""

    onset_q: float
    duration_q: float
    pitch: int
    voice: int = 0


@dataclass(frozen=True)
class Chord:
    """One harmony: a root, a Harte quality (``maj``, ``min``, ``7``...), the semitones of its tones and of its bass."""

    start_q: float
    end_q: float
    root: int
    quality: str
    intervals: tuple[int, ...]
    bass: int = 0

    def label(self, shift_semitones=0):
        """Return the Harte label of the chord after a transposition; ``N`` and ``X`` stay what they are."""
        if not self.intervals:
            return self.quality
        names = MINOR_NAMES if self.quality.startswith("min") else MAJOR_NAMES
        bass = f"/{_DEGREES[self.bass]}" if self.bass else ""
        return f"{names[(self.root + shift_semitones) % 12]}:{self.quality}{bass}"


@dataclass(frozen=True)
class Piece:
    """One composition (or its melody) with metre and key, ready to be arranged.

    Attributes:
        id: unique name, used in labels.
        source: name of the collection, a key of ``sources.COLLECTIONS``.
        title: as printed in the source; tunes of one title are kept in one split.
        tonic: pitch class of the final.
        mode: a key of ``SCALES``.
        beats_per_bar: number of felt beats in a bar.
        beat_q: length of one felt beat in quarter notes (1.5 in compound metre).
        length_q: a whole number of bars.
        notes: sorted by onset.
        n_voices: 1 for a tune, 4 for a chorale.
    """

    id: str
    source: str
    title: str
    tonic: int
    mode: str
    beats_per_bar: int
    beat_q: float
    length_q: float
    notes: tuple[Note, ...]
    n_voices: int = 1

    @property
    def bar_q(self):
        """Length of a bar in quarter notes."""
        return self.beats_per_bar * self.beat_q

    @property
    def onsets_per_beat(self):
        """Mean number of distinct onsets in a beat: how busy the music is whatever its tempo."""
        return len({note.onset_q for note in self.notes}) * self.beat_q / self.length_q

    @property
    def sure_of_key(self):
        """Whether a piece in major or minor has the notes of that key before all others, and ends on the tonic's chord.

        A piece in another mode must end there.
        """
        triad = {(self.tonic + step) % 12 for step in (0, 7, 4 if self.third == "major" else 3)}
        last = self.notes[-1].pitch % 12
        if self.mode not in ("major", "minor"):
            return last in triad
        fits = key_margin(pitch_class_weights(self.notes), self.tonic, self.mode) > 0
        return fits and (last in triad or self.n_voices > 1)

    @property
    def third(self):
        """The mode a listener names: major or minor, by the third of the scale."""
        return "minor" if SCALES[self.mode][2] == 3 else "major"

    def window(self, start_q, end_q):
        """Return the notes that sound between two positions, the piece being repeated without end.

        Positions in the answer are relative to ``start_q``; a note that is already sounding at the start has a
        negative onset.
        """
        found = []
        for lap in range(int(start_q // self.length_q) - 1, int(end_q // self.length_q) + 1):
            offset_q = lap * self.length_q - start_q
            for note in self.notes:
                onset_q = note.onset_q + offset_q
                if onset_q < end_q - start_q and onset_q + note.duration_q > 0:
                    found.append(replace(note, onset_q=onset_q))
        return sorted(found, key=lambda note: note.onset_q)


def key_name(tonic, mode):
    """Return a key as mir_eval reads it, for instance ``Eb major`` or ``G# minor``."""
    names = MAJOR_NAMES if mode == "major" else MINOR_NAMES
    return f"{names[tonic % 12]} {mode}"


def pitch_class_weights(notes):
    """Return how long each of the twelve pitch classes sounds, in quarter notes."""
    weights = np.zeros(12)
    for note in notes:
        weights[note.pitch % 12] += note.duration_q
    return weights


def key_fit(weights, profile="albrecht"):
    """Correlate pitch-class weights with every major and minor key.

    Args:
        weights: twelve durations, C first.
        profile: a name in `PROFILES`.

    Returns:
        An array of two rows (major, minor) and twelve columns (tonics).
    """
    weights = np.asarray(weights, dtype=float)
    if weights.std() == 0:
        return np.zeros((2, 12))
    return np.array(
        [[np.corrcoef(np.roll(degrees, tonic), weights)[0, 1] for tonic in range(12)] for degrees in PROFILES[profile]]
    )


def key_margin(weights, tonic, mode):
    """Return by how much a key fits better (positive) or worse (negative) than the best of the other 23."""
    fit = key_fit(weights)
    row = 0 if mode == "major" else 1
    own = fit[row, tonic % 12]
    fit[row, tonic % 12] = -np.inf
    return own - fit.max()
