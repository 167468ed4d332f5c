"""Changes of a waveform that change the label too: pitch, tempo, level, noise, band, mixture.

Conventions: waveforms are float32 [time]. A rate of 1.05 plays 1.05 times as fast. `relabel` asks the task: a
key moves with the pitch, beats with the time, all else stays. Pitch and time are changed by `vocoder`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any, ClassVar

import numpy as np
from jaxtyping import Float32

from sordino.rules import Count, Filled, Positive, Range
from sordino.settings import Settings, settings
from sordino.vocoder import pitch_shift, time_stretch

VERSION = 2  # raised when the same change of the same sound gives other samples
Waveform = Float32[np.ndarray, " time"]
Changed = Float32[np.ndarray, " changed"]


class Change(ABC):
    """One change of a waveform.

    Attributes:
        wants_other: it needs a second recording, `other`, which else is None.
    """

    wants_other: ClassVar[bool] = False

    @abstractmethod
    def apply(
        self, x: Waveform, sample_rate_hz: int, rng: np.random.Generator, other: np.ndarray | None = None
    ) -> Changed:
        """The changed waveform."""

    def relabel(self, task: Any, label: Any, other: Any = None) -> Any:
        """The label that fits it; the same one, unless a change says otherwise."""
        return label


@dataclass(frozen=True)
class PitchShift(Change):
    """Every tone moves, the length stays.

    Attributes:
        semitones: up, or down when negative.
    """

    semitones: int

    def apply(self, x: Waveform, sample_rate_hz: int, rng: np.random.Generator, other: Any = None) -> Waveform:
        """The shifted waveform, as long as before."""
        return pitch_shift(x, self.semitones)

    def relabel(self, task: Any, label: Any, other: Any = None) -> Any:
        """The transposed label."""
        return task.transpose(label, self.semitones)


@dataclass(frozen=True)
class TimeStretch(Change):
    """Faster or slower at the same pitch.

    Attributes:
        rate: 1.05 plays 1.05 times as fast.
    """

    rate: float

    def apply(self, x: Waveform, sample_rate_hz: int, rng: np.random.Generator, other: Any = None) -> Changed:
        """The stretched waveform, `1 / rate` times as long."""
        return time_stretch(x, self.rate)

    def relabel(self, task: Any, label: Any, other: Any = None) -> Any:
        """The label at the new times."""
        return task.stretch(label, self.rate)


def louder(x: Waveform, db: float) -> Waveform:
    """The waveform at another level; softer where `db` is negative."""
    return x * np.float32(10 ** (db / 20))


def with_noise(x: Waveform, snr_db: float, rng: np.random.Generator) -> Waveform:
    """White noise added, so many dB under the waveform's own level."""
    level = np.sqrt(np.mean(x**2)) * 10 ** (-snr_db / 20)
    return x + (level * rng.standard_normal(len(x))).astype(np.float32)


@dataclass(frozen=True)
class Gain(Change):
    """Another level, drawn evenly.

    Attributes:
        range_db: at most so much up or down.
    """

    range_db: float

    def apply(self, x: Waveform, sample_rate_hz: int, rng: np.random.Generator, other: Any = None) -> Waveform:
        """The louder or softer waveform; it may leave +-1, as floats may."""
        return louder(x, rng.uniform(-self.range_db, self.range_db))


@dataclass(frozen=True)
class Noise(Change):
    """White noise added, at a level drawn evenly.

    Attributes:
        snr_db: the least signal-to-noise ratio; the greatest is 30 dB more.
    """

    snr_db: float

    def apply(self, x: Waveform, sample_rate_hz: int, rng: np.random.Generator, other: Any = None) -> Waveform:
        """The noisy waveform."""
        return with_noise(x, rng.uniform(self.snr_db, self.snr_db + 30), rng)


def band_pass(x: Waveform, sample_rate_hz: int, low_hz: float, high_hz: float) -> Waveform:
    """What lies between two edges (zero phase, slopes of a third of an octave)."""
    octaves = np.log2(np.maximum(np.fft.rfftfreq(len(x), 1 / sample_rate_hz), 1e-3))
    keep = np.clip(3 * (octaves - np.log2(low_hz)) + 1, 0, 1) * np.clip(3 * (np.log2(high_hz) - octaves) + 1, 0, 1)
    return np.fft.irfft(np.fft.rfft(x) * keep, len(x)).astype(np.float32)


