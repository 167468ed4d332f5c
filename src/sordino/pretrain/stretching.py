"""The same music faster or slower, higher or lower, made from stored features.

Mel and pitch frames are read at other times (linear interpolation), pitches are moved along their logarithmic axis.
Nothing may tell a network by how much a crop was moved: what would come in as zeros at an edge of the pitch view is
filled from the neighbouring octave, and every crop is read between the stored frames.

Paper: Quinton, Equivariant Self-Supervision for Musical Tempo Estimation, 2022 https://arxiv.org/abs/2209.01478;
    Riou et al., PESTO, 2023, section 2 https://arxiv.org/abs/2309.02265
Differs: both are done on features, so that a store decoded once serves.
"""

from __future__ import annotations

import math

import numpy as np

from sordino.backbones._mini_frontend import (
    BINS_PER_SEMITONE,
    FASTEST_BPM,
    MEL_STACK,
    N_LAGS,
    N_MELS,
    SLOWEST_BPM,
    VIEWS,
)

TEMPO_STEP = (FASTEST_BPM / SLOWEST_BPM) ** (1 / (N_LAGS - 1))  # from one class of tempo to the next, 2.5 %
OCTAVE_BINS = 12 * BINS_PER_SEMITONE


def rate_of(tempo_steps: int) -> float:
    """How many times as fast a crop is that lies `tempo_steps` classes of tempo higher."""
    return TEMPO_STEP**tempo_steps


def source_frames(n_frames: int, rate: float) -> int:
    """Stored frames that `stretch` wants for a crop of `n_frames`."""
    return math.ceil(n_frames * rate) + 1


def stretch(frames: np.ndarray, tempo_steps: int, n_frames: int, offset: float = 0.0) -> np.ndarray:
    """Read stored frames [frame feature] so that they pass `rate_of(tempo_steps)` times as fast.

    Args:
        frames: at least `source_frames` of them.
        tempo_steps: classes of tempo; the tempogram is moved by them too.
        n_frames: how many come out.
        offset: where reading starts, in mel frames of 20 ms, 0 to 1.
    """
    rate = rate_of(tempo_steps)
    mel = _read(frames[:, VIEWS["mel"]].reshape(-1, N_MELS), rate, offset, MEL_STACK * n_frames)
    slow = _read(frames[:, VIEWS["pitch"].start :], rate, offset / MEL_STACK, n_frames)
    n_pitches = VIEWS["pitch"].stop - VIEWS["pitch"].start
    tempogram = shift(slow[:, n_pitches:], tempo_steps)
    return np.concatenate([mel.reshape(n_frames, -1), slow[:, :n_pitches], tempogram], axis=1)


def _read(rows: np.ndarray, rate: float, offset: float, n_rows: int) -> np.ndarray:
    """Rows at (j + 1/2) * rate - 1/2 + offset, between neighbours."""
    at = np.clip((np.arange(n_rows) + 0.5) * rate - 0.5 + offset, 0, len(rows) - 1)
    low = np.minimum(at.astype(int), len(rows) - 2)
    part = (at - low)[:, None].astype(np.float32)
    return rows[low] * (1 - part) + rows[low + 1] * part


def transpose(pitch: np.ndarray, semitones: int) -> np.ndarray:
    """Move the pitch view [frame pitch]; what comes in at an edge is copied from the octave beside it."""
    bins = semitones * BINS_PER_SEMITONE
    moved = shift(pitch, bins)
    if bins > 0:
        moved[..., :bins] = moved[..., OCTAVE_BINS : OCTAVE_BINS + bins]
    elif bins < 0:
        moved[..., bins:] = moved[..., bins - OCTAVE_BINS : -OCTAVE_BINS]
    return moved


def shift(x: np.ndarray, by: int) -> np.ndarray:
    """Move the last axis `by` places up; zeros come in."""
    moved = np.roll(x, by, axis=-1)
    moved[..., slice(0, by) if by >= 0 else slice(by, None)] = 0
    return moved


def move_class(classes: np.ndarray, semitones: int) -> np.ndarray:
    """Transpose classes 0 to 11 and 12 to 23; others (unknown, no chord) stay."""
    moved = classes // 12 * 12 + (classes + semitones) % 12
    return np.where((classes >= 0) & (classes < 24), moved, classes)
