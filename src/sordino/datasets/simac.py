"""SIMAC: 595 excerpts of 20 s, many styles, with beats.

Paper: Gouyon, A Computational Approach to Rhythm Description, 2005 (the corpus of songs)
Conventions: `_beat_this.py`; no downbeats. All of it is train in Beat This's single split.
"""

from __future__ import annotations

from sordino.datasets._beat_this import BeatThis


class SIMAC(BeatThis):
    """Beats in many styles."""

    name = "simac"
    title = "SIMAC"
    licence = "annotations MIT (as their repository); audio: excerpts of records, not published"
    citation = "F. Gouyon: A computational approach to rhythm description. PhD thesis, Universitat Pompeu Fabra, 2005"
    size = (595, 3.2)
    get = "The audio is not published: ask its users."
    examples = {
        "simac_Amber_04-Slip": "0.454971\n0.953000\n",
        "simac_Tomatito_Tomatito-05.A_mi_tao_El_Nino_Miguel": "0.1\n0.5\n0.9\n",
    }
