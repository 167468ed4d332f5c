"""Filosax: 48 pieces of jazz for saxophone and rhythm section, with beats and downbeats.

Paper: Foster and Dixon, Filosax: A Dataset of Annotated Jazz Saxophone Recordings, ISMIR 2021
https://dave-foster.github.io/filosax
Conventions: `_beat_this.py`; columns are separated by spaces in all files but one. One sound file per piece, named
`filosax_01` or `01`.
"""

from __future__ import annotations

from sordino.datasets._beat_this import BeatThis


class Filosax(BeatThis):
    """Jazz saxophone."""

    name = "filosax"
    title = "Filosax"
    licence = "annotations MIT (as their repository); audio: on request, research use only, not to be passed on"
    citation = "D. Foster, S. Dixon: Filosax: a dataset of annotated jazz saxophone recordings. ISMIR 2021"
    size = (48, 4.8)
    get = "Its authors give the audio to researchers; name a piece's mix as its annotations are."
    examples = {
        "filosax_01": "0.1 1\n0.3 2\n0.5 3\n0.7 4\n",
        "filosax_08": "0.2\t1\n0.5\t2\n",
    }
