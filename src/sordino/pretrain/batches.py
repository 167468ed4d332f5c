"""Crops for one step: pairs from one track, some of unlabelled music, some of rendered music with labels.

The two crops of a pair lie near each other in one track (so they share key and tempo); each is stretched and
transposed by an amount of its own. What step `n` sees depends on the seed and on `n` alone, so a run that was stopped
goes on as if it had not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sordino.backbones._mini_frontend import MEL_STACK, VIEWS, fold_chroma
from sordino.pretrain.labels import Cut, Targets, crop_targets, read_labels
from sordino.pretrain.masking import span_mask
from sordino.pretrain.recolouring import recolour
from sordino.pretrain.sounds import Sounds
from sordino.pretrain.store import FRAME_RATE_HZ, Store
from sordino.pretrain.stretching import rate_of, source_frames, stretch, transpose

MOST_TEMPO_STEPS = 12  # either way, a third faster or a quarter slower
LOWEST_SHIFT, HIGHEST_SHIFT = -5, 6  # semitones
NEIGHBOUR_FRAMES = round(15 * FRAME_RATE_HZ)  # between the starts of a pair
SURROUNDINGS_FRAMES = round(60 * FRAME_RATE_HZ)  # whose mean chroma is asked of a crop
SURROUNDINGS_STEP = 5


@dataclass
class Crops:
    """One batch; rows 2k and 2k + 1 are of one track.

    Attributes:
        features: the views as stored, stretched and transposed, [batch frame feature].
        hidden: the frames that are replaced by noise, [batch frame].
        harmony: mean chroma of the minute around each crop, transposed as it is, [batch 12].
        tempo_steps: classes of tempo by which each was made faster, [batch].
        semitones: by which each was made higher, [batch].
        sounds: a teacher's embedding of each three seconds, NaN where unknown, [batch window value].
        targets: labels.
    """

    features: Float[Tensor, "batch frame feature"]
    hidden: Bool[Tensor, "batch frame"]
    harmony: Float[Tensor, "batch 12"]
    tempo_steps: Int[Tensor, " batch"]
    semitones: Int[Tensor, " batch"]
    sounds: Float[Tensor, "batch window value"]
    targets: Targets

    def to(self, device: torch.device) -> Crops:
        """The same on another device."""
        return Crops(*(getattr(self, item.name).to(device) for item in fields(self)))


@dataclass(frozen=True)
class Tracks:
    """A store, and what is known of its tracks: labels by their sound file, a teacher's embeddings."""

    store: Store
    labels: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    sounds: Sounds = field(default_factory=Sounds)

    @property
    def shares(self) -> np.ndarray:
        """How often each track is drawn: by its length."""
        lengths = np.array([item.n_frames for item in self.store.items], dtype=float)
        return lengths / max(lengths.sum(), 1)


@dataclass(frozen=True)
class Material:
    """Where a run takes its music from.

    Attributes:
        music: store of unlabelled music.
        sounds: folder with a teacher's embeddings of it, see sounds.py; None for none.
        rendered: store of music with labels; None for none.
        labels_file: `labels.jsonl` of `rendered`.
        music_labels_file: the same of `music`, where teachers agree; None for none.
    """

    music: Path
    sounds: Path | None = None
    rendered: Path | None = None
    labels_file: Path | None = None
    music_labels_file: Path | None = None

    def of(self, split: str) -> tuple[Tracks, Tracks | None]:
        """Music, and rendered music where there is some."""
        music = Tracks(Store(self.music, split), _labels(self.music_labels_file), Sounds(self.sounds))
        if self.rendered is None:
            return music, None
        rendered = Tracks(Store(self.rendered, split), _labels(self.labels_file))
        return music, rendered if rendered.store.items else None


def _labels(file: Path | None) -> dict[str, dict[str, Any]]:
    return {} if file is None else read_labels(file)


