"""What a band has before it on the stand, and what it makes of it.

Conventions: positions in quarter notes from the first downbeat of what is rendered; parts play from there to the last
bar. Where in it the clip begins is decided later.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from ..scores.pieces import Chord, Note
from ..sound.palettes import Kit, Sound
from .drums import Hit
from .style import Style
from .timing import Clock


@dataclass(frozen=True)
class Chart:
    """The music to be arranged.

    Attributes:
        style: how it is played.
        beat_s: length of a beat.
        n_bars: how long it is.
        chords: without gaps.
        tonic: pitch class of the key.
        mode: major or minor.
        voices: melody, or several voices, of a composition; empty when a melody is to be made up.
        change_s: from when until when a change of the section would be heard.
    """

    style: Style
    beat_s: float
    n_bars: int
    chords: tuple[Chord, ...]
    tonic: int
    mode: str
    voices: tuple[Note, ...] = ()
    change_s: tuple[float, float] = (4.0, 10.0)

    @property
    def beat_q(self):
        """Length of a beat in quarter notes."""
        return self.style.meter[1]

    @property
    def beats(self):
        """Beats per bar."""
        return self.style.meter[0]

    @property
    def bar_q(self):
        """Length of a bar in quarter notes."""
        return self.beats * self.beat_q

    @property
    def end_q(self):
        """Where the last bar ends."""
        return self.n_bars * self.bar_q

    def chord_at(self, position_q) -> tuple[Chord, Chord]:
        """Return the chord that sounds at a position, and the one after it."""
        index = bisect_right(self.chords, position_q + 1e-6, key=lambda chord: chord.start_q) - 1
        index = max(0, index)
        return self.chords[index], self.chords[min(index + 1, len(self.chords) - 1)]


@dataclass
class Part:
    """One player.

    Attributes:
        role: bass, chords, pad, lead or riff.
        sound: the instrument.
        notes: (onset_q, duration_q, pitch, velocity).
        volume: 0 to 127.
        pan: 0 (left) to 127.
    """

    role: str
    sound: Sound
    notes: list[tuple[float, float, int, int]] = field(default_factory=list)
    volume: int = 100
    pan: int = 64


@dataclass(frozen=True)
class Performance:
    """Everything that is heard, and when.

    Attributes:
        parts: the players.
        hits: strokes of the drums.
        kit: the drums, or None.
        chords: what the players play, or None when that is not known.
        beats_q: positions of the beats.
        downbeats_q: those that begin a bar.
        beats_per_bar: of the metre.
        clock: from positions to seconds.
        steadiness: a name in `timing.LOOSENESS_S`.
    """

    parts: list[Part]
    hits: list[Hit]
    kit: Kit | None
    chords: tuple[Chord, ...] | None
    beats_q: tuple[float, ...]
    downbeats_q: tuple[float, ...]
    beats_per_bar: int
    clock: Clock
    steadiness: str
