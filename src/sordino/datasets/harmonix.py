"""Harmonix: 911 songs of Western pop with beats and downbeats.

Paper: Nieto et al., The Harmonix Set, ISMIR 2019 https://github.com/urinieto/harmonixset
Conventions: as Beat This corrected them (`_beat_this.py`); one of the 912 songs is left out there. Sound files are
named as the annotations are, `0001_12step`.
"""

from __future__ import annotations

from sordino.datasets._beat_this import BeatThis


class Harmonix(BeatThis):
    """Western pop."""

    name = "harmonix"
    title = "Harmonix"
    licence = "annotations MIT (as their repository); audio: records, not published"
    citation = "O. Nieto et al.: The Harmonix set: beats, downbeats, and functional segment annotations. ISMIR 2019"
    size = (911, 55.6)
    get = "The audio is not published; the Harmonix repository names a video of each song."
    examples = {
        "0001_12step": "0.5\t1\n1.0\t2\n1.5\t3\n2.0\t1\n",
        "0373_driveby": "0.1\t3\t1\n0.3\t4\t1\n0.5\t1\t2\n0.7\t2\t2\n",
        "0413_ifyoucouldonlysee": "-0.019\t1\n0.4\t2\n0.8\t1\n",
        "0630_crushcrushcrush": "0.2\t        1\n0.6\t        2\n",
    }
