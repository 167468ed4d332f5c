"""Recordings, decoded once and cut into the segments of every pass."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sordino import audio
from sordino.contracts import Prediction, Task
from sordino.inference.passes import Pass
from sordino.plain_answers import RATE_HZ as PLAIN_RATE_HZ
from sordino.plain_answers import PlainAnswer
from sordino.results import FileAnswer
from sordino.segments import Cutter, Piece


class Cut(NamedTuple):
    """A segment of a file.

    Attributes:
        number: of the file.
        pass_number: of the pass it was cut for.
        piece: where it lies.
        wave: its waveform [time].
    """

    number: int
    pass_number: int
    piece: Piece
    wave: np.ndarray


class Said(NamedTuple):
    """What plain estimators say of a file."""

    number: int
    answers: dict[str, Prediction]


class Unreadable(NamedTuple):
    """A file that turned out to be none, or not whole; nothing more comes of it."""

    number: int
    error: str


class Wave(NamedTuple):
    """A recording in memory: mono samples [time], full scale +-1, and their rate."""

    samples: np.ndarray
    sample_rate_hz: int


Sound = str | Path | Wave
Item = Cut | Said | Unreadable


def rates_of(passes: Iterable[Pass], plain: Mapping[str, Task]) -> list[int]:
    """The rates that sound is wanted at, in samples a second."""
    rates = {each.backbone.sample_rate_hz for each in passes}
    return sorted(rates | ({PLAIN_RATE_HZ} if plain else set()))


def cut(
    number: int, sound: Sound, answer: FileAnswer, passes: Sequence[Pass], plain: Mapping[str, Task], block_s: float
) -> Generator[Item, None, None]:
    """The segments of a recording for all passes, from one decoding, and what plain estimators say of it.

    Args:
        number: of the recording among those that are asked.
        sound: the recording.
        answer: its answer, which gets its length.
        passes: whose segments are cut.
        plain: tasks that are answered by their plain estimators, by the names of the answers.
        block_s: seconds decoded at a time.
    """
    rates = rates_of(passes, plain)
    cutters = [Cutter(each.grid) for each in passes]
    listeners = {name: PlainAnswer(task) for name, task in plain.items()}
    try:
        answer.duration_s, blocks = _opened(sound, rates, block_s)
        for at_rates in blocks:
            for listener in listeners.values():
                listener.add(at_rates[rates.index(PLAIN_RATE_HZ)])
            for index, (each, cutter) in enumerate(zip(passes, cutters, strict=True)):
                block = at_rates[rates.index(each.backbone.sample_rate_hz)]
                yield from (Cut(number, index, *found) for found in cutter.add(block))
        for index, cutter in enumerate(cutters):
            if not cutter.n_samples:
                rate = passes[index].backbone.sample_rate_hz
                raise audio.AudioError(f"{answer.path or 'the sound'}: too short, not one sample at {rate} Hz")
            yield from (Cut(number, index, *found) for found in cutter.end())
        if listeners:
            yield Said(number, {name: listener.end() for name, listener in listeners.items()})
    except audio.AudioError as error:
        yield Unreadable(number, str(error))


def _opened(sound: Sound, rates_hz: Sequence[int], block_s: float) -> tuple[float, Iterable[list[np.ndarray]]]:
    """A recording's length in seconds and its blocks at each rate."""
    if isinstance(sound, Wave):
        at_rates = [audio.resampled(sound.samples, sound.sample_rate_hz, rate) for rate in rates_hz]
        return len(sound.samples) / sound.sample_rate_hz, [at_rates]
    return audio.info(sound).duration_s, audio.blocks_at(str(sound), rates_hz, block_s)
