"""MTG-Jamendo, the 50 most frequent tags."""

from __future__ import annotations

from sordino.datasets._mtg_jamendo import Jamendo


class JamendoTop50(Jamendo):
    """Songs with the 50 most frequent tags."""

    name = "mtg_jamendo_top50"
    title = "MTG-Jamendo top50"
    size = (54_380, 3_688.4)
    subset = "autotagging_top50tags"
