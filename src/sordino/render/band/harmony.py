"""Chords: for a tune that has none, the most plausible ones; for a chorale, those that its voices make.

A tune is harmonised by the best path (Viterbi) through the triads of its scale, one chord per bar or half bar: a chord
gains by the melody notes it contains, more on strong beats, and by a good step from the chord before. Because these
chords are then played, they are certain as labels. The chords of a chorale are read off beat by beat; beats that no
triad or seventh chord explains are labelled ``X``, which the metrics of chord recognition leave out.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..scores.pieces import SCALES, Chord

QUALITIES = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "7": (0, 4, 7, 10),
    "min7": (0, 3, 7, 10),
    "maj7": (0, 4, 7, 11),
    "dim": (0, 3, 6),
    "hdim7": (0, 3, 6, 10),
    "dim7": (0, 3, 6, 9),
}
# How welcome a root movement is, in semitones upwards from one chord to the next.
_MOVEMENT = {0: 0.1, 5: 0.5, 7: 0.35, 2: 0.15, 9: 0.2, 10: 0.15, 3: -0.1, 4: -0.2, 8: 0.0, 11: -0.4, 1: -0.5, 6: -0.8}


def _vocabulary(mode):
    """Return [(semitones above the tonic, quality, liking)] of a mode's triads."""
    if mode == "major":
        return [(0, "maj", 0.5), (7, "maj", 0.35), (5, "maj", 0.3), (9, "min", 0.0), (2, "min", 0.0), (4, "min", -0.3)]
    if mode == "minor":
        return [(0, "min", 0.5), (7, "maj", 0.3), (7, "min", -0.1), (5, "min", 0.25), (8, "maj", 0.1),
                (3, "maj", 0.05), (10, "maj", 0.0)]  # fmt: skip
    third = 3 if mode == "dorian" else 4
    below = (10, "maj", 0.4)
    return [(0, "min" if third == 3 else "maj", 0.5), below, (5, "maj", 0.2), (7, "min", 0.0)]


def harmonise(piece, chord_beats, sevenths="none"):
    """Return chords for a tune.

    Args:
        piece: the tune.
        chord_beats: felt beats per chord; divides the bar.
        sevenths: ``none``; ``dominant`` for a seventh on the dominant where it leads home; ``all`` for sevenths within
            the scale on every chord.
    """
    span_q = chord_beats * piece.beat_q
    n_spans = round(piece.length_q / span_q)
    vocabulary = _vocabulary(piece.mode)
    score = _melody_scores(piece, vocabulary, span_q, n_spans)
    score[0, 0] += 1.0
    score[-1, 0] += 3.0
    path = _best_path(score, vocabulary, spans_per_bar=round(piece.bar_q / span_q))
    chords = []
    for index, choice in enumerate(path):
        degree, quality, _ = vocabulary[choice]
        home = index + 1 < n_spans and vocabulary[path[index + 1]][0] == 0
        if sevenths == "all":
            quality = _scale_seventh(piece, degree, quality)
        elif sevenths == "dominant" and home and (degree, quality) == (7, "maj"):
            quality = "7"
        root = (piece.tonic + degree) % 12
        chords.append(Chord(index * span_q, (index + 1) * span_q, root, quality, QUALITIES[quality]))
    return merge(chords)


def _scale_seventh(piece, degree, quality):
    """Return the seventh chord that the scale builds on a triad (the major triad on 7 is always a dominant)."""
    if quality == "min":
        return "min7"
    major_seventh = (degree + 11) % 12 in SCALES[piece.mode]
    return "maj7" if major_seventh and degree != 7 else "7"


