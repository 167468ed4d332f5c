"""Names of chords: Harte's syntax and lead-sheet names in, one spelling out.

Paper: Harte et al., Symbolic representation of musical chords, 2005.
Conventions: `root:quality(extensions)/bass` with the root spelt as in `ROOTS`, `N` for no chord, `X` for an
unknown one.
"""

from __future__ import annotations

import re
from functools import lru_cache

from sordino.tasks import _mir_eval as mir_eval

ROOTS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
DEGREES = ("1", "b2", "2", "b3", "3", "4", "b5", "5", "b6", "6", "b7", "7")
NO_CHORD, UNKNOWN = "N", "X"
LEAD_SHEET = {
    **{"": "maj", "M": "maj", "6": "maj6", "M7": "maj7", "M9": "maj9", "+": "aug", "sus": "sus4"},
    **{"m": "min", "-": "min", "m6": "min6", "m7": "min7", "-7": "min7", "m9": "min9", "mM7": "minmaj7"},
    **{"o": "dim", "°": "dim", "o7": "dim7", "ø": "hdim7", "ø7": "hdim7", "m7b5": "hdim7"},
}


@lru_cache(4096)
def parse_chord(text: str) -> str:
    """A chord in Harte's syntax with our spelling of the root.

    Raises:
        ValueError: it is no chord.
    """
    chord = text.strip()
    if chord.lower() in ("n", "nc", "n.c.", "none", ""):
        return NO_CHORD
    if chord.lower() in ("x", "?", "unknown"):
        return UNKNOWN
    found = re.fullmatch(r"([A-G][#b]*)(:?)([^/]*)(?:/(.+))?", chord)
    if found is None:
        raise ValueError(f'chord "{text}" is not in Harte\'s syntax, such as C:maj, F#:min7/b3, N')
    root, colon, quality, bass = found.groups()
    if not colon:
        quality = LEAD_SHEET.get(quality, quality)
    elif not quality:
        quality = "maj"
    if bass and bass[0] in "ABCDEFG":
        step = mir_eval.chord.pitch_class_to_semitone(bass) - mir_eval.chord.pitch_class_to_semitone(root)
        bass = DEGREES[step % 12]
    try:
        index = mir_eval.chord.pitch_class_to_semitone(root)
        result = f"{ROOTS[index]}:{quality}" + (f"/{bass}" if bass and bass != "1" else "")
        mir_eval.chord.encode(result)
    except (mir_eval.chord.InvalidChordException, KeyError, TypeError):
        raise ValueError(f'chord "{text}" is not in Harte\'s syntax, such as C:maj, F#:min7/b3, N') from None
    return result


def transpose_chord(chord: str, semitones: int) -> str:
    """A parsed chord so many semitones higher."""
    root, colon, rest = chord.partition(":")
    return f"{ROOTS[(ROOTS.index(root) + semitones) % 12]}:{rest}" if colon else chord
