"""Read tune books in ABC notation (one voice), strictly: a tune with anything unusual is left out.

Only what a printed fiddle tune needs is understood: notes, rests, tuplets, broken rhythm, ties, accidentals that last
for the bar, bars and repeat signs (played through once, in the order written). Grace notes, slurs, ornaments and
chord symbols are skipped. Bars must add up; the upbeat before the first bar is dropped.
"""

from __future__ import annotations

import re
from fractions import Fraction

from .pieces import Note, Piece

_MODES = {"": "major", "maj": "major", "ion": "major", "m": "minor", "min": "minor", "aeo": "minor"}
_MODES |= {"dor": "dorian", "mix": "mixolydian"}
_KEY = re.compile(r"^([A-G])([#b]?)\s*([A-Za-z]*)\s*$")
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ACCIDENTALS = {"^": 1, "^^": 2, "_": -1, "__": -2, "=": 0}
_FIFTHS_OF_MODE = {"major": 0, "minor": -3, "dorian": -2, "mixolydian": -1}
_TUPLET_TIME = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}
_TOKEN = re.compile(
    r"""(?P<skip>"[^"]*"|![^!]*!|\{[^}]*\}|[~.HLMOPSTuv`()\\y\s]|\$)
      | (?P<bar>:*\|[|\]:]*\s*[12]?(?!\d)|::|\[\||\[[12])
      | (?P<note>(?P<acc>\^\^|\^|__|_|=)?(?P<letter>[A-Ga-g])(?P<octave>[,']*)(?P<length>\d*/*\d*)(?P<tie>-?))
      | (?P<rest>[zx](?P<restlength>\d*/*\d*))
      | (?P<broken>>+|<+)""",
    re.VERBOSE,
)
_TUPLET = re.compile(r"\((\d)(?::(\d?))?(?::(\d?))?")
METERS = {
    "C": (4, 1.0), "C|": (2, 2.0), "4/4": (4, 1.0), "2/4": (2, 1.0), "3/4": (3, 1.0),
    "6/8": (2, 1.5), "9/8": (3, 1.5), "12/8": (4, 1.5),
}  # fmt: skip


class UnreadableTune(ValueError):
    """The tune uses notation outside the small language read here, or its bars do not add up."""


def read_book(text, source):
    """Return every readable tune of an ABC file.

    Args:
        text: the file.
        source: name of the collection, also the beginning of each id.
    """
    pieces = []
    for block in re.split(r"(?m)^(?=X:)", text):
        if block.startswith("X:"):
            try:
                pieces.append(read_tune(block, source))
            except UnreadableTune:
                continue
    return pieces


def read_tune(block, source):
    """Return one tune.

    Args:
        block: its lines, beginning with ``X:``.
        source: name of the collection.

    Raises:
        UnreadableTune: for notation that is not understood or bars that do not add up.
    """
    header, body = _split_header(block)
    meter = header.get("M", "").replace(" ", "")
    if meter not in METERS:
        raise UnreadableTune(f"metre {meter!r}")
    beats_per_bar, beat_q = METERS[meter]
    tonic, mode = read_key(header.get("K", ""))
    unit_q = Fraction(4) * (
        Fraction(header["L"].strip()) if header.get("L", "").strip() else _default_unit(beats_per_bar * beat_q)
    )
    bars = _read_bars(body, unit_q, key_accidentals(tonic, mode), compound=beat_q == 1.5)
    notes, length_q = _join_bars(bars, Fraction(beats_per_bar * beat_q))
    return Piece(
        id=f"{source}-{header['X'].strip()}",
        source=source,
        title=header.get("T", "").strip(),
        tonic=tonic,
        mode=mode,
        beats_per_bar=beats_per_bar,
        beat_q=beat_q,
        length_q=float(length_q),
        notes=tuple(notes),
    )


def read_key(text):
    """Return (tonic pitch class, mode) of a ``K:`` field, for instance ``F#m`` or ``ADorian``."""
    match = _KEY.match(text.split("%")[0].strip())
    if not match:
        raise UnreadableTune(f"key {text!r}")
    word = match[3].lower()
    mode = _MODES.get(word if word in ("", "m") else word[:3])
    if mode is None:
        raise UnreadableTune(f"mode {match[3]!r}")
    return (_STEPS[match[1]] + {"#": 1, "b": -1, "": 0}[match[2]]) % 12, mode