def _melody_scores(piece, vocabulary, span_q, n_spans):
    scores = np.zeros((n_spans, len(vocabulary)))
    tones = [{(degree + i) % 12 for i in QUALITIES[quality]} for degree, quality, _ in vocabulary]
    for note in piece.notes:
        strong = 1.5 if note.onset_q % piece.bar_q == 0 else 1.2 if note.onset_q % piece.beat_q == 0 else 0.8
        first = int(note.onset_q // span_q)
        last = min(int((note.onset_q + note.duration_q - 1e-6) // span_q), n_spans - 1)
        for span in range(first, last + 1):
            heard_q = min(note.onset_q + note.duration_q, (span + 1) * span_q) - max(note.onset_q, span * span_q)
            weight = strong * heard_q / span_q * 3
            degree = (note.pitch - piece.tonic) % 12
            for index in range(len(vocabulary)):
                scores[span, index] += weight if degree in tones[index] else -0.7 * weight
    return scores


def _best_path(score, vocabulary, spans_per_bar):
    n_chords = len(vocabulary)
    step = np.array([[_MOVEMENT[(b[0] - a[0]) % 12] + b[2] for b in vocabulary] for a in vocabulary])
    best, back = score[0] + [v[2] for v in vocabulary], []
    for index in range(1, len(score)):
        # Inside a bar, staying costs nothing and moving must earn its place.
        stay = np.eye(n_chords) * (0.8 if index % spans_per_bar else 0.0)
        total = best[:, None] + step + stay
        back.append(total.argmax(axis=0))
        best = total.max(axis=0) + score[index]
    path = [int(best.argmax())]
    for pointers in reversed(back):
        path.append(int(pointers[path[-1]]))
    return path[::-1]


def read_chords(piece):
    """Return the chords of a piece in several voices, beat by beat; ``X`` where no chord explains the beat."""
    chords = []
    for beat in range(round(piece.length_q / piece.beat_q)):
        start_q, end_q = beat * piece.beat_q, (beat + 1) * piece.beat_q
        weights, bass = np.zeros(12), None
        for note in piece.notes:
            heard_q = min(note.onset_q + note.duration_q, end_q) - max(note.onset_q, start_q)
            if heard_q > 0:
                weights[note.pitch % 12] += heard_q * (1.3 if note.onset_q <= start_q else 1.0)
                if note.voice == 3 and bass is None:
                    bass = note.pitch % 12
        chords.append(_name_beat(weights, bass, start_q, end_q))
    return merge(chords)


def _name_beat(weights, bass, start_q, end_q):
    if weights.sum() == 0:
        return Chord(start_q, end_q, 0, "N", ())
    best = (-np.inf, 0, "X", ())
    for quality, intervals in QUALITIES.items():
        for root in range(12):
            inside = weights[[(root + i) % 12 for i in intervals]]
            missing = (inside[:2] == 0).sum() * 0.5 + (inside[3:] == 0).sum() * 0.5 + (inside[2:3] == 0).sum() * 0.1
            fit = inside.sum() / weights.sum() - missing - 0.08 * (len(intervals) - 3) + 0.03 * (root == bass)
            if fit > best[0]:
                best = (fit, root, quality, intervals)
    fit, root, quality, intervals = best
    if fit < 0.72:
        return Chord(start_q, end_q, 0, "X", ())
    return Chord(start_q, end_q, root, quality, intervals)


def merge(chords):
    """Join neighbouring spans of one chord."""
    joined = []
    for chord in chords:
        if joined and replace(joined[-1], start_q=chord.start_q, end_q=chord.end_q) == chord:
            chord = replace(chord, start_q=joined.pop().start_q)
        joined.append(chord)
    return joined


def chord_window(chords, length_q, start_q, end_q):
    """Return the chords between two positions of a piece repeated without end, relative to ``start_q``."""
    found = []
    for lap in range(int(start_q // length_q), int(end_q // length_q) + 1):
        for chord in chords:
            low = max(chord.start_q + lap * length_q - start_q, 0.0)
            high = min(chord.end_q + lap * length_q - start_q, end_q - start_q)
            if high > low:
                found.append(replace(chord, start_q=low, end_q=high))
    return merge(found)
