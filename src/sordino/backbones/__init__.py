"""Networks from waveform to hidden states, one file each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sordino import contracts, registry
from sordino.rules import Count


def load_backbone(
    name: str, weights: str | Path | None = None, depth: Count | None = None, **options: Any
) -> contracts.Backbone:
    """Build a backbone with its weights, frozen and in evaluation mode.

    Args:
        name: `mini`, `musicfm`, `mert`, `muq`, ... (`sordino list backbones`).
        weights: None for the published or built-in ones, `random` or `random:SEED`, or a path.
        depth: build only the first layers; None for all.
        **options: what this backbone offers beside (`sordino show NAME`).

    Returns:
        A `Backbone`.

    Raises:
        ValueError: no backbone has this name, or it has no such option or wants another value, or the weights do
            not fit; says what and where.
        FileNotFoundError: the weights are not here; says which file to fetch and where to put it.

    Example:
        >>> backbone = load_backbone("mini", weights="random", depth=2)
        >>> backbone.n_layers, backbone.frame_rate_hz
        (2, 25.0)
    """
    return registry.make("backbone", name, {"weights": weights, "depth": depth, **options})
