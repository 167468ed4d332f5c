"""An arrangement: which players a style calls, what each of them plays, and when it is heard.

Everything is drawn from the random generator that is handed in, so an arrangement is a function of the chart, the
palette and the seed.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..sound.palettes import KINDS
from . import drums, players
from .chart import Chart, Part, Performance
from .lines import BASS, CHORDS
from .melody import make_melody, make_riff
from .sections import draw_sections, sounding
from .timing import Swing, make_clock, swing_ratio

CHORAL = ("strings", "strings", "choir", "organ", "church organ", "brass", "piano", "nylon", "oboe", "accordion", "pad")

# Who may carry a melody in any style.
GUESTS = ("flute", "flute", "whistle", "clarinet", "oboe", "mallet", "mallet", "sax", "trumpet", "harmonica", "violin")


def arrange(chart: Chart, palette, rng) -> Performance:
    """Return what a band makes of a chart.

    Args:
        chart: the music.
        palette: the sounds of the split.
        rng: a numpy generator.
    """
    choral = len({note.voice for note in chart.voices}) > 1
    sections = draw_sections(chart.n_bars, chart.change_s, chart.beats * chart.beat_s, rng)
    band = _Band(chart, palette, rng)
    tonal = any(chord.intervals for chord in chart.chords)
    parts = band.choir() if choral else [*band.melody(), *band.accompaniment()] if tonal else []
    p_drums = 0.12 if choral else chart.style.drums if tonal else 1.0
    hits, kit = [], None
    if rng.random() < p_drums and chart.style.grooves:
        kit = palette.draw_kit(chart.style.kits, rng)
        hits = drums.play(chart, sections, kit.crash, rng)
    # Nobody is told to be silent when nobody else is there.
    roles = {part.role for part in parts if part.notes} | ({"drums"} if hits else set())
    sections = tuple(section if roles - set(section.silent) else replace(section, silent=()) for section in sections)
    heard = [replace(part, notes=sounding(part.notes, part.role, sections, chart.bar_q)) for part in parts]
    beaten = sounding(hits, "drums", sections, chart.bar_q)
    return _perform(chart, heard, beaten, kit, rng)


def _perform(chart, parts, hits, kit, rng):
    n_beats = chart.n_bars * chart.beats
    beats_q = np.arange(n_beats + 1) * chart.beat_q
    tempo_bpm = 60 / chart.beat_s
    clock = make_clock(
        beats_q, tempo_bpm, chart.style.time, (0, chart.beats), draw_swing(chart.style, tempo_bpm, rng), rng
    )
    return Performance(
        parts=[part for part in parts if part.notes],
        hits=hits,
        kit=kit,
        chords=_heard_chords(chart, parts),
        beats_q=tuple(beats_q.tolist()),
        downbeats_q=tuple(beats_q[:: chart.beats].tolist()),
        beats_per_bar=chart.beats,
        clock=clock,
        steadiness=chart.style.time,
    )


def draw_swing(style, tempo_bpm, rng):
    """Return the swing of a performance, or None."""
    if style.swing is None:
        return None
    unit, low, high = style.swing
    ratio = swing_ratio(tempo_bpm, low, high, rng) if unit == "8" else float(rng.uniform(low, high))
    return Swing(style.meter[1] / (1 if unit == "8" else 2), ratio)


def _heard_chords(chart, parts):
    """Return the chords of a chart, none where nobody plays a tone."""
    spans = sorted((onset_q, onset_q + duration_q) for part in parts for onset_q, duration_q, _, _ in part.notes)
    found = []
    for chord in chart.chords:
        heard = any(low < chord.end_q - 1e-6 and high > chord.start_q + 1e-6 for low, high in spans)
        found.append(chord if heard else replace(chord, root=0, quality="N", intervals=(), bass=0))
    return tuple(found)


class _Band:
    """The players of one chart, hired from one palette by one random generator."""

    def __init__(self, chart, palette, rng):
        self.chart, self.style, self.palette, self.rng = chart, chart.style, palette, rng

    def _pick(self, options):
        return options[self.rng.integers(len(options))]

    def _hire(self, role, kind, notes, low=70, high=112):
        volume, pan = int(self.rng.integers(low, high)), int(self.rng.integers(24, 105))
        return Part(role, self.palette.draw(kind, self.rng), notes, volume, 64 if role == "bass" else pan)

    def melody(self):
        """The tune of a composition, or a melody or riff made up."""
        rng, chart, parts = self.rng, self.chart, []
        kind = self._pick(GUESTS if rng.random() < 0.2 else self.style.leads)
        low, high = KINDS[kind].range
        notes = list(chart.voices)
        if not notes and rng.random() < 0.75:
            middle = (low + high) // 2
            notes = make_melody(chart, max(low, middle - 10), min(high, middle + 10), rng)
        if notes:
            parts.append(self._hire("lead", kind, players.line(notes, kind, 92, rng), 80, 120))
            if rng.random() < 0.12:
                double = self._pick(self.style.leads)
                parts.append(self._hire("lead", double, players.line(notes, double, 82, rng), 60, 100))
        if rng.random() < self.style.riffs:
            kinds = [
                k
                for _, options in self.style.chords
                for k in options
                if KINDS[k].family in ("guitar", "piano", "synth")
            ]
            kind = self._pick(kinds) if kinds else "clean"
            low, high = KINDS[kind].range
            riff = [
                (n.onset_q, n.duration_q * 0.9, n.pitch, players.velocity(90, rng))
                for n in make_riff(chart, low, high - 12, rng)
            ]
            parts.append(self._hire("riff", kind, riff))
        return parts

    def accompaniment(self):
        """Bass, one or two chordal instruments, often a pad."""
        rng, chart, style = self.rng, self.chart, self.style
        parts = []
        if rng.random() < 0.93:
            names, kinds = style.bass
            kind = self._pick(kinds)
            parts.append(
                self._hire(
                    "bass", kind, players.bass_line(chart, self._pick(BASS[self._pick(names)]), kind, rng), 84, 120
                )
            )
        chosen = [style.chords[i] for i in rng.permutation(len(style.chords))[: 1 + (rng.random() < 0.4)]]
        if len(parts) == 1 and rng.random() < 0.06:
            chosen = []
        for name, kinds in chosen:
            kind = self._pick(kinds)
            parts.append(self._hire("chords", kind, players.chord_part(chart, self._pick(CHORDS[name]), kind, rng)))
        if style.pads and rng.random() < 0.4:
            kind = self._pick(style.pads)
            parts.append(self._hire("pad", kind, players.held_chords(chart, kind, rng), 55, 92))
        return parts

    def choir(self):
        """Four voices on one, two or four instruments, sometimes with a bass beneath."""
        rng, chart = self.rng, self.chart
        kinds = [self._pick(CHORAL) for _ in range(int(rng.choice([1, 2, 4], p=[0.5, 0.3, 0.2])))]
        parts = [self._hire("lead", kind, []) for kind in kinds]
        for number in range(4):
            part = parts[number * len(parts) // 4]
            part.notes += players.voice([n for n in chart.voices if n.voice == number], part.sound.kind, 84, rng)
        if rng.random() < 0.2:
            low = [n for n in chart.voices if n.voice == 3]
            parts.append(self._hire("bass", "upright", players.line(low, "upright", 90, rng)))
        return parts
