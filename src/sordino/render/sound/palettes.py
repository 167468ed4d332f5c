"""Kinds of sound, where each is found, and which sounds the test split keeps for itself.

A kind (``clean``, ``pad``,
        ``voice``) is what a style asks for. It belongs to a family (the label) and is found as General
MIDI programs in soundfonts and as patches of the synthesisers in this package. Palettes share none of them: the free
soundfonts have common ancestors, so a palette bars every program that has a sample (by name) in a program of the other
palette, and the patches are different ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from .patches import PATCHES

FAMILIES = ("bass", "brass", "choir", "drums", "flute", "guitar", "mallet", "organ", "piano", "reed", "strings",
            "synth")  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """What a style may ask for.

    Attributes:
        family: one of `FAMILIES`.
        programs: General MIDI programs, the more often the likelier.
        range: lowest and highest pitch that sounds natural.
        patches: engines of `patches.PATCHES` that have it.
        bus: where it is mixed: keys, guitar, drums or lead.
        drive: how hard the guitar amplifier is driven, 0 for not at all.
    """

    family: str
    programs: tuple[int, ...]
    range: tuple[int, int]
    patches: tuple[str, ...] = ()
    bus: str = "keys"
    drive: float = 0.0


KINDS = {
    "piano": Kind("piano", (0, 0, 0, 1, 2, 3), (33, 96)),
    "electric piano": Kind("piano", (4, 4, 5), (36, 88), ("fm piano",)),
    "clavinet": Kind("piano", (7,), (40, 84), ("clav",)),
    "harpsichord": Kind("piano", (6,), (36, 88)),
    "organ": Kind("organ", (16, 16, 17, 18), (36, 88), ("drawbar",)),
    "church organ": Kind("organ", (19, 20), (36, 91)),
    "accordion": Kind("organ", (21, 21, 23), (43, 88)),
    "nylon": Kind("guitar", (24,), (40, 79), ("nylon pluck",)),
    "steel": Kind("guitar", (25,), (40, 79), ("steel pluck",)),
    "twelve": Kind("guitar", (25,), (40, 79), ("twelve pluck",)),
    "jazz guitar": Kind("guitar", (26,), (40, 79), ("muted pluck",)),
    "clean": Kind("guitar", (27, 27, 28), (40, 83), ("electric pluck",), "guitar"),
    "crunch": Kind("guitar", (27, 29), (40, 83), ("electric pluck",), "guitar", 6.0),
    "overdrive": Kind("guitar", (29, 30), (45, 88), ("electric pluck",), "guitar", 12.0),
    "distortion": Kind("guitar", (27, 29, 30), (38, 76), ("electric pluck",), "guitar", 30.0),
    "banjo": Kind("guitar", (105,), (48, 84), ("steel pluck",)),
    "harp": Kind("strings", (46,), (36, 96), ("nylon pluck",)),
    "upright": Kind("bass", (32,), (28, 55), ("upright pluck",)),
    "fingered bass": Kind("bass", (33,), (28, 55), ("bass pluck",)),
    "picked bass": Kind("bass", (34, 33), (28, 55), ("bass pluck",)),
    "fretless": Kind("bass", (35,), (28, 55)),
    "slap": Kind("bass", (36, 37), (28, 55)),
    "synth bass": Kind("bass", (38, 39, 87), (26, 52), ("analog bass", "fm bass")),
    "sub": Kind("bass", (38,), (24, 48), ("sub bass", "sub bass", "analog bass")),
    "tuba": Kind("brass", (58,), (28, 58)),
    "violin": Kind("strings", (40,), (55, 96), bus="lead"),
    "fiddle": Kind("strings", (40, 110), (55, 93), bus="lead"),
    "strings": Kind("strings", (48, 48, 49, 50, 51, 44, 42), (43, 91), ("string machine",)),
    "pizzicato": Kind("strings", (45,), (43, 88)),
    "choir": Kind("choir", (52, 52, 53, 54), (43, 79), ("choir",)),
    "voice": Kind("choir", (53, 54, 85), (45, 79), ("singer", "singer", "singer", "singer"), "lead"),
    "trumpet": Kind("brass", (56, 56, 59), (55, 82), bus="lead"),
    "trombone": Kind("brass", (57,), (40, 70), bus="lead"),
    "horn": Kind("brass", (60,), (43, 76)),
    "brass": Kind("brass", (61, 61, 62, 63), (43, 81), ("synth brass",)),
    "sax": Kind("reed", (64, 65, 65, 66, 66, 67), (46, 81), bus="lead"),
    "oboe": Kind("reed", (68, 69, 70), (52, 86), bus="lead"),
    "clarinet": Kind("reed", (71,), (50, 86), bus="lead"),
    "harmonica": Kind("reed", (22,), (55, 88), bus="lead"),
    "pipes": Kind("reed", (109, 111, 68), (55, 84), bus="lead"),
    "flute": Kind("flute", (73, 73, 75, 77), (60, 93), bus="lead"),
    "whistle": Kind("flute", (72, 74, 78, 79), (64, 98), bus="lead"),
    "mallet": Kind("mallet", (8, 9, 10, 11, 11, 12, 12, 13, 14, 15, 108, 114), (55, 93), ("fm bell",)),
    "saw lead": Kind("synth", (81, 87, 90), (48, 88), ("saw lead",), "lead"),
    "square lead": Kind("synth", (80, 82), (48, 91), ("square lead",), "lead"),
    "pluck": Kind("synth", (96, 98, 100), (48, 91), ("synth pluck", "fm pluck")),
    "poly": Kind("synth", (90, 81, 62), (43, 84), ("poly",)),
    "pad": Kind("synth", (88, 89, 91, 92, 94, 95, 97), (43, 84), ("pad",)),
}


@dataclass(frozen=True)
class Sound:
    """One instrument: a program of a soundfont, or a patch of our own.

    Attributes:
        kind: a name in `KINDS`.
        font: file name of a soundfont, or "" for a patch.
        program: General MIDI program.
        patch: a name in `patches.PATCHES` of the palette, or "".
    """

    kind: str
    font: str = ""
    program: int = 0
    patch: str = ""

    @property
    def name(self):
        """What identifies the sound among all palettes."""
        return f"{self.font}:{self.program}" if self.font else self.patch


@dataclass(frozen=True)
class Kit:
    """Drums: a kit of a soundfont (one program for drums, one for cymbals and small percussion), or a machine.

    Attributes:
        font: file name of a soundfont, or "" for a machine.
        skins: program of the drums proper.
        cymbals: program of cymbals and small percussion.
        crash: whether the kit has a crash cymbal of its own.
        machine: a name in `drum_machine.MACHINES` of the palette, or "".
        skins_font: where the drums proper are, when not in `font`.
    """

    font: str = ""
    skins: int = 0
    cymbals: int = 0
    crash: bool = True
    machine: str = ""
    skins_font: str = ""

    @property
    def name(self):
        """What identifies the kit among all palettes."""
        return self.machine or f"{self.skins_font or self.font}:{self.skins}+{self.font}:{self.cymbals}"


FLUID, MUSE, TIM = "FluidR3Mono_GM.sf3", "MuseScore_General_Lite.sf3", "TimGM6mb.sf2"
_ALL = frozenset(range(128))


@dataclass(frozen=True)
class Palette:
    """The sounds of a split.

    Attributes:
        name: also the name of its patches and drum machines.
        fonts: soundfonts and the programs that may be used.
        kits: by kind of kit.
        free: whether all of it may be mixed into audio under any licence (MIT soundfonts and our own synthesis).
    """

    name: str
    fonts: dict[str, frozenset[int]] = field(hash=False)
    kits: dict[str, tuple[Kit, ...]] = field(hash=False)
    free: bool = True

    @cache  # noqa: B019 (a handful of palettes, for ever)
    def sounds(self, kind: str) -> tuple[Sound, ...]:
        """Return everything a kind may be; where the palette has none, what else the family has."""
        wanted = KINDS[kind]
        found = [
            Sound(kind, font, program)
            for font, allowed in self.fonts.items()
            for program in wanted.programs
            if program in allowed
        ]
        own = [Sound(kind, patch=patch) for engine in wanted.patches for patch in PATCHES[self.name].get(engine, ())]
        if not found and not own:
            others = [other for other in KINDS if KINDS[other].family == wanted.family and other != kind]
            found = [
                Sound(kind, font, program)
                for other in others
                for font, allowed in self.fonts.items()
                for program in KINDS[other].programs
                if program in allowed
            ]
        return (*found, *own)

    def draw(self, kind: str, rng) -> Sound:
        """Draw a sound of a kind."""
        options = self.sounds(kind)
        return options[rng.integers(len(options))]

    def draw_kit(self, kinds, rng) -> Kit:
        """Draw a drum kit of one of some kinds."""
        options = [kit for kind in kinds for kit in self.kits[kind]]
        return options[rng.integers(len(options))]


def _fluid(*pairs):
    return tuple(Kit(FLUID, *pair) for pair in pairs)


# Barred: programs with samples that a test program has too.
_TRAIN_KITS = {
    "acoustic": _fluid((0, 0), (8, 8), (16, 16), (0, 16), (8, 0)),
    "jazz": _fluid((32, 32), (8, 32)),
    "brushes": _fluid((32, 32), (41, 41)),
    "latin": _fluid((0, 0), (32, 0)),
    "orchestra": _fluid(
        (48, 48),
    ),
    "folk": _fluid((8, 8), (48, 48)),
    "machine": tuple(Kit(machine=name) for name in ("train 808", "train 909", "train vinyl", "train toy")),
}
_TIM_KITS = {
    "acoustic": tuple(Kit(FLUID, skins, 0, skins_font=TIM) for skins in (0, 8, 16)),
    "jazz": (Kit(FLUID, 32, 32, skins_font=TIM),),
    "machine": tuple(Kit(FLUID, skins, 0, skins_font=TIM) for skins in (24, 25)),
}
_FLUID_PROGRAMS = _ALL - {9, 18, 30, 34, 35, 37, 58, 74, 79}
FREE_TRAIN = Palette("train", {FLUID: _FLUID_PROGRAMS}, _TRAIN_KITS)
TRAIN = Palette(
    "train",
    {FLUID: _FLUID_PROGRAMS, TIM: _ALL - {13, 74}},
    {kind: (*kits, *_TIM_KITS.get(kind, ())) for kind, kits in _TRAIN_KITS.items()},
    free=False,
)
_TEST_MACHINES = tuple(Kit(machine=name) for name in ("test 606", "test linn", "test acoustic", "test glitch"))
_MUSE_KITS = tuple(Kit(MUSE, *pair, crash=False) for pair in ((24, 25), (40, 25)))
TEST = Palette(
    "test",
    {MUSE: frozenset({
        0, 1, 3, 4, 5, 9, 10, 11, 14, 15, 16, 18, 20, 21, 22, 23, 25, 28, 30, 34, 35, 37, 38, 39, 40, 41, 42, 45, 50,
        51,
        52, 53, 54, 56, 58, 59, 60, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 74, 75, 77, 79, 80, 81, 82, 86, 88, 90,
        94, 95, 96, 97, 98, 100, 110, 111, 114,
    })},
    {
        "acoustic": (*(Kit(machine="test acoustic"),) * 3, _MUSE_KITS[0]),
        "jazz": (Kit(machine="test acoustic"), _MUSE_KITS[1]), "brushes": (_MUSE_KITS[1],),
        "latin": (Kit(MUSE, 25, 25, crash=False), Kit(machine="test acoustic")),
        "orchestra": (Kit(machine="test acoustic"),), "folk": (_MUSE_KITS[1], Kit(machine="test acoustic")),
        "machine": (*_TEST_MACHINES, Kit(MUSE, 25, 25, crash=False), _MUSE_KITS[0]),
    },
)  # fmt: skip
PALETTES = {"train": TRAIN, "free train": FREE_TRAIN, "test": TEST}


def fold(pitch, low, high):
    """Move a pitch by octaves into a range of at least an octave."""
    while pitch < low:
        pitch += 12
    while pitch > high:
        pitch -= 12
    return pitch
