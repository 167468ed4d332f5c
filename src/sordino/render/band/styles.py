"""How often each style is heard, in any key or in one mode."""

from __future__ import annotations

from functools import cache

import numpy as np

from .style import Style
from .style_table import STYLES


@cache
def shares(mode: str | None = None):
    """Return all styles and how often each is heard: in major or minor only, or in any key.

    Args:
        mode: "major", "minor", or None for both.
    """
    share = {None: lambda style: 1.0, "major": lambda style: 1 - style.minor, "minor": lambda style: style.minor}[mode]
    weights = np.array([style.weight * share(style) for style in STYLES])
    return STYLES, weights / weights.sum()


def draw_style(rng, mode: str | None = None) -> Style:
    """Draw a style that is played in a mode."""
    styles, weights = shares(mode)
    return styles[rng.choice(len(styles), p=weights)]
