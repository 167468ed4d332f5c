"""MagnaTagATune, all clips: those without any of the 50 tags count as negatives for every tag."""

from __future__ import annotations

from sordino.datasets._magnatagatune import TagATune


class MagnaTagATune(TagATune):
    """MTAT in the paper's tables."""

    name = "magnatagatune"
    title = "MagnaTagATune"
    size = (25_860, 209.0)
    with_untagged = True