def key_accidentals(tonic, mode):
    """Return the alteration of each letter in a key signature, for instance ``{"F": 1}`` for G major."""
    fifths = (tonic * 7) % 12 + _FIFTHS_OF_MODE[mode]
    if fifths > 6:
        fifths -= 12
    order = "FCGDAEB"
    return dict.fromkeys(order[:fifths], 1) if fifths > 0 else dict.fromkeys(order[7 + fifths :], -1) if fifths else {}


def _default_unit(bar_q):
    return Fraction(1, 16) if bar_q < 3 else Fraction(1, 8)


def _split_header(block):
    header, body = {}, []
    for line in block.splitlines():
        if line.startswith("%"):
            continue
        field = re.match(r"^([A-Za-z]):(.*)$", line)
        if not field:
            body.append(line.split("%")[0])
        elif "K" in header and field[1] in "KMLV":
            raise UnreadableTune(f"field {field[1]}: inside the tune")
        else:
            header.setdefault(field[1], field[2])
    return header, " ".join(body)


def _length(text):
    """Return the factor of an ABC length: "" 1, "3" 3, "/" 1/2, "//" 1/4, "3/2" 3/2."""
    if "/" not in text:
        return Fraction(int(text or 1))
    head, _, tail = text.partition("/")
    if set(tail) <= {"/"}:
        return Fraction(int(head or 1), 2 ** (1 + len(tail)))
    return Fraction(int(head or 1), int(tail))


def _read_bars(body, unit_q, signature, compound):
    """Return a list of bars, each a list of ``[duration_q, pitch or None, tied to the next]``."""
    bars, bar, altered = [], [], {}
    position, broken, tuplet_left, tuplet_factor = 0, Fraction(1), 0, Fraction(1)
    while position < len(body):
        # A tuplet begins like a slur: try it first.
        if tuplet := _TUPLET.match(body, position):
            p = int(tuplet[1])
            q = int(tuplet[2] or _TUPLET_TIME.get(p, 3 if compound else 2))
            tuplet_left, tuplet_factor = int(tuplet[3] or p), Fraction(q, p)
            position = tuplet.end()
            continue
        match = _TOKEN.match(body, position)
        if not match:
            raise UnreadableTune(f"notation {body[position : position + 8]!r}")
        position = match.end()
        if match["bar"]:
            if bar:
                bars.append(bar)
            bar, altered = [], {}
        elif match["broken"]:
            if not bar:
                raise UnreadableTune("broken rhythm without a note before it")
            short = Fraction(1, 2 ** len(match["broken"]))
            first, broken = (2 - short, short) if match["broken"][0] == ">" else (short, 2 - short)
            bar[-1][0] *= first
        elif match["note"] or match["rest"]:
            duration_q = _length(match["length"] or match["restlength"] or "") * unit_q * broken
            broken = Fraction(1)
            if tuplet_left:
                duration_q *= tuplet_factor
                tuplet_left -= 1
            pitch = _pitch(match, signature, altered) if match["note"] else None
            bar.append([duration_q, pitch, bool(match["tie"])])
    if bar:
        bars.append(bar)
    return bars


def _pitch(match, signature, altered):
    letter = match["letter"]
    name, octave = letter.upper(), 5 + letter.islower() + match["octave"].count("'") - match["octave"].count(",")
    if match["acc"]:
        altered[name, octave] = _ACCIDENTALS[match["acc"]]
    return 12 * octave + _STEPS[name] + altered.get((name, octave), signature.get(name, 0))


def _join_bars(bars, bar_q):
    """Lay bars one after the other; a bar split by a repeat sign is put together again."""
    whole, held = [], []
    for index, bar in enumerate(bars):
        length_q = sum(item[0] for item in held + bar)
        if length_q == bar_q:
            whole.append(held + bar)
            held = []
        elif length_q > bar_q or (held and index != len(bars) - 1):
            raise UnreadableTune("bars do not add up")
        elif index:  # the upbeat of the tune itself is dropped
            held = held + bar
    if held:
        whole.append([*held, [bar_q - sum(item[0] for item in held), None, False]])
    if len(whole) < 4:
        raise UnreadableTune("fewer than four bars")
    notes, position_q, tied = [], Fraction(0), False
    for duration_q, pitch, tie in (item for bar in whole for item in bar):
        if pitch is not None and tied and notes and notes[-1].pitch == pitch:
            last = notes.pop()
            notes.append(Note(last.onset_q, last.duration_q + float(duration_q), pitch))
        elif pitch is not None:
            notes.append(Note(float(position_q), float(duration_q), pitch))
        tied = tie
        position_q += duration_q
    return notes, position_q
