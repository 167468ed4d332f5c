"""An arrangement: who plays what, when and how, in quarter notes.

A tune gets a melody instrument, chords in one of several styles, often a bass, drums and a pad. A chorale keeps
its four voices, played by one, two or four instruments, often with a bass and drums beneath. Everything is
drawn from the random generator that is handed in, so an arrangement is a function of the piece, the palette and
the seed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from . import drums
from .harmony import harmonise, merge, read_chords
from .instruments import CHORAL, CHORDAL, MELODIC, fold, pitch_range

SKINS_CHANNEL, CYMBALS_CHANNEL = 9, 25
STYLES = ("block", "offbeat", "arpeggio", "sustain", "rolling", "stab")


@dataclass
class Part:
    """One instrument: its notes as (onset_q, duration_q, pitch, velocity) and how it is set."""

    family: str
    program: int
    volume: int
    pan: int
    notes: list[tuple[float, float, int, int]] = field(default_factory=list)


@dataclass
class Arrangement:
    """All parts of a window of a piece. Positions are relative to the window's start; chords are transposed."""

    parts: list[Part]
    hits: list[drums.Hit]
    kit: tuple[int, int] | None
    chords: list
    pitch_weights: list[float]


def arrange(piece, palette, start_q, end_q, shift, rng):
    """Return an arrangement of a window of a piece.

    Args:
        piece: what is played.
        palette: the sounds of the split.
        start_q: where the window begins; the piece is repeated without end.
        end_q: where it ends.
        shift: transposition in semitones.
        rng: a numpy generator.
    """
    choral = piece.n_voices > 1
    if choral:
        chords = read_chords(piece)
    else:
        half = piece.beats_per_bar % 2 == 0 and piece.beats_per_bar > 2 and rng.random() < 0.5
        sevenths = str(rng.choice(["none", "dominant", "all"], p=[0.3, 0.3, 0.4]))
        chords = harmonise(piece, piece.beats_per_bar // (2 if half else 1), sevenths)
    chords = chord_window(chords, piece.length_q, start_q, end_q)
    chords = [replace(c, root=(c.root + shift) % 12) for c in chords]
    notes = [replace(n, pitch=n.pitch + shift) for n in piece.window(start_q, end_q)]
    first_beat_q = -(start_q % piece.beat_q)
    phase = int(start_q // piece.beat_q) % piece.beats_per_bar
    grid = [
        (first_beat_q + k * piece.beat_q, (phase + k) % piece.beats_per_bar)
        for k in range(int((end_q - start_q) / piece.beat_q) + 2)
    ]
    draw = _Draw(palette, rng, shift)
    parts = draw.choral_parts(notes) if choral else draw.tune_parts(notes, chords, grid, piece)
    if rng.random() < 0.72:
        parts.append(draw.bass_part(notes, chords, grid, piece, choral))
    hits, kit = [], None
    if rng.random() < (0.5 if choral else 0.7):
        kit = palette.kits[rng.integers(len(palette.kits))]
        offset_q = start_q % piece.bar_q
        played = drums.play(piece, end_q - start_q + offset_q, rng, palette.crash)
        hits = [replace(hit, onset_q=hit.onset_q - offset_q) for hit in played if hit.onset_q >= offset_q]
    if rng.random() < 0.25:
        kit = kit or palette.kits[rng.integers(len(palette.kits))]
        hits = hits + drums.stray(end_q - start_q, piece.beat_q, rng)
    weights = [0.0] * 12
    for _, duration_q, pitch, _ in (note for part in parts for note in part.notes):
        weights[pitch % 12] += duration_q
    return Arrangement(parts, hits, kit, chords, weights)


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


class _Draw:
    """Parts drawn from one palette and one random generator."""

    def __init__(self, palette, rng, shift):
        self.palette, self.rng, self.shift = palette, rng, shift

    def _families(self, weights, n=1, without=()):
        """Draw different families by weight."""
        names = [name for name in weights if name not in without]
        shares = [weights[name] for name in names]
        chosen = self.rng.choice(names, n, replace=False, p=[share / sum(shares) for share in shares])
        return [str(name) for name in chosen]

    def _part(self, family, low=70, high=118):
        program = int(self.rng.choice(self.palette.programs[family]))
        return Part(family, program, int(self.rng.integers(low, high)), int(self.rng.integers(24, 105)))

    def _velocity(self, base):
        return int(min(127, max(20, base + self.rng.normal(0, 9))))

    def _line(self, notes, part, base, held=0.92):
        """Put a voice into a part, moved by octaves to where the instrument sounds."""
        low, high = pitch_range(part.family, part.program)
        middle = sum(n.pitch for n in notes) / len(notes) if notes else 60
        octave = fold(round(middle), low + (high - low) // 4, low + (high - low) // 4 + 16) - round(middle)
        for note in notes:
            pitch = fold(note.pitch + octave, low, high)
            part.notes.append((note.onset_q, note.duration_q * held, pitch, self._velocity(base)))
        return part

    def tune_parts(self, notes, chords, grid, piece):
        rng = self.rng
        family = self._families(MELODIC)[0]
        parts = [self._line(notes, self._part(family, 80, 120), base=90)]
        if rng.random() < 0.2:
            parts.append(self._line(notes, self._part(self._families(MELODIC)[0], 60, 100), base=80))
        comp = self._families(CHORDAL, without=(family,))[0]
        style = str(rng.choice(STYLES[:4] if comp in ("organ", "strings", "choir", "brass") else STYLES))
        parts.append(self._comp(comp, style, chords, grid, piece))
        if rng.random() < 0.25:
            pad = str(rng.choice(["strings", "choir", "synth", "organ"]))
            parts.append(self._comp(pad, "sustain", chords, grid, piece, low=55, high=90))
        if rng.random() < 0.12:
            parts.append(self._pedal(piece, chords))
        return parts

    def _pedal(self, piece, chords):
        """A drone on the tonic or the fifth, as pipers and organists play it."""
        part = self._part(str(self.rng.choice(["strings", "organ", "reed", "synth"])), 55, 85)
        low, high = pitch_range(part.family, part.program)
        degree = int(self.rng.choice([0, 7]))
        tone = fold(low + (piece.tonic + self.shift + degree - low) % 12, low, high)
        end_q = chords[-1].end_q
        length_q = 2 * piece.bar_q
        for index in range(int(end_q // length_q) + 1):
            part.notes.append((index * length_q, length_q, tone, self._velocity(70)))
        return part

    def choral_parts(self, notes):
        rng = self.rng
        n_instruments = int(rng.choice([1, 2, 4], p=[0.4, 0.3, 0.3]))
        families = self._families(MELODIC if n_instruments == 4 else CHORAL, n_instruments)
        chosen = [self._part(family) for family in families]
        for voice in range(4):
            part = chosen[voice * n_instruments // 4]
            self._choral_line([n for n in notes if n.voice == voice], part)
        return chosen

    def _choral_line(self, notes, part):
        """Voices keep their octave where they can, so that the chord keeps its spacing."""
        low, high = pitch_range(part.family, part.program)
        for note in notes:
            pitch = fold(note.pitch, low, high)
            part.notes.append((note.onset_q, note.duration_q * 0.97, pitch, self._velocity(84)))

    def _comp(self, family, style, chords, grid, piece, low=60, high=108):
        part = self._part(family, low, high)
        floor, ceiling = pitch_range(part.family, part.program)
        voicing, step_q = None, piece.beat_q / (3 if piece.beat_q == 1.5 else 2)
        for chord in chords:
            voicing = _voice_lead(chord, voicing, max(floor, 50))
            tones = [fold(p, floor, ceiling) for p in voicing]
            beats = [b for b in grid if chord.start_q - 1e-6 <= b[0] < chord.end_q - 1e-6]
            if style == "sustain" or not beats:
                self._strike(part, chord.start_q, (chord.end_q - chord.start_q) * 0.97, tones, 72)
                continue
            for index, (onset_q, in_bar) in enumerate(beats):
                span_q = min(piece.beat_q, chord.end_q - onset_q)
                if style == "block" or (style == "offbeat" and (in_bar != 0 or piece.beats_per_bar < 3)):
                    offset_q = step_q if style == "offbeat" and piece.beats_per_bar == 2 else 0.0
                    self._strike(part, onset_q + offset_q, (span_q - offset_q) * 0.8, tones, 78)
                elif style == "stab" and index % 2 == 0:
                    self._strike(part, onset_q + step_q * (self.rng.random() < 0.4), step_q * 0.7, tones, 84)
                elif style in ("arpeggio", "rolling"):
                    n_steps = round(piece.beat_q / step_q) * (2 if style == "rolling" and step_q == 0.5 else 1)
                    for step in range(n_steps):
                        tone = tones[(index * n_steps + step) % len(tones)]
                        length_q = piece.beat_q / n_steps
                        self._strike(part, onset_q + step * length_q, length_q * 1.5, [tone], 76)
        return part

    def _strike(self, part, onset_q, duration_q, tones, base):
        for tone in tones:
            part.notes.append((onset_q, duration_q, tone, self._velocity(base)))

    def bass_part(self, notes, chords, grid, piece, choral):
        part = self._part("bass", 84, 122)
        low, high = pitch_range("bass", part.program)
        if choral:
            for note in (n for n in notes if n.voice == 3):
                tone = fold(note.pitch, low, high)
                part.notes.append((note.onset_q, note.duration_q * 0.95, tone, self._velocity(90)))
            return part
        style = self.rng.choice(["root", "fifth", "beats", "walk"])
        for chord in chords:
            tones = [fold(36 + (chord.root + i) % 12, low, high) for i in chord.intervals]
            for index, (onset_q, in_bar) in enumerate(b for b in grid if chord.start_q <= b[0] + 1e-6 < chord.end_q):
                if style == "root" and index and in_bar:
                    continue
                tone = tones[0]
                if style == "fifth" and index % 2:
                    tone = tones[2]
                elif style == "walk" and index:
                    chromatic = onset_q + piece.beat_q > chord.end_q - 1e-6 and self.rng.random() < 0.4
                    near = [t - 1 for t in tones[:1]] if chromatic else tones
                    tone = near[int(self.rng.integers(len(near)))]
                length_q = (min(chord.end_q - onset_q, piece.bar_q) if style == "root" else piece.beat_q) * 0.85
                part.notes.append((onset_q, length_q, tone, self._velocity(92)))
        return part


def _voice_lead(chord, before, lowest):
    """Return the tones of a chord near those of the chord before (or near C4 at the beginning)."""
    options = []
    for inversion in range(len(chord.intervals)):
        tones, bottom = [], lowest + (chord.root + chord.intervals[inversion] - lowest) % 12
        for index in range(len(chord.intervals)):
            step = chord.intervals[(inversion + index) % len(chord.intervals)] - chord.intervals[inversion]
            tones.append(bottom + step % 12)
        options += [tones, [t + 12 for t in tones]]
    target = before or [60, 64, 67]
    centre = sum(target) / len(target)
    return min(options, key=lambda tones: abs(sum(tones) / len(tones) - centre) + 0.1 * abs(centre - 61))
