"""JAAH: 113 recordings of jazz with beats and downbeats.

Paper: Eremenko et al., Audio-Aligned Jazz Harmony Dataset for Automatic Chord Transcription, ISMIR 2018
https://github.com/MTG/JAAH
Conventions: `_beat_this.py`; Beat This corrected the beats and added the downbeats. Chords are not read.
"""

from __future__ import annotations

from sordino.datasets._beat_this import BeatThis


class JAAH(BeatThis):
    """Jazz of many decades."""

    name = "jaah"
    title = "JAAH"
    licence = "annotations MIT (as their repository); audio: records, not published"
    citation = "V. Eremenko et al.: Audio-aligned jazz harmony dataset for automatic chord transcription. ISMIR 2018"
    size = (113, 6.8)
    get = "The audio is not published; the JAAH repository names each recording's MusicBrainz id."
    examples = {
        "jaah_001-sarah_vaughan-all_alone": "0.2\t1\n0.5\t2\n0.8\t3\n",
        "jaah_047-meade_lux_lewis-honky_tonk_train_blues": "0.1\t4\n0.3\t5\n0.5\t6\n0.7\t1\n",
    }
