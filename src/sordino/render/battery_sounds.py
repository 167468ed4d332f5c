"""Sounds of the battery: notes of ten timbres, clicks of ten drums, and what is played on them.

Every clip is a function of its question, its class and its number; nothing but NumPy makes it.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

RATE_HZ = 24_000
TAIL_S = 0.08  # to silence at the end of a note
LEVEL = 0.5
NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
SCALES = {
    "ionian": (0, 2, 4, 5, 7, 9, 11), "dorian": (0, 2, 3, 5, 7, 9, 10), "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11), "mixolydian": (0, 2, 4, 5, 7, 9, 10), "aeolian": (0, 2, 3, 5, 7, 8, 10),
    "locrian": (0, 1, 3, 5, 6, 8, 10),
}  # fmt: skip
QUALITIES = {"major": (0, 4, 7), "minor": (0, 3, 7), "diminished": (0, 3, 6), "augmented": (0, 4, 8)}
PROGRESSIONS = {  # semitones above the tonic, quality
    "I IV V I": ((0, "major"), (5, "major"), (7, "major"), (0, "major")),
    "I V vi IV": ((0, "major"), (7, "major"), (9, "minor"), (5, "major")),
    "I vi IV V": ((0, "major"), (9, "minor"), (5, "major"), (7, "major")),
    "I ii V I": ((0, "major"), (2, "minor"), (7, "major"), (0, "major")),
    "i iv V i": ((0, "minor"), (5, "minor"), (7, "major"), (0, "minor")),
    "i VI III VII": ((0, "minor"), (8, "major"), (3, "major"), (10, "major")),
    "i VII VI V": ((0, "minor"), (10, "major"), (8, "major"), (7, "major")),
    "i VI iv V": ((0, "minor"), (8, "major"), (5, "minor"), (7, "major")),
}
METRES = {"2/4": "Sw", "3/4": "Sww", "4/4": "Swmw", "5/4": "Swwmw", "6/8": "Swwmww", "7/8": "Swmwmww"}
STRENGTHS = {"S": 1.0, "m": 0.6, "w": 0.3}


class Timbre(NamedTuple):
    """How a note sounds.

    Attributes:
        partials: amplitudes of the harmonics, from the fundamental.
        attack_s: to its full level.
        decay_s: time constant of what follows; infinite for a level that is held.
        brightness: how much faster each higher harmonic decays.
        vibrato: depth, in semitones.
        breath: share of noise.
    """

    partials: tuple[float, ...]
    attack_s: float = 0.01
    decay_s: float = np.inf
    brightness: float = 0.0
    vibrato: float = 0.0
    breath: float = 0.0


TIMBRES = {
    "organ": Timbre((1, 0.7, 0.5, 0.4, 0, 0.3, 0, 0.25), 0.02),
    "reed": Timbre((1, 0, 0.6, 0, 0.4, 0, 0.25, 0, 0.15), 0.03),
    "guitar": Timbre((1, 0.8, 0.5, 0.35, 0.25, 0.15), 0.004, 0.5, 0.6),
    "strings": Timbre(tuple(1 / n for n in range(1, 15)), 0.12, vibrato=0.12),
    "brass": Timbre((0.7, 1, 0.9, 0.7, 0.5, 0.35, 0.2), 0.05, vibrato=0.03),
    "piano": Timbre((1, 0.6, 0.35, 0.2, 0.12, 0.08), 0.004, 0.8, 0.4),
    "accordion": Timbre((0.8, 1, 0.3, 0.6, 0.2, 0.4, 0.1, 0.3), 0.06, vibrato=0.05),
    "harp": Timbre((1, 0.45, 0.15, 0.08), 0.003, 0.35, 0.8),
    "flute": Timbre((1, 0.25, 0.08), 0.07, vibrato=0.08, breath=0.02),
    "lead": Timbre(tuple(1 / n if n % 3 else 0.0 for n in range(1, 12)), 0.008, vibrato=0.02),
}
DRUMS = {name: (pitch_hz, decay_s, noise) for name, pitch_hz, decay_s, noise in (
    ("kick", 60, 0.09, 0.05), ("tom", 140, 0.12, 0.1), ("wood", 900, 0.02, 0.1), ("clave", 2400, 0.015, 0.0),
    ("snare", 190, 0.06, 0.8), ("hat", 0, 0.02, 1.0), ("cowbell", 560, 0.08, 0.0), ("shaker", 0, 0.05, 1.0),
    ("rim", 1700, 0.01, 0.3), ("conga", 300, 0.09, 0.05),
)}  # fmt: skip
SPLITS = {0: "train", 1: "train", 2: "train", 3: "train", 4: "train", 5: "train", 6: "validation", 7: "validation",
          8: "test", 9: "test"}  # by the place of the timbre or drum  # fmt: skip


class Clip(NamedTuple):
    """One sound of the battery.

    Attributes:
        id: unique.
        question: the label's name.
        answer: the label.
        sound: the timbre or drum.
        split: of that.
        make: makes the waveform [time] at `RATE_HZ`.
    """

    id: str
    question: str
    answer: str | float
    sound: str
    split: str
    make: Callable[[], Float[np.ndarray, " time"]]


def note(timbre: Timbre, midi: float, length_s: float, seed: int = 0) -> Float[np.ndarray, " time"]:
    """A note of a timbre, from its attack to silence, harmonics above half the rate left out."""
    time_s = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    hz = 440.0 * 2 ** ((midi - 69) / 12)
    bent = 2 ** (timbre.vibrato / 12 * np.sin(2 * np.pi * 5.5 * time_s) * np.minimum(1, time_s / 0.3))
    phase = 2 * np.pi * np.cumsum(hz * bent) / RATE_HZ
    wave = np.zeros_like(time_s)
    for number, amplitude in enumerate(timbre.partials, 1):
        if amplitude and number * hz < 0.45 * RATE_HZ:
            decay = np.exp(-time_s * (1 + timbre.brightness * (number - 1)) / timbre.decay_s)
            wave += amplitude * decay * np.sin(number * phase)
    wave += timbre.breath * np.random.default_rng(seed).standard_normal(len(wave))
    edge = np.minimum(time_s / timbre.attack_s, (time_s[-1] - time_s) / TAIL_S)
    return wave * np.clip(edge, 0, 1) / sum(timbre.partials)


def hit(drum: str, seed: int = 0) -> Float[np.ndarray, " time"]:
    """One stroke."""
    pitch_hz, decay_s, noise = DRUMS[drum]
    time_s = np.arange(round(6 * decay_s * RATE_HZ)) / RATE_HZ
    tone = np.sin(2 * np.pi * pitch_hz * time_s) if pitch_hz else 0.0
    grain = np.random.default_rng(seed).standard_normal(len(time_s))
    return ((1 - noise) * tone + 0.5 * noise * grain) * np.exp(-time_s / decay_s)


def placed(sounds: Sequence[tuple[float, Float[np.ndarray, " _"]]], length_s: float) -> Float[np.ndarray, " time"]:
    """Sounds at their times, cut at the end, at a level that never clips."""
    wave = np.zeros(round(length_s * RATE_HZ))
    for start_s, sound in sounds:
        at = round(start_s * RATE_HZ)
        part = sound[: max(0, len(wave) - at)]
        wave[at : at + len(part)] += part
    return (LEVEL * wave / max(1e-9, np.abs(wave).max())).astype(np.float32)


def chord(timbre: Timbre, pitches: Sequence[float], length_s: float) -> Float[np.ndarray, " time"]:
    """Notes together."""
    return np.sum([note(timbre, midi, length_s) for midi in pitches], axis=0)


Sounds = list[tuple[float, np.ndarray]]  # starts in seconds, and what sounds


def a_note(rng: np.random.Generator, timbre: Timbre, tonic: int, number: int) -> Sounds:
    """A pitch class in one of three octaves."""
    return [(0.0, note(timbre, 48 + 12 * number + tonic, 1.4))]


def an_interval(rng: np.random.Generator, timbre: Timbre, size: int, number: int) -> Sounds:
    """Two notes: together, upwards or downwards."""
    low = int(rng.integers(48, 66))
    first, second = (low + size, low) if number == 2 else (low, low + size)
    return [(0.0, note(timbre, first, 0.9)), (0.9 if number else 0.0, note(timbre, second, 0.9))]


def a_scale(rng: np.random.Generator, timbre: Timbre, steps: Sequence[int], number: int) -> Sounds:
    """An octave of a mode, up or down."""
    tonic = int(rng.integers(50, 66))
    line = [tonic + step for step in (*steps, 12)][:: -1 if number % 2 else 1]
    return [(0.35 * place, note(timbre, midi, 0.4)) for place, midi in enumerate(line)]


def a_triad(rng: np.random.Generator, timbre: Timbre, steps: Sequence[int], number: int) -> Sounds:
    """A triad in one of its three positions."""
    root, turned = int(rng.integers(48, 66)), number % 3
    return [(0.0, chord(timbre, [root + step + 12 * (n < turned) for n, step in enumerate(steps)], 1.9))]


def a_progression(rng: np.random.Generator, timbre: Timbre, chords: Sequence[tuple[int, str]], number: int) -> Sounds:
    """Four triads."""
    tonic = int(rng.integers(48, 60))
    return [(0.9 * place, chord(timbre, [tonic + root + step for step in QUALITIES[quality]], 0.9))
            for place, (root, quality) in enumerate(chords)]  # fmt: skip


def a_tempo(rng: np.random.Generator, drum: str, bpm: float, number: int) -> Sounds:
    """Even strokes."""
    return [(start, hit(drum)) for start in np.arange(rng.uniform(0, 60 / bpm), 6.0, 60 / bpm)]


def a_metre(rng: np.random.Generator, drum: str, accents: str, number: int) -> Sounds:
    """Strokes that are strong and weak as in a metre, from any of its beats."""
    step_s, first = float(rng.uniform(0.18, 0.34)), int(rng.integers(len(accents)))
    starts = np.arange(rng.uniform(0, step_s), 6.0, step_s)
    return [(start, STRENGTHS[accents[(first + n) % len(accents)]] * hit(drum)) for n, start in enumerate(starts)]


QUESTIONS: dict[str, tuple[Callable[..., Sounds], Mapping[str, Any], int, float]] = {  # what plays, answers, takes, s
    "note": (a_note, {name: number for number, name in enumerate(NOTES)}, 3, 1.5),
    "interval": (an_interval, {f"{size} semitones": size for size in range(1, 13)}, 3, 2.0),
    "scale": (a_scale, SCALES, 5, 3.2),
    "triad": (a_triad, QUALITIES, 9, 2.0),
    "progression": (a_progression, PROGRESSIONS, 5, 3.7),
    "tempo": (a_tempo, {}, 24, 6.0),
    "metre": (a_metre, METRES, 4, 6.0),
}
STRUCK = ("tempo", "metre")


def clips() -> Iterator[Clip]:
    """The whole battery, question by question."""
    for question, (play, answers, n_takes, length_s) in QUESTIONS.items():
        instruments = {name: name for name in DRUMS} if question in STRUCK else TIMBRES
        for place, (sound, instrument) in enumerate(instruments.items()):
            for answer, number in itertools.product(answers or [""], range(n_takes)):
                what = (question, answer, sound, number)
                meant = answers[answer] if answers else _bpm(*what)
                name = "-".join(str(word).replace(" ", "_").replace("/", "_") for word in what if word != "")
                yield Clip(name, question, answer or meant, sound, SPLITS[place],
                           partial(_made, play, instrument, meant, number, what, length_s))  # fmt: skip


def _made(
    play: Callable[..., Sounds], instrument: Any, meant: Any, number: int, what: tuple[Any, ...], length_s: float
) -> Float[np.ndarray, " time"]:
    return placed(play(_rng(*what), instrument, meant, number), length_s)


def _bpm(*what: object) -> float:
    """A tempo, evenly drawn on a logarithmic scale."""
    return round(float(np.exp(_rng("bpm", *what).uniform(np.log(50), np.log(210)))), 2)


def _rng(*what: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(what).encode()))
