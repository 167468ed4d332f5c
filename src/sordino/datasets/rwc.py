"""RWC: 226 recordings made for research with beats and downbeats.

Paper: Goto et al., RWC Music Database: Popular, Classical, and Jazz Music Databases, ISMIR 2002
https://staff.aist.go.jp/m.goto/RWC-MDB
Conventions: `_beat_this.py`; names as `rwc_popular_CD1_07`: 61 classical, 50 jazz, 100 popular, 15 royalty-free. The
repository says that a few files were converted wrongly and leaves them: 26 of jazz hold the places 1 and 3 only,
`rwc_classical_CD2_03` gives several beats one place. They are read as they stand.
"""

from __future__ import annotations

from sordino.datasets._beat_this import BeatThis


class RWC(BeatThis):
    """Music made for research."""

    name = "rwc"
    title = "RWC"
    licence = "annotations MIT (as their repository); audio: for who signed AIST's pledge, research use only"
    citation = "M. Goto et al.: RWC music database: popular, classical, and jazz music databases. ISMIR 2002"
    size = (226, 16.1)
    get = "AIST sends the audio to who signs its pledge; name it as the annotations are."
    notes = (
        "26 files of jazz have the places 1 and 3 only, rwc_classical_CD2_03 several beats of one place: as published",
    )
    examples = {
        "rwc_classical_CD2_03": "0.1\t1\n0.2\t1\n0.3\t1\n0.4\t2\n",
        "rwc_jazz_CD1_03": "0.1\t3\n0.4\t1\n0.7\t3\n",
        "rwc_popular_CD3_01": "0.1\t7\n0.3\t8\n0.5\t1\n",
    }
