"""Hainsworth: 222 excerpts of about a minute, many styles, with beats and downbeats.

Paper: Hainsworth and Macleod, Particle Filtering Applied to Musical Tempo Tracking, 2004
https://doi.org/10.1155/S1110865704408099
Conventions: the layout of mirdata's index (`H_1.0/audio`, `H_1.0/annotations/beats`, `.../tempo`), files
matched by name. A beat file that begins with -1 says there are no beats. No official split: made here.
"""

from __future__ import annotations

from pathlib import Path

from sordino.contracts import Track
from sordino.datasets._annotations import read_beats, read_value
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
        "audio": ("H_1.0/audio", "audio"),
        "beats": ("H_1.0/annotations/beats", "annotations/beats"),
        "tempo": ("H_1.0/annotations/tempo", "annotations/tempo"),
    }
    get = "It is not published: ask its users."

    def tracks(self) -> list[Track]:
        """All excerpts."""
        beats, tempo = self.place("beats"), self.place("tempo")
        found = []
        for name, path in sounds(self.place("audio")).items():
            beat_file, tempo_file = beats / f"{name}.beats", tempo / f"{name}.bpm"
            beat = read_beats(beat_file) if beat_file.exists() else None
            labels = {
                "beat": beat if beat and beat["beats"][:1] != [-1.0] else None,
                "tempo": read_value(tempo_file).split(" ")[0] if tempo_file.exists() else None,
            }
            found.append(Track(name, path, labels, info={"source": str(beat_file)}))
        return self.present(split_tracks(found))

    @classmethod
    def miniature(cls, root: Path) -> None:
        """Three excerpts, one without beats."""
        for name, beats in (("001", "0.5\t1\n1.0\t2\n1.5\t1\n"), ("002", "0.5\t1\n"), ("003", "-1.0\t-1\n")):
            write_tone(root / "H_1.0" / "audio" / f"{name}.wav")
            write_text(root / "H_1.0" / "annotations" / "beats" / f"{name}.beats", beats)
            write_text(root / "H_1.0" / "annotations" / "tempo" / f"{name}.bpm", "120.0\n")
