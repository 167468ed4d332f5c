"""Candombe: 35 performances of Uruguayan drums with beats and downbeats.

Paper: Nunes et al., Beat and Downbeat Tracking ... Applied to the Uruguayan Candombe Drumming, ISMIR 2015
https://zenodo.org/records/6533068
Conventions: `_beat_this.py`. The published splits tear sessions (takes of the same players stand on both sides).
"""

from __future__ import annotations

from sordino.contracts import Archive
from sordino.datasets._beat_this import BeatThis


class Candombe(BeatThis):
    """Uruguayan drums."""

    name = "candombe"
    title = "Candombe"
    licence = "audio CC-BY-4.0; annotations MIT (as their repository)"
    citation = "L. Nunes et al.: Beat and downbeat tracking ... applied to the Uruguayan candombe drumming. ISMIR 2015"
    size = (35, 2.4)
    get = "The audio is on Zenodo (candombe_audio.zip)."
    archives = (
        *BeatThis.archives,
        Archive(
            "https://zenodo.org/records/6533068/files/candombe_audio.zip", "ccd7f437024807b1a52c0818aa0b7f06", "audio"
        ),
    )
    examples = {
        "csic.1995_ansina1_01": "0.2\t1\n0.4\t2\n0.6\t3\n0.8\t4\n",
        "csic.1995_ansina1_03": "0.1\t2\n0.3\t3\n0.5\t4\n0.7\t1\n",
    }
