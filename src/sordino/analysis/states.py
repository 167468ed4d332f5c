"""The mean over time of every hidden state of every track, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sordino import audio
from sordino.analysis.attributes import attributes
from sordino.answering import pad
from sordino.compute import Compute
from sordino.contracts import Backbone, Track
from sordino.datasets import group_of
from sordino.memory import in_room
from sordino.segments import CLIP_TAIL, Grid, Piece

ROWS_AT_ONCE = 8


class Heard(NamedTuple):
    """What a model and simple estimators hear in some tracks.

    Attributes:
        states: means over time, [track state dim]; state 0 is what enters the first layer.
        attributes: by group and name, [track value].
        groups: what must not be torn apart where tracks are shared out, one for each track.
        broken: tracks that could not be read, a line each.
    """

    states: Float[np.ndarray, "track state dim"]
    attributes: dict[str, dict[str, np.ndarray]]
    groups: list[str]
    broken: list[str]


def hear(
    backbone: Backbone,
    tracks: Sequence[Track],
    segment_s: float = 10.0,
    compute: Compute | None = None,
    advance: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Heard:
    """Decode every track once, encode it, and measure its musical attributes.

    Args:
        backbone: frozen, with or without something attached; on the device.
        tracks: what to hear.
        segment_s: longer tracks are cut, and their segments' means averaged by length.
        compute: device and precision; None for what is usual on this machine.
        advance: progress.

    Raises:
        ValueError: no track could be read.
    """
    compute = compute or Compute.choose()
    grid = Grid.of(segment_s, backbone.sample_rate_hz, backbone.hop_samples, 0.0, CLIP_TAIL)
    states, measured, groups, broken = [], [], [], []
    for number, track in enumerate(tracks):
        advance("tracks", number, len(tracks))
        try:
            wave = audio.read(track.path, backbone.sample_rate_hz, track.start_s, track.duration_s)
        except audio.AudioError as error:
            broken.append(str(error))
            continue
        states.append(_means(backbone, wave, grid, compute))
        measured.append(attributes(wave, backbone.sample_rate_hz))
        groups.append(group_of(track))
    if not states:
        raise ValueError("none of the tracks could be read: " + "; ".join(broken[:3]))
    found = {group: {name: np.stack([each[group][name] for each in measured]) for name in own}
             for group, own in measured[0].items()}  # fmt: skip
    return Heard(np.stack(states), found, groups, broken)


@torch.inference_mode()
def _means(backbone: Backbone, wave: np.ndarray, grid: Grid, compute: Compute) -> Float[np.ndarray, "state dim"]:
    """The mean over all real frames of a recording."""
    pieces = grid.cut(len(wave))

    def summed(part: Sequence[Piece]) -> tuple[Tensor, float]:
        """States, weighted by how many new samples each frame stands for, and the sum of the weights."""
        waveform, n_samples = pad([wave[p.start_samples : p.start_samples + p.n_samples] for p in part])
        with compute.context():
            frames = backbone.frontend(waveform.to(compute.device), n_samples.to(compute.device))
            states = backbone.encode(frames)
        mask = torch.ones(states[0].shape[:2], dtype=torch.bool) if frames.mask is None else frames.mask.cpu()
        new = torch.tensor([p.n_new / p.n_samples for p in part])[:, None]
        share = mask * new / mask.sum(1, keepdim=True).clamp_min(1) * n_samples[:, None]
        total = torch.stack([torch.einsum("bf,bfd->d", share, state.float().cpu()) for state in states])
        return total, float(share.sum())

    batches = [pieces[first : first + ROWS_AT_ONCE] for first in range(0, len(pieces), ROWS_AT_ONCE)]
    totals, weights = zip(*(found for batch in batches for _, found in in_room(summed, batch)), strict=True)
    return (torch.stack(totals).sum(0) / max(sum(weights), 1e-9)).numpy()
