"""MTG-Jamendo, 87 genres."""

from __future__ import annotations

from sordino.datasets._mtg_jamendo import Jamendo


class JamendoGenre(Jamendo):
    """Songs with 87 genres."""

    name = "mtg_jamendo_genre"
    title = "MTG-Jamendo genre"
    size = (55_094, 3_735.0)
    subset = "autotagging_genre"
