"""Instrument families, their General MIDI programs, and which of them the test split keeps for itself.

The two free soundfonts share ancestors: most programs of MuseScore General use the very samples of FluidR3Mono. A split
by soundfont alone would therefore test on sounds heard in training. So each split has its own programs as well, chosen
such that no sample of a test program (MuseScore General) occurs in a training program (FluidR3Mono), by sample name.
"""

from __future__ import annotations

from dataclasses import dataclass

FAMILIES = ("bass", "brass", "choir", "drums", "flute", "guitar", "mallet", "organ", "piano", "reed", "strings",
            "synth")  # fmt: skip

# Lowest and highest pitch that sounds natural, by family and for programs that differ.
_RANGES = {
    "bass": (28, 52), "brass": (46, 79), "choir": (45, 79), "flute": (60, 96), "guitar": (40, 79), "mallet": (55, 91),
    "organ": (38, 91), "piano": (28, 96), "reed": (48, 84), "strings": (43, 91), "synth": (40, 88),
}  # fmt: skip
_PROGRAM_RANGES = {42: (36, 72), 40: (55, 93), 41: (48, 81), 57: (40, 70), 58: (28, 58), 67: (40, 70), 70: (36, 72),
                   9: (72, 100), 10: (60, 96), 72: (67, 100), 14: (60, 84), 15: (52, 84)}  # fmt: skip
# How often a family carries a tune, and how often it plays chords; others never do.
MELODIC = {"piano": 1.0, "organ": 0.6, "guitar": 1.0, "strings": 1.2, "choir": 0.5, "brass": 1.0, "reed": 2.4,
           "flute": 2.4, "mallet": 1.0, "synth": 1.0}  # fmt: skip
CHORDAL = {"piano": 1.2, "organ": 0.8, "guitar": 1.4, "strings": 1.0, "choir": 0.6, "mallet": 0.6, "synth": 1.0,
           "brass": 0.5}  # fmt: skip
CHORAL = {"piano": 1.0, "organ": 0.8, "guitar": 1.0, "strings": 1.0, "choir": 0.6, "brass": 1.0,
          "reed": 1.2, "synth": 0.8}  # fmt: skip


@dataclass(frozen=True)
class Palette:
    """The sounds of a split: a soundfont, programs by family, drum kits.

    Attributes:
        soundfont: name of a file that `synth.find_soundfont` knows.
        programs: General MIDI programs (0 to 127) by family.
        kits: pairs of drum kits, one for drums and one for cymbals and small percussion.
        crash: whether the cymbal kit has a crash cymbal of its own.
    """

    soundfont: str
    programs: dict[str, tuple[int, ...]]
    kits: tuple[tuple[int, int], ...]
    crash: bool


TRAIN = Palette(
    soundfont="FluidR3Mono_GM.sf3",
    programs={
        "piano": (0, 1, 3, 4, 5), "mallet": (8, 11, 12, 14), "organ": (16, 17, 19, 21), "guitar": (24, 26, 27, 29),
        "bass": (32, 33, 36, 38, 39), "strings": (40, 42, 44, 48, 50), "choir": (52,), "brass": (56, 57, 60, 61),
        "reed": (64, 65, 66, 67, 69, 71), "flute": (73, 75, 78), "synth": (80, 81, 88, 89, 90),
    },
    kits=((0, 0), (8, 8), (16, 16), (32, 32)),
    crash=True,
)  # fmt: skip
TEST = Palette(
    soundfont="MuseScore_General_Lite.sf3",
    programs={
        "piano": (0, 1, 3, 5), "mallet": (9, 10, 13, 15), "organ": (18, 20, 21), "guitar": (25, 28, 30),
        "bass": (34, 35, 37, 38, 39), "strings": (41, 42, 45, 51), "choir": (53, 54), "brass": (56, 58, 59, 62, 63),
        "reed": (64, 65, 66, 67, 68, 70), "flute": (72, 74, 79), "synth": (80, 81, 86, 88, 90, 95),
    },
    kits=((25, 25), (24, 25), (40, 25)),
    crash=False,
)  # fmt: skip
PALETTES = {"train": TRAIN, "test": TEST}


def pitch_range(family, program):
    """Return the lowest and highest natural pitch of a program."""
    return _PROGRAM_RANGES.get(program, _RANGES[family])


def fold(pitch, low, high):
    """Move a pitch by octaves into a range of at least an octave."""
    while pitch < low:
        pitch += 12
    while pitch > high:
        pitch -= 12
    return pitch
