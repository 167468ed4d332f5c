"""Sounds whose key, tempo, beats and chords are known because they are made here."""

from __future__ import annotations

import numpy as np

RATE_HZ = 16_000
TRIADS = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "min7": (0, 3, 7, 10),
}
ROOTS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
CADENCES = {"major": ((0, "maj"), (5, "maj"), (7, "maj"), (0, "maj")),
            "minor": ((0, "min"), (5, "min"), (7, "maj"), (0, "min"))}  # fmt: skip


def note(midi: float, duration_s: float, rate_hz: int = RATE_HZ, brightness: float = 0.6) -> np.ndarray:
    """A decaying tone of five partials."""
    time_s = np.arange(int(duration_s * rate_hz)) / rate_hz
    hz = 440.0 * 2 ** ((midi - 69) / 12)
    partials = sum(brightness**k * np.sin(2 * np.pi * hz * (k + 1) * time_s) for k in range(5))
    return partials * np.exp(-2 * time_s) * np.minimum(1, (time_s[::-1]) / 0.01)


def chord(root: int, quality: str, duration_s: float, octave: int = 4, detune: float = 0.0, **tone) -> np.ndarray:
    """A chord on `root` (semitones above C) with its root doubled an octave below."""
    low = 12 * octave + 12 + root + detune
    return sum(note(low + step, duration_s, **tone) for step in (-12, *TRIADS[quality]))


def click_track(
    bpm: float, beats_per_bar: int, duration_s: float, first_s: float = 0.25, rate_hz: int = RATE_HZ
) -> tuple[np.ndarray, dict[str, list[float]]]:
    """Clicks, higher on downbeats, and the label of the beat task."""
    beats = np.arange(first_s, duration_s - 0.05, 60.0 / bpm)
    wave = np.zeros(int(duration_s * rate_hz))
    time_s = np.arange(int(0.04 * rate_hz)) / rate_hz
    for number, beat in enumerate(beats):
        hz, level = (2000.0, 1.0) if number % beats_per_bar == 0 else (1000.0, 0.6)
        begin = round(beat * rate_hz)
        click = level * np.sin(2 * np.pi * hz * time_s) * np.exp(-100 * time_s)
        wave[begin : begin + len(click)] += click[: len(wave) - begin]
    label = {"beats": beats.tolist(), "downbeats": beats[::beats_per_bar].tolist()}
    return (0.5 * wave).astype(np.float32), label


def cadence(tonic: int, mode: str, chord_s: float = 0.8, **tone) -> tuple[np.ndarray, list[list]]:
    """I IV V I in a key, and its chords."""
    parts, label = [], []
    for number, (step, quality) in enumerate(CADENCES[mode]):
        parts.append(chord((tonic + step) % 12, quality, chord_s, **tone))
        label.append([number * chord_s, (number + 1) * chord_s, f"{ROOTS[(tonic + step) % 12]}:{quality}"])
    return (0.05 * np.concatenate(parts)).astype(np.float32), label


def key_label(tonic: int, mode: str) -> str:
    """A spelling of the key that mir_eval understands."""
    return f"{ROOTS[tonic]} {mode}"
