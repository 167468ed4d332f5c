"""Labels that rendered music brings along, as targets for crops.

Conventions: `labels.jsonl` has one object per sound file, as `sordino.render` writes it: `path`, `split` (train or
validation), `group` (the tune) and any of `key` ("A minor"), `tempo` (BPM), `beat` ({"beats": [...], "downbeats":
[...]}, seconds, and `known` and `bars_known`: [[start_s, end_s], ...] where beats, or which of them are downbeats, are
not known everywhere), `chord` ([[start_s, end_s, Harte label], ...]) and `instruments` (names of INSTRUMENT_FAMILIES).
Keys and chords count from C, minor ones 12 higher; chord 24 is no chord; -1 is unknown.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sordino.backbones._mini_frontend import N_LAGS, lag_bpms
from sordino.pretrain.store import FRAME_RATE_HZ
from sordino.pretrain.stretching import move_class, rate_of

INSTRUMENT_FAMILIES = (
    "bass", "brass", "choir", "drums", "flute", "guitar",
    "mallet", "organ", "piano", "reed", "strings", "synth",
)  # fmt: skip
N_KEYS, N_CHORDS, N_TEMPI = 24, 25, N_LAGS
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


@dataclass
class Targets:
    """Targets of a batch; what is not known of a crop counts for nothing.

    Attributes:
        beat: beats and downbeats, 1 at the frame and 0.5 beside it, [row frame 2].
        beat_known: 1 where beats, and where downbeats, are known, [row frame 2].
        chord: class of each frame, -1 where unknown, [row frame].
        key: class, -1 where unknown, [row].
        tempo: distribution over the tempogram's tempi, zeros where unknown, [row tempo].
        instruments: 1 where a family sounds, [row family].
        instruments_known: 1 where instruments are known, [row].
    """

    beat: Float[Tensor, "row frame 2"]
    beat_known: Float[Tensor, "row frame 2"]
    chord: Int[Tensor, "row frame"]
    key: Int[Tensor, " row"]
    tempo: Float[Tensor, "row tempo"]
    instruments: Float[Tensor, "row family"]
    instruments_known: Float[Tensor, " row"]

    def to(self, device: torch.device) -> Targets:
        """The same on another device."""
        return Targets(*(getattr(self, item.name).to(device) for item in fields(self)))


@dataclass(frozen=True)
class Cut:
    """Which part of a track a crop is, and how it was moved.

    Attributes:
        start_frame: where it begins in the track.
        n_frames: its own length.
        tempo_steps: classes of tempo that it is faster.
        semitones: by which it is higher.
        track_frames: length of the track; behind it the track begins again and beats are unknown.
    """

    start_frame: float
    n_frames: int
    tempo_steps: int = 0
    semitones: int = 0
    track_frames: float = np.inf

    def frames(self, time_s: Any) -> np.ndarray:
        """Frames of the crop, with fractions, at times in the track."""
        return (np.asarray(time_s, dtype=float) * FRAME_RATE_HZ - self.start_frame) / rate_of(self.tempo_steps)

    def seconds(self, frame: Any) -> np.ndarray:
        """Times in the track of frames of the crop."""
        return (np.asarray(frame, dtype=float) * rate_of(self.tempo_steps) + self.start_frame) / FRAME_RATE_HZ


def read_labels(path: str | Path) -> dict[str, dict[str, Any]]:
    """Labels by sound file, as written in `labels.jsonl`.

    Raises:
        ValueError: a line is not an object with `path`, or names an unknown instrument.
    """
    found = {}
    for number, line in enumerate(Path(path).read_text().splitlines(), 1):
        try:
            entry = json.loads(line)
            found[entry["path"]] = entry
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"{path} line {number}: wants an object with `path`, one per line") from error
        unknown = set(entry.get("instruments") or ()) - set(INSTRUMENT_FAMILIES)
        if unknown:
            raise ValueError(f"{path} line {number}: instruments {sorted(unknown)} not in {INSTRUMENT_FAMILIES}")
    return found


def crop_targets(entry: dict[str, Any], cut: Cut) -> tuple[np.ndarray, ...]:
    """Targets of a crop of a labelled file, in the order of `Targets`."""
    tempo_bpm = entry.get("tempo")
    instruments = entry.get("instruments")
    return (
        beat_targets(entry.get("beat"), cut),
        known_frames(entry.get("beat"), cut),
        move_class(chord_targets(entry.get("chord"), cut), cut.semitones),
        move_class(np.array(key_class(entry.get("key"))), cut.semitones),
        tempo_distribution(None if tempo_bpm is None else tempo_bpm * rate_of(cut.tempo_steps)),
        np.isin(INSTRUMENT_FAMILIES, instruments or []).astype(np.float32),
        np.array(instruments is not None, dtype=np.float32),
    )


def beat_targets(beat: dict[str, list[float]] | None, cut: Cut) -> np.ndarray:
    """[frame 2]: beats and downbeats."""
    target = np.zeros((cut.n_frames, 2), dtype=np.float32)
    for column, name in enumerate(("beats", "downbeats")):
        frames = np.floor(cut.frames((beat or {}).get(name, []))).astype(int)
        for offset, value in ((-1, 0.5), (1, 0.5), (0, 1.0)):
            inside = frames[(frames + offset >= 0) & (frames + offset < cut.n_frames)] + offset
            target[inside, column] = value
    return target


def known_frames(beat: dict[str, Any] | None, cut: Cut) -> np.ndarray:
    """[frame 2]: 1 where beats, and where downbeats, are known: in the stretches named, without any in all of it."""
    known = np.zeros((cut.n_frames, 2), dtype=np.float32)
    if beat is None:
        return known
    beats = beat.get("known", [(0.0, cut.track_frames / FRAME_RATE_HZ)])
    for column, stretches in enumerate((beats, beat.get("bars_known", beats))):
        for start_s, end_s in stretches:
            low, high = np.clip(cut.frames([start_s, end_s]), 0, cut.n_frames)
            known[int(low) : int(high), column] = 1
    return known


def chord_targets(chords: list[list[Any]] | None, cut: Cut) -> np.ndarray:
    """[frame]: major and minor chords by root, 24 for none, -1 where unknown; as they are in the track."""
    target = np.full(cut.n_frames, -1, dtype=np.int64)
    for start_s, end_s, label in chords or []:
        low, high = np.round(cut.frames([start_s, end_s])).astype(int)
        target[max(low, 0) : max(high, 0)] = chord_class(label)
    return target


def chord_class(label: str) -> int:
    """0 to 23 for a chord with a major or minor third, 24 for `N`, -1 for what has neither."""
    if label == "N":
        return N_CHORDS - 1
    root, _, quality = label.partition(":")
    if root[:1] not in _STEPS or quality.startswith("sus"):
        return -1
    return pitch_class(root) + 12 * quality.startswith(("min", "dim", "hdim"))


def key_class(key: str | None) -> int:
    """0 to 23 for `C major` to `B minor`; -1 for none."""
    if key is None:
        return -1
    tonic, mode = key.split()
    return pitch_class(tonic) + 12 * (mode == "minor")


def pitch_class(name: str) -> int:
    """0 for C."""
    return (_STEPS[name[0]] + name.count("#") - name.count("b")) % 12


def tempo_distribution(tempo_bpm: float | None) -> np.ndarray:
    """A narrow bell over the tempogram's tempi, which are equally spaced in log tempo; zeros for none."""
    if tempo_bpm is None:
        return np.zeros(N_TEMPI, dtype=np.float32)
    bpms = lag_bpms().numpy()
    distance = np.log(bpms / tempo_bpm) / np.log(bpms[1] / bpms[0])
    bell = np.exp(-0.5 * distance**2)
    return (bell / bell.sum()).astype(np.float32)
