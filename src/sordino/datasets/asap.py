"""ASAP: 473 performances of piano music with beats and downbeats.

Paper: Foscarin et al., ASAP: a Dataset of Aligned Scores and Performances for Piano Transcription, ISMIR 2020
https://github.com/fosfrancesco/asap-dataset
Conventions: `_beat_this.py`. A group is a piece, 163 of them: no published split or fold tears one.
"""

from __future__ import annotations

from sordino.datasets._beat_this import BeatThis


class ASAP(BeatThis):
    """Piano performances."""

    name = "asap"
    title = "ASAP"
    licence = "CC-BY-NC-SA-4.0; the repository of the beats says MIT"
    citation = (
        "F. Foscarin et al.: ASAP: a dataset of aligned scores and performances for piano transcription. ISMIR 2020"
    )
    size = (473, 36.7)
    get = "The audio is MAESTRO's (metadata.csv of ASAP says which file); name it as the annotations are."
    examples = {
        "Bach_Fugue_bwv_848_Denisova06M": "0.1\t3\n0.3\t4\n0.5\t1\n",
        "Bach_Fugue_bwv_848_Lee01M": "0.2\t1\n0.6\t2\n",
        "Scriabin_Sonatas_5_Yeletskiy07M": "0.1\t5\n0.4\t1\n0.8\t2\n",
    }

    @staticmethod
    def group(name: str) -> str:
        """The piece; what follows the last `_` is the performance."""
        return name.rpartition("_")[0]
