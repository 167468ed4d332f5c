"""MTG-Jamendo, 40 instruments."""

from __future__ import annotations

from sordino.datasets._mtg_jamendo import Jamendo


class JamendoInstrument(Jamendo):
    """Songs with 40 instruments."""

    name = "mtg_jamendo_instrument"
    title = "MTG-Jamendo instrument"
    size = (24_976, 1_628.3)
    subset = "autotagging_instrument"
