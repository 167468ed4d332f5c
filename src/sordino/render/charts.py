"""The chart of a clip: a composition from the books, or progression and metre made up, in the key that is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

from .band.chart import Chart
from .band.harmony import chord_window, harmonise, merge, read_chords
from .band.progressions import colour, draw, realise
from .band.style import Style
from .scores.pieces import Chord, Piece, key_margin, pitch_class_weights
from .scores.songs import Song

# How well a clip's notes fit its key against the best of the other 23 (difference of correlations). Excerpts of
# real music often leave the key open, clean tunes hardly ever: so every other tune is taken from where its key
# is least obvious.
KEY_MARGIN = -0.03
OPEN_MARGIN = 0.10
CLIP_S = 10.0
LEAD_S = 2.0  # rendered before the clip and cut off, so that notes are already sounding when it begins
RENDERED_S = LEAD_S + CLIP_S + 0.1
MODULATES = -0.12  # a clip of a chorale counts as modulating when its notes fit another key so much better


class Unsuitable(ValueError):
    """This window of this piece cannot carry the label that was asked for."""


@dataclass(frozen=True)
class Request:
    """What a clip shall be.

    Attributes:
        id: its name.
        split: train, validation or test.
        group: the group of its piece; its own where the music is made up.
        style: how it is played.
        palette: name of its sounds, in `palettes.PALETTES`.
        tempo_bpm: felt beats per minute.
        tonic: pitch class of the key.
        mode: major or minor.
        keyed: True for a clip with a key label, False for one that has none.
        seed: numbers that decide everything else.
        piece: a composition; None for music that is made up.
        open: take a window whose notes leave the key rather open.
    """

    id: str
    split: str
    group: str
    style: Style
    palette: str
    tempo_bpm: float
    tonic: int
    mode: str
    keyed: bool
    seed: tuple[int, ...]
    piece: Piece | Song | None = None
    open: bool = False


def make_chart(request: Request, rng) -> Chart:
    """Return the chart of a clip.

    Args:
        request: what it shall be.
        rng: a numpy generator.

    Raises:
        Unsuitable: the window's notes do not fit (or, without key, fit too well) the key of the piece.
    """
    beats, beat_q = request.style.meter
    bar_s = beats * 60 / request.tempo_bpm
    n_bars = ceil(1.06 * RENDERED_S / bar_s) + 3  # the clip begins anywhere in the first bar; tempi drift
    make = _from_piece if request.piece else _made_up
    chords, voices = make(request, n_bars, beats * beat_q, rng)
    change_s = LEAD_S + bar_s + 1.5, LEAD_S + CLIP_S - 1.5  # within the clip, wherever that begins
    return Chart(
        request.style,
        60 / request.tempo_bpm,
        n_bars,
        tuple(chords),
        request.tonic,
        request.mode,
        tuple(voices),
        change_s,
    )


def _from_piece(request, n_bars, bar_q, rng):
    """Return (chords, voices) of a window of a piece, which is repeated without end."""
    piece, choral = request.piece, request.piece.n_voices > 1
    if choral:
        chords = read_chords(piece)
    else:
        half = piece.beats_per_bar % 2 == 0 and rng.random() < 0.4
        sevenths = str(rng.choice(["none", "dominant", "all"], p=[0.5, 0.25, 0.25]))
        chords = harmonise(piece, piece.beats_per_bar // (2 if half else 1), sevenths)
    shift = (request.tonic - piece.tonic + 6) % 12 - 6
    start_q = bar_q * int(rng.integers(max(1, round(piece.length_q / bar_q))))
    end_q = start_q + n_bars * bar_q
    chords = chord_window(chords, piece.length_q, start_q, end_q)
    chords = [replace(chord, root=(chord.root + shift) % 12) for chord in chords]
    notes = [replace(note, pitch=note.pitch + shift) for note in piece.window(start_q, end_q) if note.onset_q >= 0]
    weights = pitch_class_weights(notes)
    for chord in () if choral else chords:
        for interval in chord.intervals:
            weights[(chord.root + interval) % 12] += chord.end_q - chord.start_q
    margin = key_margin(weights, request.tonic, request.mode)
    if request.keyed and piece.mode in ("major", "minor") and margin < KEY_MARGIN:
        raise Unsuitable(f"{request.id}: {piece.id} does not sound in its key here")
    if request.open and margin > OPEN_MARGIN:
        raise Unsuitable(f"{request.id}: {piece.id} is too clear about its key here")
    if not request.keyed and margin > MODULATES:
        raise Unsuitable(f"{request.id}: {piece.id} does not modulate here")
    return chords, notes


def _made_up(request, n_bars, bar_q, rng):
    """Return (chords, no voices): one progression, or one after another; without a key it changes key on the way."""
    style = request.style
    turns = [_turn(style, request.mode, request.tonic, bar_q, rng) for _ in range(2)]
    turn = turns[0]
    start = int(rng.integers(max(1, round(turn[-1].end_q / bar_q)))) * bar_q
    chords = chord_window(turn, turn[-1].end_q, start, start + n_bars * bar_q)
    change_q = bar_q * (n_bars // 2 + int(rng.integers(-1, 2)))
    if not request.keyed and style.grooves and rng.random() < 0.3:
        return [Chord(0.0, n_bars * bar_q, 0, "N", ())], ()  # nothing but drums
    if not request.keyed:
        shift = int(rng.choice([1, 2, 3, 5, 7, 9]))
        moved = [replace(chord, root=(chord.root + shift) % 12) for chord in chords]
        chords = _then(chords, moved, change_q)
    elif rng.random() < 0.3:
        chords = _then(chords, chord_window(turns[1], turns[1][-1].end_q, 0.0, n_bars * bar_q), change_q)
    return merge(chords), ()


def _then(first, second, change_q):
    """Return the first chords up to a position and the second from there."""
    before = [replace(chord, end_q=min(chord.end_q, change_q)) for chord in first if chord.start_q < change_q]
    return before + [replace(chord, start_q=max(chord.start_q, change_q)) for chord in second if chord.end_q > change_q]


def _turn(style, mode, tonic, bar_q, rng):
    progression = draw(style.harmony, mode, rng)
    long = progression.count("|") < 6
    slow = 60 < style.tempo_bpm[0] < 150
    per_chord = float(rng.choice([0.5, 1.0, 2.0], p=[0.08, 0.72, 0.2] if slow else [0.02, 0.38, 0.6])) if long else 1.0
    if style.meter[0] % 2:
        per_chord = max(per_chord, 1.0)
    return colour(realise(progression, tonic, bar_q, per_chord), style.colour, rng)
