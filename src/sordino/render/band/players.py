"""Players who read figures: basses, chords struck and strummed, broken chords, held chords.

Notes are (onset_q, duration_q, pitch, velocity). What the characters of a figure mean: `lines`.
"""

from __future__ import annotations

from ..sound.palettes import KINDS, fold
from .figures import repeat

_STRUM_S = 0.012  # from string to string
_DAMPED = 0.12  # of a beat


def velocity(base, rng, spread=8.0):
    """Return a velocity near a base."""
    return int(min(127, max(18, base + rng.normal(0, spread))))


def bass_line(chart, figure, kind, rng):
    """Return a bass line."""
    low, high = KINDS[kind].range
    notes = []
    for stroke, onset in repeat(figure, chart.n_bars, chart.beats):
        onset_q, duration_q = onset * chart.beat_q, stroke.duration * chart.beat_q
        chord, after = chart.chord_at(onset_q)
        if not chord.intervals:
            continue
        root = fold(low + (chord.root + chord.bass - low) % 12, low, low + 14)
        pitch = root + _bass_step(stroke.symbol, chord, rng)
        if stroke.symbol == "a":
            target = fold(low + (after.root + after.bass - low) % 12, low, low + 14)
            pitch = target + int(rng.choice([-1, 1, -2, 2], p=[0.4, 0.2, 0.25, 0.15]))
        accent = 96 if onset % 1 == 0 else 86
        # A note never lasts into the next chord.
        duration_q = min(duration_q, max(chord.end_q - onset_q, 0.1))
        notes.append((onset_q, duration_q * 0.92, fold(pitch, low, high), velocity(accent, rng)))
    return notes


def _bass_step(symbol, chord, rng):
    tones = (*chord.intervals[:3], 10)
    third, fifth = tones[1] % 12, (tones[2] if len(chord.intervals) > 2 else 7)
    seventh = chord.intervals[3] % 12 if len(chord.intervals) > 3 else 10 if "min" in chord.quality else 9
    if chord.bass and symbol == "R":
        return 0
    steps = {"R": 0, "3": third, "5": fifth, "6": 9, "7": seventh, "8": 12, "a": 0}
    step = steps[symbol] if symbol in steps else int(rng.choice([0, third, fifth, seventh, 12]))
    return step - chord.bass


def voice_lead(chord, before, lowest):
    """Return the tones of a chord near those of the chord before (or near C4 at the beginning)."""
    options = []
    tones_in = sorted({i % 12 for i in chord.intervals})
    for inversion in range(len(tones_in)):
        bottom = lowest + (chord.root + tones_in[inversion] - lowest) % 12
        tones = [
            bottom + (tones_in[(inversion + i) % len(tones_in)] - tones_in[inversion]) % 12
            for i in range(len(tones_in))
        ]
        options += [tones, [t + 12 for t in tones]]
    target = before or [60, 64, 67]
    centre = sum(target) / len(target)
    return min(options, key=lambda tones: abs(sum(tones) / len(tones) - centre) + 0.1 * abs(centre - 61))


def guitar_shape(chord, low, high):
    """Return the tones of a chord on up to six strings, root lowest."""
    root = fold(low + (chord.root - low) % 12, low, low + 11)
    inside = {(chord.root + i) % 12 for i in chord.intervals}
    tones, at = [root], root
    while len(tones) < 6:
        at += 3
        while at % 12 not in inside:
            at += 1
        if at > min(high, root + 28):
            break
        tones.append(at)
    return tones


def power_chord(chord, low, high):
    """Return root, fifth and octave."""
    root = fold(low + (chord.root - low) % 12, low, low + 11)
    fifth = chord.intervals[2] if len(chord.intervals) > 2 and chord.intervals[2] in (6, 7, 8) else 7
    return [t for t in (root, root + fifth, root + 12) if t <= high]


