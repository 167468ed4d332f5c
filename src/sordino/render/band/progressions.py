"""Chord progressions as people play them, and how they are drawn and turned into chords.

Written in Roman numerals against the tonic: capitals major, small letters minor, ``b`` lowers the degree, a figure
behind adds to the triad (``V7``, ``Imaj7``, ``iisus4``, ``viidim``), ``/3`` or ``/5`` puts another tone into the
bass. ``|`` separates bars; chords within a bar share it evenly. The key of a progression is the one a listener
names: modal loops belong to major or minor by their third (mixolydian and the blues are major, dorian is minor).
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

from ..scores.pieces import Chord

INTERVALS = {
    "maj": (0, 4, 7), "min": (0, 3, 7), "dim": (0, 3, 6), "aug": (0, 4, 8), "5": (0, 7), "sus4": (0, 5, 7),
    "sus2": (0, 2, 7), "7": (0, 4, 7, 10), "maj7": (0, 4, 7, 11), "min7": (0, 3, 7, 10), "hdim7": (0, 3, 6, 10),
    "dim7": (0, 3, 6, 9), "maj6": (0, 4, 7, 9), "min6": (0, 3, 7, 9), "9": (0, 4, 7, 10, 14),
    "maj9": (0, 4, 7, 11, 14), "min9": (0, 3, 7, 10, 14),
}  # fmt: skip
_DEGREES = {"i": 0, "ii": 2, "iii": 4, "iv": 5, "v": 7, "vi": 9, "vii": 11}
_NUMERAL = re.compile(r"(b?)(VII|VI|V|IV|III|II|I|vii|vi|v|iv|iii|ii|i)([a-z0-9]*)(?:/([35]))?$")
_BASS = {"maj": {"3": 4, "5": 7}, "min": {"3": 3, "5": 7}}

# Kind and mode to (weight, progression).
PROGRESSIONS = {
    ("pop", "major"): (
        (3, "I | V | vi | IV"), (2, "I | vi | IV | V"), (2, "I | IV | V | IV"), (1.5, "IV | I | V | vi"),
        (1.5, "I | IV | vi | V"), (1, "I | iii | IV | V"), (1, "I | V/3 | vi | IV"), (1, "I | I | IV | V"),
        (1, "vi | IV | I | V"), (0.7, "I | Vsus4 V | vi | IV"), (0.7, "I | ii | IV | V"), (0.6, "IV | V | iii | vi"),
        (0.6, "I | V | ii | IV"), (0.5, "I | I/3 | IV | V"), (0.5, "I | IV | iv | I"), (0.5, "ii | V | I | vi"),
        (0.4, "I | III | vi | IV"), (0.4, "I | II | IV | I"),
    ),
    ("pop", "minor"): (
        (3, "i | bVI | bIII | bVII"), (2, "i | bVII | bVI | bVII"), (1.5, "i | iv | bVI | V"), (1.5,
        "i | bVI | iv | V"),
        (1, "i | bVII | bVI | V"), (1, "i | v | bVI | bVII"), (1, "i | iv | i | V"), (0.7, "bVI | bVII | i | i"),
        (0.7, "i | bIII | bVII | iv"), (0.5, "i | bVII/3 | bVI | V7"), (0.5, "i | iv | bVII | bIII"),
    ),
    ("rock", "major"): (
        (2, "I | bVII | IV | I"), (2, "I | IV | I | V"), (1.5, "I | V | IV | IV"), (1, "I | bIII | IV | I"),
        (1, "I IV | I | V IV | I"), (1, "I | I | bVII | IV"), (1, "I | IV | V | V"), (0.8, "vi | IV | I | V"),
        (0.5, "I | V | bVII | IV"), (0.5, "I | Isus4 I | IV | V"),
    ),
    ("rock", "minor"): (
        (2, "i | bVII | bVI | bVII"), (1.5, "i | bIII | bVII | IV"), (1, "i | IV | i | IV"), (1, "i | bVI | bVII | i"),
        (1, "i | i | iv | V"), (1, "i bIII | iv | i bIII | bVII"), (0.7, "i | bVII | iv | i"),
    ),
    ("metal", "minor"): (
        (2, "i | bVI | bVII | i"), (1.5, "i | i | bII | i"), (1, "i | bIII | bVI | V"), (1,
        "i bII | i bIII | i bII | bVII"),
        (1, "i | bVI | iv | V"), (1, "i | i | bVI | bVII"), (0.6, "i | bVdim | bVI | bVII"),
    ),
    ("metal", "major"): ((1, "I | V | vi | IV"), (1, "I | bVI | bVII | I"), (1, "I | IV | bVII | I")),
    ("vamp", "minor"): (
        (2, "i7 | i7 | IV7 | IV7"), (2, "i7 | i7"), (1, "i7 | bVII | bVI | bVII"), (1, "i9 | IV9"), (1,
        "i | bII | i | bVII"),
        (1, "i | iv"), (1, "i7 | iv7 | i7 | v7"), (0.5, "i | bVImaj7"),
    ),
    ("vamp", "major"): ((2, "I7 | I7 | IV7 | I7"), (2, "I7 | I7"), (1, "I9 | IV9"), (1, "I | bVII"), (1,
        "I7 | bVII IV")),
    ("blues", "major"): (
        (3, "I7 | I7 | I7 | I7 | IV7 | IV7 | I7 | I7 | V7 | IV7 | I7 | V7"),
        (2, "I7 | IV7 | I7 | I7 | IV7 | IV7 | I7 | I7 | V7 | IV7 | I7 | V7"),
        (1, "I7 | IV7 | I7 | I7 | IV7 | ivdim7 | I7 | VI7 | ii7 | V7 | I7 VI7 | ii7 V7"),
        (1, "I7 | V7 | IV7 | IV7 | I7 | V7 | I7 IV7 | I7 V7"),
    ),
    ("blues", "minor"): (
        (2, "i7 | i7 | i7 | i7 | iv7 | iv7 | i7 | i7 | bVI7 | V7 | i7 | V7"),
        (1, "i | iv | i | i | iv | iv | i | i | v7 | iv7 | i | v7"),
    ),
    ("jazz", "major"): (
        (3, "ii7 | V7 | Imaj7 | Imaj7"), (2, "Imaj7 vi7 | ii7 V7 | iii7 VI7 | ii7 V7"), (1, "Imaj7 | vi7 | ii7 | V7"),
        (1, "Imaj7 | IVmaj7 | iii7 VI7 | ii7 V7"), (1, "ii7 V7 | Imaj7 | iv7 bVII7 | Imaj7"),
        (1, "Imaj7 | II7 | ii7 | V7"), (0.7, "Imaj6 | Idim7 | ii7 | V7"), (0.6, "Imaj9 | ivmin6 | Imaj9 | V9"),
        (0.5, "Imaj7 | bII7 | Imaj7 | bII7"),
    ),
    ("jazz", "minor"): (
        (2, "i7 | iihdim7 V7 | i7 | V7"), (1.5, "iv7 | bVII7 | bIIImaj7 | bVImaj7 | iihdim7 | V7 | i | i"),
        (1, "i7 | i7 | IV7 | IV7"), (1, "i | bVI7 V7 | i | iihdim7 V7"), (1, "imin6 | V7 | imin6 | iihdim7 V7"),
    ),
    ("soul", "major"): (
        (2, "Imaj7 | vi7 | ii7 | V7"), (1.5, "Imaj7 | IVmaj7"), (1, "IVmaj7 | iii7 | ii7 | I"), (1,
        "Imaj7 | iii7 | vi7 | IVmaj7"),
        (1, "ii7 | iii7 | IVmaj7 | Vsus4"), (1, "IVmaj7 V | iii7 vi7 | ii7 V7 | I"), (0.7, "I | I7/3 | IV | iv"),
    ),
    ("soul", "minor"): (
        (2, "i7 | iv7"), (1, "i9 | iv9 | bVImaj7 | v7"), (1, "bVImaj7 | v7 | i7 | i7"), (1, "i7 | bVII | bVImaj7 | V7"),
        (1, "iv7 | v7 | i7 | i7"),
    ),
    ("country", "major"): (
        (3, "I | IV | V | I"), (2, "I | I | IV | IV | V | V | I | I"), (1, "I | V | V | I"), (1, "I | IV | I | V"),
        (1, "I | II | V | I"), (0.5, "vi | IV | I | V"),
    ),
    ("country", "minor"): ((1, "i | bVII | i | V"), (1, "i | iv | V | i")),
    ("doo-wop", "major"): ((3, "I | vi | IV | V"), (1, "I | vi | ii | V7"), (1, "I | IV | I | V7"), (1,
        "I | I7 | IV | iv")),
    ("doo-wop", "minor"): ((2, "i | iv | V7 | i"), (1, "i | bVI | iv | V7"), (1, "i | bVII | bVI | V7")),
    ("reggae", "major"): ((2, "I | IV"), (2, "I | V | vi | IV"), (1, "I | ii"), (1, "I | IV | V | I"), (1,
        "I | ii | iii | ii")),
    ("reggae", "minor"): ((2, "i | iv"), (2, "i | bVII"), (1, "i | bVII | bVI | bVII"), (1, "i | v"), (1,
        "i7 | iv7 | v7 | i7")),
    ("latin", "major"): ((2, "I | IV | V | IV"), (1, "I | V7 | V7 | I"), (1, "I vi | ii V7"), (1, "Imaj7 | ii7 V7")),
    ("latin", "minor"): (
        (2, "i | iv | V7 | i"), (2, "i | bVII | bVI | V7"), (1, "i | V7 | V7 | i"), (1, "i | bVI | bIII | bVII"), (1,
        "i7 | IV7"),
    ),
    ("dance", "major"): ((1, "I | V | vi | IV"), (1, "vi | IV | I | V"), (1, "I | I | IV | IV"), (1,
        "IV | V | vi | I"), (0.7, "Imaj7 | ii7")),
    ("dance", "minor"): (
        (2, "i | bVI | bIII | bVII"), (2, "i | i | bVI | bVII"), (1.5, "i | i | i | i"), (1, "bVI | bVII | i | v"),
        (1, "i7 | v7"), (1, "i | bIII | iv | bVI"), (1, "i9 | i9 | iv9 | iv9"),
    ),
    ("drone", "minor"): ((2, "i | i | i | i"), (1, "i | i | bII | i"), (1, "i | i | i | bVII")),
    ("drone", "major"): ((1, "I | I | I | I"), (1, "I | I | bVII | I")),
    ("classical", "major"): (
        (2, "I | V7/5 | I/3 | IV | I/5 | V7 | I | I"), (1, "I | IV | V7 | I"), (1, "I | vi | ii/3 | V7"), (1,
        "I V | vi iii | IV I | IV V"),
    ),
    ("classical", "minor"): ((2, "i | iv | V7 | i"), (1, "i | V7/3 | i | iv | i/5 | V7 | i | i"), (1,
        "i iv | bVII bIII | bVI iihdim7 | V i")),
}  # fmt: skip


@cache
def read_numeral(text: str) -> tuple[int, str, int]:
    """Return (semitones above the tonic, quality, semitones of the bass above the chord's root).

    Raises:
        ValueError: it is no numeral of this language.
    """
    match = _NUMERAL.match(text)
    if not match:
        raise ValueError(f"chord {text!r} is no Roman numeral with a known figure")
    flat, numeral, figure, bass = match.groups(default="")
    triad = "maj" if numeral.isupper() else "min"
    quality = {"": triad, "7": "7" if triad == "maj" else "min7", "9": "9" if triad == "maj" else "min9"}.get(
        figure, figure
    )
    if quality not in INTERVALS:
        raise ValueError(f"chord {text!r}: figure {figure!r} is not known")
    return (_DEGREES[numeral.lower()] - bool(flat)) % 12, quality, _BASS[triad][bass] if bass else 0


def realise(progression: str, tonic: int, bar_q: float, bars_per_chord: float) -> tuple[Chord, ...]:
    """Return the chords of one turn of a progression, from position 0.

    Args:
        progression: in the language of this module.
        tonic: pitch class.
        bar_q: length of a bar.
        bars_per_chord: how many bars of music one bar of the progression lasts: 0.5, 1, 2.
    """
    chords, start_q = [], 0.0
    for bar in progression.split("|"):
        names = bar.split()
        span_q = bar_q * bars_per_chord / len(names)
        for name in names:
            degree, quality, bass = read_numeral(name)
            root = (tonic + degree) % 12
            chords.append(Chord(start_q, start_q + span_q, root, quality, INTERVALS[quality], bass))
            start_q += span_q
    return tuple(chords)


def draw(kind: str, mode: str, rng) -> str:
    """Draw a progression of a kind and mode by weight."""
    options = PROGRESSIONS[kind, mode]
    weights = [weight for weight, _ in options]
    return options[rng.choice(len(options), p=[weight / sum(weights) for weight in weights])][1]


def colour(chords, amount: float, rng):
    """Add sevenths, ninths and suspensions to plain triads.

    Args:
        chords: of `realise`.
        amount: how likely a triad is coloured.
        rng: a numpy generator.
    """
    # One colour for every chord of a kind, as players do: a song has major sevenths or it has not.
    added: dict[tuple[int, str], str] = {
        (root, quality): str(rng.choice(_ADDED[quality]))
        for root in range(12)
        for quality in _ADDED
        if rng.random() < amount
    }
    return tuple(
        replace(chord, quality=quality, intervals=INTERVALS[str(quality)])
        for chord in chords
        for quality in [chord.quality if chord.bass else added.get((chord.root, chord.quality), chord.quality)]
    )


_ADDED = {"maj": ("maj7", "sus2", "maj6", "maj9", "sus4"), "min": ("min7", "min7", "min9")}
