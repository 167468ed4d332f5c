"""HJDB: 235 excerpts of hardcore, jungle and drum and bass, with beats and downbeats.

Paper: Hockman, Davies and Fujinaga, One in the Jungle: Downbeat Detection in Hardcore, Jungle, and Drum and Bass, 2012
Conventions: `_beat_this.py`; four beats to every bar.
"""

from __future__ import annotations

from sordino.datasets._beat_this import BeatThis


class HJDB(BeatThis):
    """Breakbeats."""

    name = "hjdb"
    title = "HJDB"
    licence = "annotations MIT (as their repository); audio: excerpts of records, not published"
    citation = (
        "J. Hockman et al.: One in the jungle: downbeat detection in hardcore, jungle, and drum and bass. ISMIR 2012"
    )
    size = (235, 3.3)
    get = "The audio is not published: ask its users."
    examples = {
        "hjdb_4_Am": "0.28\t4\n0.68\t1\n",
        "hjdb_Feel_Better_(Remix)": "0.1\t1\n0.3\t2\n0.5\t3\n0.7\t4\n0.9\t1\n",
    }
