"""Where a training step gets the constant part of the model from: computed anew, or from the feature cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from sordino.feature_cache import FeatureCache
from sordino.model import Model
from sordino.training.data import Examples

Constant = tuple[dict[int, Tensor], Tensor | None]


@runtime_checkable
class Source(Protocol):
    """Gives the constant states of some segments."""

    def __call__(self, rows: Sequence[int]) -> Constant:
        """Constant states and mask of these rows."""
        ...

    def ahead(self, rows: Sequence[int]) -> None:
        """Begin with what these rows will need."""
        ...


class Computed:
    """Decodes the segments and runs the frozen part, every time.

    Args:
        model: whose frozen part.
        examples: the segments.
    """

    def __init__(self, model: Model, examples: Examples):
        self.model, self.examples = model, examples

    def __call__(self, rows: Sequence[int]) -> Constant:
        """Decode and compute."""
        batch = self.examples.batch(rows)
        device = next(self.model.parameters()).device
        return self.model.constant(batch.waveform.to(device), batch.n_samples.to(device))

    def ahead(self, rows: Sequence[int]) -> None:
        """Begin to decode."""
        self.examples.crops.ahead(rows)


class Cached:
    """Runs the frozen part once over all segments, then reads from disk.

    Args:
        model: whose frozen part.
        examples: the segments.
        fingerprint: of the backbone's weights.
        dtype: `float32` or `float16`.
        advance: called with the number of segments done and all, while the cache is filled.
    """

    def __init__(
        self,
        model: Model,
        examples: Examples,
        fingerprint: str,
        dtype: str,
        advance: Callable[[int, int], None] = lambda done, total: None,
    ):
        key = {"backbone": fingerprint, "depth": model.backbone.n_layers, **examples.content()}
        longest = max((segment.n_samples for segment in examples.segments), default=1)
        self.device = next(model.parameters()).device
        self.cache = FeatureCache(
            key, len(examples), model.constant_states, examples.n_frames(longest), model.backbone.dim, dtype
        )
        missing = self.cache.missing()
        compute = Computed(model, examples)
        for first in range(0, len(missing), 8):
            rows = missing[first : first + 8]
            examples.crops.ahead(missing[first : first + 16])
            self.cache.put(rows, *compute(rows))
            advance(min(first + 8, len(missing)), len(missing))

    def __call__(self, rows: Sequence[int]) -> Constant:
        """Read."""
        constant, mask = self.cache.get(rows)
        moved = {k: value.to(self.device) for k, value in constant.items()}
        return moved, None if mask is None else mask.to(self.device)

    def ahead(self, rows: Sequence[int]) -> None:
        """Nothing: reading is quick."""


@torch.inference_mode()
def joined_probabilities(model: Model, examples: Examples, source: Source, batch_size: int = 8):
    """What the model says of every track, its segments joined.

    Returns:
        By task, a list with [label] or [frame label] for each track of `examples`.
    """
    from sordino.segments import Joiner

    overlap = (examples.grid.length_samples - examples.grid.hop_samples) // examples.hop_samples
    joiners = {name: [Joiner(task.level, overlap) for _ in examples.tracks] for name, task in model.tasks.items()}
    for first in range(0, len(examples), batch_size):
        rows = list(range(first, min(first + batch_size, len(examples))))
        constant, mask = source(rows)
        for name, logits in model(constant, mask).items():
            probabilities = model.tasks[name].probabilities(logits.float()).cpu().numpy()
            for row, values in zip(rows, probabilities, strict=True):
                segment = examples.segments[row]
                if model.tasks[name].level == "frame":
                    values = values[: examples.n_frames(segment.n_samples)]
                start = segment.start_samples // examples.hop_samples
                joiners[name][segment.track].add(values, start, segment.n_samples)
    return {name: [joiner.joined() for joiner in row] for name, row in joiners.items()}