@dataclass(frozen=True)
class BandLimit(Change):
    """Only a band is left, as in a telephone or an old record; edges drawn evenly in octaves.

    Attributes:
        low_hz: the lower edge lies between 20 Hz and this.
        high_hz: the upper edge lies between this and half the sample rate.
    """

    low_hz: float
    high_hz: float

    def apply(self, x: Waveform, sample_rate_hz: int, rng: np.random.Generator, other: Any = None) -> Waveform:
        """The filtered waveform."""
        low = 20 * (self.low_hz / 20) ** rng.uniform()
        high = self.high_hz * (sample_rate_hz / 2 / self.high_hz) ** rng.uniform()
        return band_pass(x, sample_rate_hz, low, high)


@dataclass(frozen=True)
class Overlay(Change):
    """Another recording laid under this one, for tagging: the tags of both.

    Attributes:
        level_db: its level against this one's.
    """

    wants_other: ClassVar[bool] = True
    level_db: float = -3.0

    def apply(self, x: Waveform, sample_rate_hz: int, rng: np.random.Generator, other: Any = None) -> Waveform:
        """The sum, this one's level unchanged; the other, [time], is repeated or cut to fit."""
        under = np.resize(other, len(x))
        scale = np.sqrt(np.mean(x**2) / max(float(np.mean(under**2)), 1e-12)) * 10 ** (self.level_db / 20)
        return x + (scale * under).astype(np.float32)

    def relabel(self, task: Any, label: Any, other: Any = None) -> Any:
        """The union of both lists of tags, as the task reads it.

        Raises:
            ValueError: the label is no list of tags.
        """
        if not isinstance(label, list) or not all(isinstance(tag, str) for tag in label):
            raise ValueError(f"{task.name}: only lists of tags can be mixed, not {label!r}")
        return task.parse([*label, *other])


@dataclass(frozen=True)
class Usual:
    """The name under which configs ask for a field's augmentation, and the field's value then."""

    name: str
    value: Any


@dataclass(frozen=True)
class Augmentation(Settings):
    """The versions of every training segment: all pitches x all rates x copies, each with the other changes.

    Attributes:
        semitones: pitch shifts; 0 is the segment as it is.
        rates: time stretches; 1 is the segment as it is.
        copies: versions of each, different in level, noise and band.
        gain_db: level up and down by at most so much; 0: unchanged.
        noise_snr_db: least signal-to-noise ratio; none: no noise.
        band_hz: how far the band may be narrowed, (low, high); none: not at all.
        mix: every second copy has another recording of the training split laid under it (tags only); two copies then
            at least.
    """

    semitones: Annotated[Sequence[int], Filled(), Usual("pitch_shift", tuple(range(-4, 5)))] = (0,)
    rates: Annotated[Sequence[Positive], Filled(), Usual("time_stretch", (0.95, 0.975, 1.0, 1.025, 1.05))] = (1.0,)
    copies: Count = 1
    gain_db: Annotated[float, Range(0), Usual("gain", 6.0)] = 0.0
    noise_snr_db: Annotated[float | None, Usual("noise", 15.0)] = None
    band_hz: Annotated[tuple[Positive, Positive] | None, Usual("band_limit", (300.0, 3_400.0))] = None
    mix: Annotated[bool, Usual("mix", True)] = False

    @classmethod
    def usual(cls) -> dict[str, tuple[str, Any]]:
        """Each augmentation's name in configs, with its field and the value then (the paper's, for pitch and time)."""
        marks = {field: setting.marks(Usual) for field, setting in settings(cls).items()}
        return {mark.name: (field, mark.value) for field, found in marks.items() for mark in found}

    @classmethod
    def named(cls, names: Sequence[str]) -> Augmentation:
        """The augmentation with the usual settings of some kinds, by their names in configs."""
        usual = cls.usual()
        return cls(**dict(usual[name] for name in names))

    def versions(self) -> Iterator[list[Change]]:
        """The list of changes of each version; the first is the plainest."""
        pitches = sorted(self.semitones, key=abs)
        tempi = sorted(self.rates, key=lambda rate: abs(rate - 1))
        for copy, semitones, rate in product(range(max(self.copies, 1 + self.mix)), pitches, tempi):
            changes: list[Change] = []
            if semitones:
                changes.append(PitchShift(semitones))
            if rate != 1:
                changes.append(TimeStretch(rate))
            if self.gain_db:
                changes.append(Gain(self.gain_db))
            if self.noise_snr_db is not None:
                changes.append(Noise(self.noise_snr_db))
            if self.band_hz is not None:
                changes.append(BandLimit(*self.band_hz))
            if self.mix and copy % 2:
                changes.append(Overlay())
            yield changes
