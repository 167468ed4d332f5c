"""MagnaTagATune without the clips that have none of the 50 tags.

Paper: Won et al., Evaluation of CNN-based Automatic Music Tagging Models, 2020
https://arxiv.org/abs/2006.00751
"""

from __future__ import annotations

from sordino.datasets._magnatagatune import TagATune


class MagnaTagATuneClean(TagATune):
    """MTAT-clean in the paper's tables; scores are not comparable with those of all clips."""

    name = "magnatagatune_clean"
    title = "MagnaTagATune, clean"
    size = (21_108, 171.0)
    with_untagged = False
