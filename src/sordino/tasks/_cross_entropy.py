"""Cross-entropy of clips, divided by a count that may be that of a larger batch."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def mean_cross_entropy(
    logits: Float[Tensor, "clip label"],
    target: Float[Tensor, "clip label"],
    counts: Tensor | None,
    label_smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """The sum over clips, divided by the first of `counts` (None: by the number of clips)."""
    target = target.to(logits.dtype)
    total = functional.cross_entropy(logits, target, label_smoothing=label_smoothing, reduction="sum")
    return total / (len(target) if counts is None else counts[0])