class CropSampler:
    """Draws batches.

    Args:
        music: the unlabelled tracks.
        rendered: tracks with labels; None for none.
        n_frames: length of a crop at 25 Hz.
        batch_size: crops in a batch, even.
        hidden_share: how much of the unlabelled crops is hidden, of the first pair nothing, of each next one more: a
            network that only ever saw crops with holes is another one on whole music.
        labelled_share: how much of a batch is rendered music.
        labelled_hidden_share: how much of a labelled crop is hidden.
        augment: stretch, transpose, recolour.
        seed: of everything drawn.
    """

    def __init__(
        self,
        music: Tracks,
        rendered: Tracks | None = None,
        n_frames: int = 300,
        batch_size: int = 16,
        hidden_share: float = 0.35,
        labelled_share: float = 0.5,
        labelled_hidden_share: float = 0.15,
        augment: bool = True,
        seed: int = 0,
    ):
        self.music, self.n_frames, self.seed, self.augment = music, n_frames, seed, augment
        n_pairs = batch_size // 2
        n_labelled = round(n_pairs * labelled_share) if rendered is not None else 0
        self.pairs = [music] * (n_pairs - n_labelled) + [rendered or music] * n_labelled
        least = 0.0 if n_pairs - n_labelled > 1 else hidden_share
        unlabelled = torch.linspace(least, min(2 * hidden_share, 1), n_pairs - n_labelled)
        labelled = torch.full((n_labelled,), labelled_hidden_share)
        self.hidden_shares = torch.cat([unlabelled, labelled]).repeat_interleave(2)
        self.shares = {id(tracks): tracks.shares for tracks in self.pairs}

    def draw(self, step: int) -> tuple[Crops, torch.Generator]:
        """The batch of a step, and the generator that its noise comes from."""
        rng = np.random.default_rng([self.seed, step])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        crops = [crop for source in self.pairs for crop in self._pair(source, rng)]
        features, harmony, sounds, targets, moves = zip(*crops, strict=True)
        stacked = torch.from_numpy(np.stack(features))
        tempo_steps, semitones = torch.tensor(moves).unbind(1)
        return Crops(
            features=recolour(stacked, generator) if self.augment else stacked,
            hidden=span_mask(self.n_frames, self.hidden_shares, generator),
            harmony=torch.from_numpy(np.stack(harmony)),
            tempo_steps=tempo_steps,
            semitones=semitones,
            sounds=torch.from_numpy(np.stack(sounds)),
            targets=Targets(*(torch.from_numpy(np.stack(column)) for column in zip(*targets, strict=True))),
        ), generator

    def _pair(self, source: Tracks, rng: np.random.Generator) -> list[tuple]:
        number = int(rng.choice(len(source.store.items), p=self.shares[id(source)]))
        n_source = source.store.items[number].n_frames
        start = int(rng.integers(max(1, n_source - self.n_frames)))
        near = start + int(rng.integers(-NEIGHBOUR_FRAMES, NEIGHBOUR_FRAMES + 1))
        return [self._crop(source, number, at, rng) for at in (start, near)]

    def _crop(self, source: Tracks, number: int, start: int, rng: np.random.Generator) -> tuple:
        """Features, mean chroma of the surroundings, sounds, targets, and by how much the crop was moved."""
        item = source.store.items[number]
        tempo_steps, semitones, offset = 0, 0, 0.0
        if self.augment:
            tempo_steps = int(rng.integers(-MOST_TEMPO_STEPS, MOST_TEMPO_STEPS + 1))
            semitones = int(rng.integers(LOWEST_SHIFT, HIGHEST_SHIFT + 1))
            offset = float(rng.random())
        n_wanted = source_frames(self.n_frames, rate_of(tempo_steps))
        start = min(max(start, 0), max(0, item.n_frames - n_wanted))
        frames = source.store.crop(number, start, n_wanted)
        features = stretch(frames, tempo_steps, self.n_frames, offset)
        features[:, VIEWS["pitch"]] = transpose(features[:, VIEWS["pitch"]], semitones)
        cut = Cut(start + offset / MEL_STACK, self.n_frames, tempo_steps, semitones, item.n_frames)
        targets = crop_targets(source.labels.get(item.source, {}), cut)
        harmony = np.roll(self._surroundings(source.store, number, start + n_wanted // 2), semitones)
        return features, harmony, source.sounds.of(item.file, cut), targets, (tempo_steps, semitones)

    def _surroundings(self, store: Store, number: int, centre: int) -> np.ndarray:
        """Mean chroma of the minute around a frame."""
        low = max(0, centre - SURROUNDINGS_FRAMES // 2)
        rows = store.features(number)[low : centre + SURROUNDINGS_FRAMES // 2 : SURROUNDINGS_STEP, VIEWS["pitch"]]
        return fold_chroma(torch.from_numpy(rows.astype(np.float32))).mean(0).numpy()