def chord_part(chart, figure, kind, rng):
    """Return chords, strums and broken chords."""
    wanted = KINDS[kind]
    low, high = wanted.range
    powered = wanted.drive >= 10
    strummed = wanted.family == "guitar" and any(symbol in figure for symbol in "sum")
    picked = wanted.family == "guitar" and any(symbol in figure for symbol in "123456")
    notes, voicing, held_for = [], None, None
    for stroke, onset in repeat(figure, chart.n_bars, chart.beats):
        onset_q, duration_q = onset * chart.beat_q, stroke.duration * chart.beat_q
        chord, _ = chart.chord_at(onset_q)
        if not chord.intervals:
            continue
        if powered:
            tones = power_chord(chord, low, high)
        elif strummed or picked:
            tones = guitar_shape(chord, low, high)
        else:
            if chord is not held_for:
                voicing, held_for = voice_lead(chord, voicing, max(low, 50)), chord
            tones = sorted({fold(p, low, high) for p in voicing or ()})
        # What is held changes with the harmony; what is short may be an anticipation.
        first_q = min(duration_q, chord.end_q - onset_q) if stroke.duration > 1 else duration_q
        notes += _strike(chart, stroke.symbol, tones, onset_q, first_q, low, rng)
        for late_chord, late_q, late_duration_q in _changes(chart, chord, onset_q, duration_q):
            shape = power_chord if powered else guitar_shape
            tones = (
                shape(late_chord, low, high)
                if powered or strummed or picked
                else voice_lead(late_chord, voicing, max(low, 50))
            )
            notes += _strike(
                chart, stroke.symbol, sorted({fold(p, low, high) for p in tones}), late_q, late_duration_q, low, rng
            )
    return notes


def _changes(chart, chord, onset_q, duration_q):
    """Yield (chord, where, how long) of the chords that begin while a stroke is held."""
    end_q = onset_q + duration_q
    if duration_q <= chart.beat_q:
        return
    for later in chart.chords:
        if onset_q + 1e-6 < later.start_q < end_q - 1e-6 and later is not chord and later.intervals:
            yield later, later.start_q, min(later.end_q, end_q) - later.start_q


def _strike(chart, symbol, tones, onset_q, duration_q, low, rng):
    """Return the notes of one stroke."""
    if symbol in "123456":
        index = int(symbol) - 1
        pitch = tones[index % len(tones)] + 12 * (index // len(tones))
        return [(onset_q, duration_q * 1.3, pitch, velocity(78, rng))]
    if symbol == "b":
        return [(onset_q, duration_q * 0.9, max(tones[0] - 12, low + (tones[0] - low) % 12), velocity(82, rng))]
    base = {"u": 66, "m": 50, "t": 74}.get(symbol, 80)
    if symbol == "m":
        duration_q = _DAMPED * chart.beat_q
    if symbol == "t":
        tones = tones[1:] or tones
    if symbol in "sum":
        step_q = _STRUM_S * rng.uniform(0.4, 1.5) / chart.beat_s * chart.beat_q
        order = tones[::-1][:4] if symbol == "u" else tones
        return [(onset_q + i * step_q, duration_q * 0.95, tone, velocity(base, rng)) for i, tone in enumerate(order)]
    return [(onset_q, duration_q * 0.92, tone, velocity(base, rng)) for tone in tones]


def held_chords(chart, kind, rng):
    """Return chords held as long as they last."""
    low, high = KINDS[kind].range
    notes, voicing = [], None
    for chord in chart.chords:
        if chord.intervals:
            voicing = voice_lead(chord, voicing, max(low, 52))
            tones = {fold(p, low, high) for p in voicing}
            notes += [
                (chord.start_q, (chord.end_q - chord.start_q) * 0.98, p, velocity(72, rng)) for p in sorted(tones)
            ]
    return notes


def line(notes, kind, base, rng, held=0.92):
    """Return a melody, moved by octaves to where the instrument sounds."""
    low, high = KINDS[kind].range
    middle = sum(n.pitch for n in notes) / len(notes) if notes else 60
    octave = fold(round(middle), low + (high - low) // 4, low + (high - low) // 4 + 16) - round(middle)
    return [(n.onset_q, n.duration_q * held, fold(n.pitch + octave, low, high), velocity(base, rng, 9)) for n in notes]


def voice(notes, kind, base, rng):
    """Return one voice of several, in its own octave where the instrument has it, so that chords keep their spacing."""
    low, high = KINDS[kind].range
    return [(n.onset_q, n.duration_q * 0.97, fold(n.pitch, low, high), velocity(base, rng)) for n in notes]
