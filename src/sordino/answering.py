"""From segments to joined answers: the one way, for validation, test and prediction.

Segments come in batches, those of one recording in order; a batch may hold segments of several recordings. What is
joined for a recording is given as soon as its last segment is through, so memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sordino.compute import Compute
from sordino.contracts import Prediction
from sordino.memory import in_room
from sordino.model import Model
from sordino.segments import CLIP_TAIL, FRAME_OVERLAP, FRAME_TAIL, Grid, Joiner, Piece

Constant = tuple[dict[int, Tensor], Tensor | None]  # what `Model.constant` gives
Prefixed = tuple[str, Model]  # a model and what is put before the names of its tasks


class NotANumber(ValueError):
    """A model answers with infinity or nan."""


class Segments(NamedTuple):
    """A batch of segments.

    Attributes:
        places: by row, the recording's number and where the segment lies in it.
        constant: gives the constant states of some of the rows, by their places in the batch, and their mask.
    """

    places: Sequence[tuple[int, Piece]]
    constant: Callable[[Sequence[int]], Constant]


def pad(waves: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Waveforms side by side, [batch time], silence behind the shorter ones, and their true lengths, [batch]."""
    n_samples = torch.tensor([len(wave) for wave in waves])
    padded = torch.zeros(len(waves), int(n_samples.max()))
    for row, wave in enumerate(waves):
        padded[row, : len(wave)] = torch.from_numpy(wave)
    return padded, n_samples


def answer_grid(model: Model, segment_s: float) -> Grid:
    """How recordings are cut to be answered; where frames are answered, segments overlap and none is left out."""
    has_frames = any(task.level == "frame" for task in model.tasks.values())
    overlap, tail = (FRAME_OVERLAP, FRAME_TAIL) if has_frames else (0.0, CLIP_TAIL)
    return Grid.of(segment_s, model.backbone.sample_rate_hz, model.backbone.hop_samples, overlap, tail)


class Joined:
    """Gathers what models say of segments until a recording is through.

    Args:
        models: on one backbone.
        grid: how recordings were cut.
    """

    def __init__(self, models: Sequence[Prefixed], grid: Grid):
        self.models, self.grid = models, grid
        self._overlap_frames = (grid.length_samples - grid.hop_samples) // grid.frame_samples
        self._waiting: dict[int, dict[str, Joiner]] = {}

    @torch.inference_mode()
    def add(
        self, places: Sequence[tuple[int, Piece]], logits: Iterable[Mapping[str, Tensor]]
    ) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """Take a batch.

        Args:
            places: by row, the recording's number and where the segment lies in it.
            logits: by model, its logits by task.

        Yields:
            The number of a recording that is through, and by task its probabilities, [label] or [frame label].
        """
        for number in {number for number, _ in places} - self._waiting.keys():
            self._waiting[number] = {
                prefix + name: Joiner(task.level, self._overlap_frames)
                for prefix, model in self.models
                for name, task in model.tasks.items()
            }
        for (prefix, model), own in zip(self.models, logits, strict=True):
            for name, values in own.items():
                task = model.tasks[name]
                probabilities = task.probabilities(values.float()).cpu().numpy()
                for row, (number, piece) in zip(probabilities, places, strict=True):
                    if task.level == "frame":
                        row = row[: model.backbone.n_frames(piece.n_samples)]
                    start_frame = piece.start_samples // self.grid.frame_samples
                    self._waiting[number][prefix + name].add(row, start_frame, piece.n_new)
        return self._through(places)

    def _through(self, places: Sequence[tuple[int, Piece]]) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        for number, piece in places:
            if piece.last:
                yield number, {name: joiner.joined() for name, joiner in self._waiting.pop(number).items()}

    def drop(self, number: int) -> None:
        """Forget a recording that cannot be read to its end."""
        self._waiting.pop(number, None)


def joined(
    model: Model, batches: Iterable[Segments], grid: Grid, compute: Compute
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """What a model says of recordings.

    Args:
        model: what is asked.
        batches: the segments.
        grid: how they were cut.
        compute: device and precision.

    Yields:
        A recording's number, and by task its probabilities, [label] or [frame label].
    """
    gathered = Joined([("", model)], grid)

    def asked(batch: Segments, rows: Sequence[int]) -> dict[str, Tensor]:
        with torch.inference_mode(), compute.context():
            return model(*batch.constant(rows))

    for batch in batches:
        for rows, logits in in_room(partial(asked, batch), range(len(batch.places))):
            yield from gathered.add([batch.places[row] for row in rows], [logits])


def decoded(models: Sequence[Prefixed], probabilities: Mapping[str, np.ndarray]) -> dict[str, Prediction]:
    """Answers by task, from what `joined` gave for a recording.

    Raises:
        NotANumber: the model answers with infinity or nan, of which no task could make an answer.
    """
    for name, values in probabilities.items():
        if not np.isfinite(values).all():
            raise NotANumber(f"the model's answer to {name} is not a number; the sound, or the weights, overflow")
    return {
        prefix + name: task.decode(probabilities[prefix + name], model.backbone.frame_rate_hz)
        for prefix, model in models
        for name, task in model.tasks.items()
    }
