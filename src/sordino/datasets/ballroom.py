"""Ballroom: 30 s of 698 dances with beats, downbeats, tempo and the dance.

Paper: Gouyon et al., An Experimental Comparison of Audio Tempo Induction Algorithms, 2006
https://doi.org/10.1109/TSA.2005.858509; beats: Krebs, Böck and Widmer, Rhythmic Pattern Modeling, 2013
https://github.com/CPJKU/BallroomAnnotations
Conventions: 13 recordings that repeat another one (listed with the beat annotations) are left out: 685
tracks. The dance is the folder's name; the three folders of rumbas are one dance of the usual eight. There is no
official split: here by album.
"""

from __future__ import annotations

import re
from pathlib import Path

from sordino.contracts import Archive, Track
from sordino.datasets._annotations import read_beats, read_if, read_number
from sordino.datasets._corpus import Corpus, sounds, write_text, write_tone
from sordino.datasets._splits import split_tracks

REPEATED = (
    "Albums-AnaBelen_Veneo-15",
    "Albums-Ballroom_Magic-18",
    "Albums-Chrisanne2-12",
    "Albums-Fire-09",
    "Albums-Latin_Jam-13",
    "Albums-Latin_Jam-14",
    "Albums-Latin_Jam-15",
    "Albums-Latin_Jam2-13",
    "Albums-Latin_Jam2-14",
    "Albums-Latin_Jam2-15",
    "Media-103414",
    "Media-103415",
    "Media-104705",
)
COMMIT = "1db08914a8ae15edb01f104046e30bad88effe67"
CONTEST = "https://mtg.upf.edu/ismir2004/contest/tempoContest"


class Ballroom(Corpus):
    """Dances."""

    name = "ballroom"
    title = "Ballroom"
    labels = ("beat", "tempo", "genre")
    licence = "annotations CC-BY-NC-SA-4.0; audio: excerpts of a shop, research use only"
    citation = "F. Gouyon et al.: An experimental comparison of audio tempo induction algorithms. IEEE TASLP, 2006"
    url = "https://github.com/CPJKU/BallroomAnnotations"
    size = (685, 5.7)
    splits = "made here: 80/10/10 by album, seed 0"
    places = {
        "audio": ("BallroomData", "audio/BallroomData", "audio"),
        "beats": ("annotations/beats/BallroomAnnotations-*", "BallroomAnnotations-*", "annotations/beats", "beats"),
        "tempo": tuple(
            f"{above}{folder}"
            for above in ("", "annotations/tempo/", "annotations/")
            for folder in ("BallroomAnnotations/ballroomGroundTruth", "ballroomGroundTruth", "tempo")
        ),
    }
    get = "Audio and tempo are published by the contest, beats on GitHub."
    archives = (
        Archive(f"{CONTEST}/data1.tar.gz", "2872a3e52070bc342a4510a95e2fa0b8"),
        Archive(f"{CONTEST}/data2.tar.gz", "4a0ec5518bbb4dbf3ab02de0383b0994"),
        Archive(f"{url}/archive/{COMMIT}.zip"),
    )

    def tracks(self) -> list[Track]:
        """All dances but the repeated ones."""
        beats, tempo = self.annotations("beats", "tempo")
        found = []
        for name, path in sounds(self.place("audio")).items():
            if name not in REPEATED:
                labels = {
                    "beat": read_if(read_beats, beats, f"{name}.beats"),
                    "tempo": read_if(read_number, tempo, f"{name}.bpm"),
                    "genre": path.parent.name.partition("-")[0],
                }
                found.append(Track(name, path, labels, group=_album(name), info={"source": f"{name}.beats"}))
        return self.present(split_tracks(found))

    @classmethod
    def miniature(cls, root: Path) -> None:
        """Two albums of two dances, a repeated recording, two kinds of rumba, one of them without beats."""
        for name, dance in (
            ("Albums-Fire-08", "ChaChaCha"), ("Albums-Fire-09", "Samba"), ("Media-103402", "ChaChaCha"),
            ("Albums-Secret_Garden-01", "Waltz"), ("Media-104701", "Waltz"), ("Media-100614", "Rumba-American"),
            ("Media-105207", "Rumba-Misc"),
        ):  # fmt: skip
            write_tone(root / "BallroomData" / dance / f"{name}.wav")
            if dance != "Rumba-Misc":
                place = root / f"BallroomAnnotations-{COMMIT}" / f"{name}.beats"
                write_text(place, "0.4500000000 1\n1.166 2\n1.886 3\n2.6 1\n")
            write_text(root / "BallroomAnnotations" / "ballroomGroundTruth" / f"{name}.bpm", "84\n")


def _album(name: str) -> str:
    """`Albums-Fire-08` is of album `Albums-Fire`, `Media-103402` of `Media-1034`."""
    return re.sub(r"-\d\d$", "", name) if name.startswith("Albums") else name[:-2]
