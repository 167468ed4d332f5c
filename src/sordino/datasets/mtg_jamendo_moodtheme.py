"""MTG-Jamendo, 56 moods and themes."""

from __future__ import annotations

from sordino.datasets._mtg_jamendo import Jamendo


class JamendoMoodTheme(Jamendo):
    """Songs with 56 moods and themes."""

    name = "mtg_jamendo_moodtheme"
    title = "MTG-Jamendo moodtheme"
    size = (17_982, 1_095.1)
    subset = "autotagging_moodtheme"
