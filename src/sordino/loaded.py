"""`sordino.load`: adapters as a function from sounds to answers.

hear = sordino.load("key.adapter")
hear("song.mp3").value                      # a file: "A minor"
hear(samples, 44_100)["key"].confidence     # an array or tensor, [time] or [channel time], at any rate
hear(["a.mp3", "b.flac"])                   # many, in their order; what cannot be read has an `error`
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from torch import Tensor

from sordino.audio import AudioError, as_mono
from sordino.inference import Predictor, Sound, Wave
from sordino.results import FileAnswer

Given = str | Path | np.ndarray | Tensor


class Loaded:
    """Adapters in memory. Any thread may call it.

    Args:
        predictor: what answers.
    """

    def __init__(self, predictor: Predictor):
        self.predictor = predictor

    @overload
    def __call__(self, sound: Given, sample_rate_hz: int | None = None) -> FileAnswer: ...
    @overload
    def __call__(self, sound: Sequence[Given], sample_rate_hz: int | None = None) -> list[FileAnswer]: ...

    def __call__(self, sound, sample_rate_hz=None):
        """Answer a sound, or a list of them.

        Args:
            sound: a file, or samples: see `audio.as_mono`.
            sample_rate_hz: of samples.

        Returns:
            The answer, or a list of answers in which those of unreadable files have an `error`.

        Raises:
            AudioError: a file that was given alone cannot be read.
            ValueError: samples without a rate, or none at all.
        """
        if isinstance(sound, list | tuple):
            return list(self.predictor.files([_sound(each, sample_rate_hz) for each in sound]))
        (answer,) = self.predictor.files([_sound(sound, sample_rate_hz)])
        if answer.error is not None:
            raise AudioError(answer.error)
        return answer


def _sound(given: Given, sample_rate_hz: int | None) -> Sound:
    if isinstance(given, str | Path):
        return given
    if sample_rate_hz is None:
        raise ValueError("samples have no rate of their own: give sample_rate_hz, for example hear(samples, 44_100)")
    return Wave(as_mono(given.detach().cpu().numpy() if isinstance(given, Tensor) else given), sample_rate_hz)


def load(*adapters: str | Path, **options: Any) -> Loaded:
    """Load adapters once, to answer many sounds.

    Args:
        *adapters: folders, names of adapters that ship with sordino (`key`), or `hf:user/name`.
        **options: see `Predictor` (`device`, `precision`, `batch_size`, `names`).

    Raises:
        FileNotFoundError: an adapter or the weights of its backbone are not there.
        ValueError: two of them answer the same task, or one does not fit its backbone.
    """
    return Loaded(Predictor(adapters, **options))
