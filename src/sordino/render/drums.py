"""Drum patterns that follow the metre, and stray percussion that does not.

A pattern is written per felt beat: a string of steps for each drum, ``x`` a hit, ``o`` a strong hit, ``.``
nothing. Simple beats have four steps, compound beats three. A pattern for one beat number is taken when the bar
has that many beats.
"""

from __future__ import annotations

from dataclasses import dataclass

KICK, RIM, SNARE, CLAP, CLOSED, PEDAL, OPEN, RIDE, CRASH = 36, 37, 38, 39, 42, 44, 46, 51, 49
LOW_TOM, MID_TOM, HIGH_TOM, COWBELL, CONGA_HIGH, CONGA_LOW, CLAVE = 45, 47, 50, 56, 62, 64, 75
CYMBALS = {CLAP, CLOSED, PEDAL, OPEN, RIDE, CRASH, COWBELL, CONGA_HIGH, CONGA_LOW, CLAVE}
STRAY = (COWBELL, CONGA_HIGH, CONGA_LOW, CLAVE, CLAP)


@dataclass(frozen=True)
class Hit:
    """One stroke: its position in quarter notes, General MIDI drum and velocity."""

    onset_q: float
    drum: int
    velocity: int


# Key: (beats per bar, compound). Each pattern: drum to a string with a space between beats.
PATTERNS = {
    (4, False): (
        {KICK: "o... ..x. o... ....", SNARE: ".... o... .... o...", CLOSED: "x.x. x.x. x.x. x.x."},
        {KICK: "o... .... o.x. ....", SNARE: ".... o... .... o..x", CLOSED: "xxxx xxxx xxxx xxxx"},
        {KICK: "o... o... o... o...", CLAP: ".... o... .... o...", OPEN: "..x. ..x. ..x. ..x."},
        {KICK: "o... .... x... ....", SNARE: "..x. x.xx ..x. x.xx", PEDAL: ".... x... .... x..."},
        {KICK: "o... .... .... ..x.", RIM: ".... .... o... ....", RIDE: "x... x... x... x..."},
        {KICK: "o... .... x... ....", RIDE: "x... x..x x... x..x", PEDAL: ".... x... .... x..."},
        {KICK: "o..x ..x. ..x. x...", SNARE: ".... o... .... o...", CLOSED: "x.xx x.xx x.xx x.xx"},
    ),
    (2, False): (
        {KICK: "o... ....", SNARE: "..x. ..x.", CLOSED: "x... x..."},
        {KICK: "o... ....", SNARE: ".... o...", CLOSED: "x.x. x.x."},
        {KICK: "o... o...", SNARE: "x.xx x.x.", PEDAL: "..x. ..x."},
        {LOW_TOM: "o... ..x.", CLAVE: "..x. x..."},
    ),
    (3, False): (
        {KICK: "o... .... ....", SNARE: ".... x... x...", CLOSED: "x... x... x..."},
        {KICK: "o... .... ....", RIM: ".... .... x...", RIDE: "x... x.x. x.x."},
        {KICK: "o... ..x. ....", SNARE: ".... .... o...", CLOSED: "x.x. x.x. x.x."},
    ),
    (2, True): (
        {KICK: "o.. ...", SNARE: "... o..", CLOSED: "xxx xxx"},
        {KICK: "o.. o..", SNARE: "..x ..x", PEDAL: "x.. x.."},
        {LOW_TOM: "o.x x.x", CLAVE: "x.. x.."},
    ),
    (3, True): (
        {KICK: "o.. ... ...", SNARE: "... x.. x..", CLOSED: "x.x x.x x.x"},
        {KICK: "o.. o.. o..", CLOSED: "xxx xxx xxx"},
    ),
    (4, True): (
        {KICK: "o.. ... o.. ...", SNARE: "... o.. ... o..", CLOSED: "xxx xxx xxx xxx"},
        {KICK: "o.. ..x o.. ...", SNARE: "... o.. ... o..", RIDE: "x.x x.x x.x x.x"},
    ),
}


def play(piece, end_q, rng, crash):
    """Return the hits of one pattern from position 0 to ``end_q``, with fills.

    Args:
        piece: gives the metre.
        end_q: where to stop.
        rng: draws the pattern, fills and loudness.
        crash: whether a crash cymbal may be played.
    """
    compound = piece.beat_q == 1.5
    options = PATTERNS[piece.beats_per_bar, compound]
    pattern = options[rng.integers(len(options))]
    step_q = piece.beat_q / (3 if compound else 4)
    phrase = int(rng.choice([2, 4, 8]))
    hits = []
    for bar in range(int(end_q // piece.bar_q) + 1):
        start_q = bar * piece.bar_q
        fill_q = piece.bar_q - piece.beat_q if bar % phrase == phrase - 1 and rng.random() < 0.6 else piece.bar_q
        for drum, steps in pattern.items():
            for index, step in enumerate(steps.replace(" ", "")):
                if step != "." and index * step_q < fill_q:
                    base = 104 if step == "o" else 78
                    hits.append(Hit(start_q + index * step_q, drum, int(base + rng.integers(-12, 13))))
        if fill_q < piece.bar_q:
            toms = (SNARE, HIGH_TOM, MID_TOM, LOW_TOM)
            for index in range(3 if compound else 4):
                hits.append(Hit(start_q + fill_q + index * step_q, toms[index], int(rng.integers(80, 115))))
        if crash and bar % phrase == 0 and rng.random() < 0.5:
            hits.append(Hit(start_q, CRASH, int(rng.integers(70, 110))))
    return [hit for hit in hits if hit.onset_q < end_q]


def stray(end_q, beat_q, rng):
    """Return hits of one small instrument at places that have nothing to do with the beat."""
    drum = int(rng.choice(STRAY))
    n_hits = rng.poisson(0.35 * end_q / beat_q)
    return [Hit(float(q), drum, int(rng.integers(35, 85))) for q in sorted(rng.uniform(0, end_q, n_hits))]
