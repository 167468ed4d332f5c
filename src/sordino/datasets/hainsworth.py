"""Hainsworth: 222 excerpts of about a minute, many styles, with beats and downbeats.

Paper: Hainsworth and Macleod, Particle Filtering Applied to Musical Tempo Tracking, 2004
https://doi.org/10.1155/S1110865704408099
Conventions: the layout of mirdata's index (`H_1.0/audio`, `H_1.0/annotations/beats`, `.../tempo`), files
matched by name. A beat file that begins with -1 says there are no beats. No official split: made here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sordino.contracts import Track
from sordino.datasets._annotations import read_beats, read_if, read_number
from sordino.datasets._corpus import Corpus, sounds, write_text, write_tone
from sordino.datasets._splits import split_tracks


class Hainsworth(Corpus):
    """Beats in many styles."""

    name = "hainsworth"
    title = "Hainsworth"
    labels = ("beat", "tempo")
    licence = "annotations CC-BY-NC-SA-4.0; audio: excerpts of records, not published"
    citation = "S. Hainsworth, M. Macleod: Particle filtering applied to musical tempo tracking. EURASIP JASP, 2004"
    url = "https://doi.org/10.1155/S1110865704408099"
    size = (222, 3.3)
    splits = "made here: 80/10/10, seed 0"
    places = {
        "audio": ("audio",),
        "beats": ("annotations/beats",),
        "tempo": ("annotations/tempo",),
    }
    get = "It is not published: ask its users."

    def tracks(self) -> list[Track]:
        """All excerpts."""
        beats, tempo = self.annotations("beats", "tempo")
        found = []
        for name, path in sounds(self.place("audio")).items():
            labels = {
                "beat": read_if(_beats, beats, f"{name}.beats"),
                "tempo": read_if(read_number, tempo, f"{name}.bpm"),
            }
            found.append(Track(name, path, labels, info={"source": f"{name}.beats"}))
        return self.present(split_tracks(found))

    @classmethod
    def miniature(cls, root: Path) -> None:
        """Three excerpts, one without beats."""
        for name, beats in (("001", "0.5\t1\n1.0\t2\n1.5\t1\n"), ("002", "0.5\t1\n"), ("003", "-1.0\t-1\n")):
            write_tone(root / "H_1.0" / "audio" / f"{name}.wav")
            write_text(root / "H_1.0" / "annotations" / "beats" / f"{name}.beats", beats)
            write_text(root / "H_1.0" / "annotations" / "tempo" / f"{name}.bpm", "120.0\n")


def _beats(path: Path) -> dict[str, Any] | None:
    """The beats; a file that holds one time of -1 has none."""
    found = read_beats(path)
    return None if found["beats"][:1] == [-1.0] else found
