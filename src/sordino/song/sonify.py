"""Answers to be heard: clicks at the beats, higher at downbeats, and chords in soft tones over the song."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from sordino import audio
from sordino.contracts import Task
from sordino.results import FileAnswer

BLOCK_S = 20.0
SONG_LEVEL, CLICK_LEVEL, CHORD_LEVEL = 0.6, 0.3, 0.04
CLICK_S, BEAT_HZ, DOWNBEAT_HZ = 0.04, 1000.0, 2000.0
FADE_S, LOWEST_MIDI = 0.02, 60


def sonify(answer: FileAnswer, tasks: Mapping[str, Task], path: str | Path) -> None:
    """Write the song with what was heard in it, mono at its own rate, in the format of the path's suffix.

    Raises:
        ValueError: the answer has neither beats nor chords, or the song itself would be written over.
        AudioError: the song cannot be read, or the suffix is of no format that is written.
    """
    beats, chords = _found(answer, tasks, "beat"), _found(answer, tasks, "chord")
    if beats is None and chords is None:
        raise ValueError(f"{answer.path}: neither beats nor chords were asked for, so there is nothing to be heard")
    if Path(path).exists() and Path(path).samefile(answer.path):
        raise ValueError(f"{path} is the song itself; nothing was written over it: give another place")
    clicks = _clicks(beats) if beats else []
    tones = list(_tones(chords or [], tasks))
    rate = audio.info(answer.path).sample_rate_hz

    def blocks() -> Iterator[Float[np.ndarray, " time"]]:
        begin = 0
        for block in audio.blocks(answer.path, rate, BLOCK_S):
            time_s = (begin + np.arange(len(block))) / rate
            mixed = SONG_LEVEL * block + _sounding(clicks, time_s, _click) + _sounding(tones, time_s, _chord)
            yield np.clip(mixed, -1.0, 1.0).astype(np.float32)
            begin += len(block)

    audio.write_blocks(path, blocks(), rate)


def _found(answer: FileAnswer, tasks: Mapping[str, Task], kind: str) -> Any:
    """The value of the first answer of a task, or None."""
    return next((p.value for name, p in answer.answers.items() if tasks[name].name == kind), None)


def _clicks(beats: Mapping[str, Any]) -> list[tuple[float, float, float]]:
    """Start, end and pitch of each click."""
    down = set(beats["downbeats"] or ())
    return [(t, t + CLICK_S, DOWNBEAT_HZ if t in down else BEAT_HZ) for t in beats["beats"]]


def _tones(chords: Sequence[Sequence[Any]], tasks: Mapping[str, Task]) -> Iterator[tuple[float, float, list[float]]]:
    """Start, end and pitches in Hz of each chord."""
    task: Any = next((task for task in tasks.values() if task.name == "chord"), None)
    for start, end, chord in chords:
        classes = task.pitch_classes(chord)
        yield start, end, [440.0 * 2 ** ((LOWEST_MIDI + each - 69) / 12) for each in classes]


def _sounding(events, time_s: Float[np.ndarray, " time"], voice) -> Float[np.ndarray, " time"]:
    """What of the events sounds at these times."""
    total = np.zeros(len(time_s))
    for start, end, what in events:
        first, last = np.searchsorted(time_s, (start, end))
        if last > first:
            total[first:last] += voice(time_s[first:last], start, end, what)
    return total


def _click(time_s, start, end, hz) -> np.ndarray:
    since = time_s - start
    return CLICK_LEVEL * np.sin(2 * np.pi * hz * since) * np.exp(-since / (CLICK_S / 5))


def _chord(time_s, start, end, pitches) -> np.ndarray:
    fade = np.clip(np.minimum(time_s - start, end - time_s) / FADE_S, 0.0, 1.0)
    return CHORD_LEVEL * fade * sum((np.sin(2 * np.pi * hz * time_s) for hz in pitches), np.zeros(len(time_s)))
