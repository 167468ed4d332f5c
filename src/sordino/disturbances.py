"""What recordings may suffer, at one strength each: how much of a score is left then, with the labels as they were.

| name | what |
|---|---|
| `noise` | white noise, 10 dB under the music |
| `telephone` | nothing below 300 and above 3,400 Hz, as on a telephone |
| `mp3` | coded as MP3 with 32 kbit/s and decoded again |
| `quiet` | 30 dB softer |
| `loud` | 12 dB louder, cut off at full scale |
| `detuned` | 40 cents up, at the same speed |

After Won et al., Evaluation of CNN-based Automatic Music Tagging Models, 2020, section 5.4 (arXiv 2006.00751), who
test taggers on changed sound; codecs and detuning are ours.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile
from jaxtyping import Float32

from sordino.augment import Change, band_pass, louder, with_noise
from sordino.vocoder import pitch_shift

Waveform = Float32[np.ndarray, " time"]
SNR_DB, SOFTER_DB, LOUDER_DB, CENTS = 10.0, 30.0, 12.0, 40.0
TELEPHONE_HZ = (300.0, 3400.0)
MP3_KBIT_S, MP3_DELAY_SAMPLES = 32, 576 + 529
MP3_RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)


def noisy(x: Waveform, sample_rate_hz: int, rng: np.random.Generator) -> Waveform:
    """White noise added, `SNR_DB` under the waveform's own level."""
    return with_noise(x, SNR_DB, rng)


def telephone(x: Waveform, sample_rate_hz: int, rng: np.random.Generator) -> Waveform:
    """The band of a telephone."""
    return band_pass(x, sample_rate_hz, *TELEPHONE_HZ)


def quiet(x: Waveform, sample_rate_hz: int, rng: np.random.Generator) -> Waveform:
    """Softer."""
    return louder(x, -SOFTER_DB)


def loud(x: Waveform, sample_rate_hz: int, rng: np.random.Generator) -> Waveform:
    """Louder than full scale, and cut off there."""
    return np.clip(louder(x, LOUDER_DB), -1, 1)


def detuned(x: Waveform, sample_rate_hz: int, rng: np.random.Generator) -> Waveform:
    """Less than half a semitone up, so that no label changes."""
    return pitch_shift(x, CENTS / 100)


def coded(x: Waveform, sample_rate_hz: int, rng: np.random.Generator) -> Waveform:
    """Through an MP3 coder at a constant rate.

    Raises:
        ValueError: MP3 has no such sample rate.
    """
    if sample_rate_hz not in MP3_RATES_HZ:
        raise ValueError(f"MP3 has no sample rate of {sample_rate_hz} Hz; leave mp3 out of `under` for this backbone")
    fastest, slowest = (160, 8) if sample_rate_hz < 32_000 else (320, 32)  # of the MPEG layer
    level = min(0.999, (fastest - MP3_KBIT_S) / (fastest - slowest))  # soundfile counts downwards
    return through_codec(x, sample_rate_hz, "MP3", "MPEG_LAYER_III", bitrate_mode="CONSTANT", compression_level=level)


def through_codec(x: Waveform, sample_rate_hz: int, kind: str, subtype: str, **options: Any) -> Waveform:
    """What a lossy codec leaves, in its place; arguments as of `soundfile.write`.

    An MP3 says in its first frame by how much coder and decoder delay; where frames are too small for that, the delay
    of LAME and of every decoder is taken off here.
    """
    file = io.BytesIO()
    soundfile.write(file, np.clip(x, -1, 1), sample_rate_hz, format=kind, subtype=subtype, **options)
    file.seek(0)
    found = soundfile.read(file, dtype="float32")[0]
    if len(found) > len(x):
        found = found[MP3_DELAY_SAMPLES:]
    return np.pad(found, (0, max(0, len(x) - len(found))))[: len(x)]


@dataclass(frozen=True)
class Disturbance(Change):
    """A change of the sound that leaves the label as it is.

    Attributes:
        name: see the module's head.
    """

    name: str

    def apply(self, x: Waveform, sample_rate_hz: int, rng: np.random.Generator, other: Any = None) -> Waveform:
        """The changed waveform, as long as before."""
        return DISTURBANCES[self.name](x, sample_rate_hz, rng)


DISTURBANCES: dict[str, Callable[[Waveform, int, np.random.Generator], Waveform]] = {
    "noise": noisy,
    "telephone": telephone,
    "mp3": coded,
    "quiet": quiet,
    "loud": loud,
    "detuned": detuned,
}
