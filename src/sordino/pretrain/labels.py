"""Labels that rendered music brings along, as targets for crops.

Conventions: `labels.jsonl` has one object per sound file, as `sordino.render` writes it: `path`, `split`
(train or validation), `group` (the tune) and any of `key` ("A minor"), `tempo` (BPM), `beat` ({"beats":
[...], "downbeats": [...]}, seconds), `chord` ([[start_s, end_s, Harte label], ...]) and `instruments`
(names of INSTRUMENT_FAMILIES). Keys and chords count from C, minor ones 12 higher; chord 24 is no chord; -1
is unknown.
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

INSTRUMENT_FAMILIES = (
    "bass", "brass", "choir", "drums", "flute", "guitar",
    "mallet", "organ", "piano", "reed", "strings", "synth",
)  # fmt: skip
N_KEYS, N_CHORDS, N_TEMPI = 24, 25, N_LAGS
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


@dataclass
class Targets:
    """Targets of the labelled rows of a batch.

    Attributes:
        rows: which rows of the batch these are.
        beat: beats and downbeats, 1 at the frame and 0.5 beside it, [row frame 2].
        chord: class of each frame, [row frame].
        key: class, [row].
        tempo: distribution over the tempogram's tempi, [row tempo].
        instruments: 1 where a family sounds, [row family].
    """

    rows: Int[Tensor, " row"]
    beat: Float[Tensor, "row frame 2"]
    chord: Int[Tensor, "row frame"]
    key: Int[Tensor, " row"]
    tempo: Float[Tensor, "row tempo"]
    instruments: Float[Tensor, "row family"]

    def to(self, device: torch.device) -> Targets:
        """The same on another device."""
        return Targets(*(getattr(self, item.name).to(device) for item in fields(self)))


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


def crop_targets(entry: dict[str, Any], start_frame: int, n_frames: int) -> tuple[np.ndarray, ...]:
    """Targets of a stretch of a labelled file, in the order of `Targets` without `rows`."""
    return (
        beat_targets(entry.get("beat"), start_frame, n_frames),
        chord_targets(entry.get("chord"), start_frame, n_frames),
        np.array(key_class(entry.get("key"))),
        tempo_distribution(entry.get("tempo")),
        np.isin(INSTRUMENT_FAMILIES, entry.get("instruments") or []).astype(np.float32),
    )


def beat_targets(beat: dict[str, list[float]] | None, start_frame: int, n_frames: int) -> np.ndarray:
    """[frame 2]: beats and downbeats."""
    target = np.zeros((n_frames, 2), dtype=np.float32)
    for column, name in enumerate(("beats", "downbeats")):
        frames = np.floor(np.array((beat or {}).get(name, [])) * FRAME_RATE_HZ).astype(int) - start_frame
        for offset, value in ((-1, 0.5), (1, 0.5), (0, 1.0)):
            inside = frames[(frames + offset >= 0) & (frames + offset < n_frames)] + offset
            target[inside, column] = value
    return target


def chord_targets(chords: list[list[Any]] | None, start_frame: int, n_frames: int) -> np.ndarray:
    """[frame]: major and minor chords by root, 24 for none, -1 where unknown."""
    target = np.full(n_frames, -1, dtype=np.int64)
    for start_s, end_s, label in chords or []:
        low, high = (round(seconds * FRAME_RATE_HZ) - start_frame for seconds in (start_s, end_s))
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
