"""Crops for one step: most of unlabelled music, some of rendered music with labels.

What step `n` sees depends on the seed and on `n` alone, so a run that was stopped goes on as if it had not.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sordino.backbones._mini_frontend import BINS_PER_SEMITONE, MEL_STACK, N_MELS, VIEWS
from sordino.pretrain.labels import Targets, crop_targets, read_labels
from sordino.pretrain.masking import span_mask
from sordino.pretrain.objectives import Crops
from sordino.pretrain.store import Store

LabelTargets = tuple[np.ndarray, ...]  # beat, chord, key, tempo, instruments


class CropSampler:
    """Draws batches.

    Args:
        music: the unlabelled tracks.
        n_frames: length of a crop at 25 Hz.
        batch_size: crops in a batch.
        hidden_share: how much of an unlabelled crop is hidden.
        rendered: tracks with labels; None for none.
        labels_file: their `labels.jsonl`.
        labelled_share: how much of a batch is rendered music.
        labelled_hidden_share: how much of a labelled crop is hidden.
        augment: play mel frames louder, softer and through a random equaliser; transpose rendered crops and
            change their tempo.
        seed: of everything drawn.
    """

    def __init__(
        self,
        music: Store,
        n_frames: int = 250,
        batch_size: int = 16,
        hidden_share: float = 0.5,
        rendered: Store | None = None,
        labels_file: str | Path | None = None,
        labelled_share: float = 0.5,
        labelled_hidden_share: float = 0.15,
        augment: bool = True,
        seed: int = 0,
    ):
        self.music, self.rendered, self.n_frames, self.seed, self.augment = (
            music,
            rendered,
            n_frames,
            seed,
            augment,
        )
        self.hidden_share, self.labelled_hidden_share = hidden_share, labelled_hidden_share
        self.n_labelled = round(batch_size * labelled_share) if rendered is not None and rendered.items else 0
        self.n_unlabelled = batch_size - self.n_labelled
        self.labels = read_labels(labels_file) if labels_file is not None else {}
        lengths = np.array([item.n_frames for item in music.items], dtype=float)
        self.shares = lengths / max(lengths.sum(), 1)

    def draw(self, step: int) -> tuple[Crops, torch.Generator]:
        """The batch of a step, and the generator that its noise comes from."""
        rng = np.random.default_rng([self.seed, step])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        crops = [self._music_crop(rng) for _ in range(self.n_unlabelled)]
        labelled = [self._labelled_crop(rng) for _ in range(self.n_labelled)]
        features = torch.from_numpy(np.stack(crops + [features for features, _ in labelled]))
        if self.augment:
            features = recolour(features, generator)
        share = torch.tensor([self.hidden_share] * len(crops) + [self.labelled_hidden_share] * len(labelled))
        hidden = span_mask(self.n_frames, share, generator)
        return Crops(features, hidden, self._collate([targets for _, targets in labelled])), generator

    def _music_crop(self, rng: np.random.Generator) -> np.ndarray:
        number = int(rng.choice(len(self.shares), p=self.shares))
        room = max(1, self.music.items[number].n_frames - self.n_frames)
        return self.music.crop(number, int(rng.integers(room)), self.n_frames)

    def _labelled_crop(self, rng: np.random.Generator) -> tuple[np.ndarray, LabelTargets]:
        assert self.rendered is not None
        number = int(rng.integers(len(self.rendered.items)))
        item = self.rendered.items[number]
        start = int(rng.integers(max(1, item.n_frames - self.n_frames + 1)))
        targets = crop_targets(self.labels[item.source], start, self.n_frames)
        features = self.rendered.crop(number, start, self.n_frames)
        if self.augment:
            features, targets = transpose(features, targets, int(rng.integers(-5, 7)))
            features, targets = change_tempo(features, targets, int(rng.integers(-6, 7)))
        return features, targets

    def _collate(self, targets: list[LabelTargets]) -> Targets | None:
        if not targets:
            return None
        rows = torch.arange(self.n_unlabelled, self.n_unlabelled + len(targets))
        return Targets(rows, *(torch.from_numpy(np.stack(column)) for column in zip(*targets, strict=True)))


def transpose(features: np.ndarray, targets: LabelTargets, semitones: int) -> tuple[np.ndarray, LabelTargets]:
    """Move the pitch view, key and chords; the mel view stays, so that the network looks for pitch where it is."""
    beat, chord, key, tempo, instruments = targets
    view = VIEWS["pitch"]
    moved = features.copy()
    moved[:, view] = shift(features[:, view], semitones * BINS_PER_SEMITONE)
    return moved, (beat, move_class(chord, semitones), move_class(key, semitones), tempo, instruments)


def change_tempo(features: np.ndarray, targets: LabelTargets, lags: int) -> tuple[np.ndarray, LabelTargets]:
    """Move the tempogram and the tempo by some of its lags, 2.4 % each; beats stay where the mel view has them."""
    beat, chord, key, tempo, instruments = targets
    view = VIEWS["tempogram"]
    moved = features.copy()
    moved[:, view] = shift(features[:, view], lags)
    return moved, (beat, chord, key, shift(tempo, lags), instruments)


def shift(x: np.ndarray, by: int) -> np.ndarray:
    """Move the last axis `by` places up; zeros come in."""
    moved = np.roll(x, by, axis=-1)
    moved[..., slice(0, by) if by >= 0 else slice(by, None)] = 0
    return moved


def move_class(classes: np.ndarray, semitones: int) -> np.ndarray:
    """Transpose classes 0 to 11 and 12 to 23; others (unknown, no chord) stay."""
    moved = classes // 12 * 12 + (classes + semitones) % 12
    return np.where((classes >= 0) & (classes < 24), moved, classes)


def recolour(features: Tensor, generator: torch.Generator) -> Tensor:
    """Add to each crop's log mel bands a random level and a smooth random curve, each within 6 dB."""
    level = torch.rand(len(features), 1, generator=generator) * 2 - 1
    knots = torch.rand(len(features), 1, 8, generator=generator) * 2 - 1
    curve = torch.nn.functional.interpolate(knots, N_MELS, mode="linear", align_corners=True)[:, 0]
    shift = ((level + curve) * 1.4).repeat(1, MEL_STACK)[:, None]
    features = features.clone()
    features[..., VIEWS["mel"]] += shift
    return features
