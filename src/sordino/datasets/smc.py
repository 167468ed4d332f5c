"""SMC: 217 excerpts of 40 s that are hard for beat trackers.

Paper: Holzapfel et al., Selective Sampling for Beat Tracking Evaluation, IEEE TASLP 2012
https://doi.org/10.1109/TASL.2012.2205244
Conventions: beats without positions (no downbeats); all of it is test, as it is used. `SMC_001_2_1_1_a.txt`
belongs to `SMC_001.wav`; the part of the name behind the number describes the difficulty.
"""

from __future__ import annotations

from pathlib import Path

from sordino.contracts import Track
from sordino.datasets._annotations import read_beats, read_if
from sordino.datasets._corpus import Corpus, sounds, write_text, write_tone


class SMC(Corpus):
    """Hard beats."""

    name = "smc"
    title = "SMC"
    labels = ("beat",)
    licence = "CC-BY-NC-SA-3.0"
    citation = "A. Holzapfel et al.: Selective sampling for beat tracking evaluation. IEEE TASLP 20(9), 2012"
    url = "http://smc.inesctec.pt/research/data-2/"
    size = (217, 2.4)
    splits = "all test"
    places = {
        "audio": ("SMC_MIREX_Audio", "audio"),
        "beats": ("SMC_MIREX_Annotations*", "annotations"),
    }
    get = "Audio and beats are one archive, SMC_MIREX.zip, on the authors' page."

    def tracks(self) -> list[Track]:
        """All excerpts."""
        here = sounds(self.place("audio"))
        found = []
        beats = self.place("beats")
        for path in sorted(beats.glob("SMC_*.txt")):
            name = path.stem[:7]
            labels = {"beat": read_if(read_beats, beats, path.name)}
            found.append(Track(name, here.get(name, Path("absent")), labels, "test", info={"source": str(path)}))
        return self.present(found)

    @classmethod
    def miniature(cls, root: Path) -> None:
        """Two excerpts."""
        for name in ("SMC_001", "SMC_289"):
            write_tone(root / "SMC_MIREX" / "SMC_MIREX_Audio" / f"{name}.wav")
            folder = root / "SMC_MIREX" / "SMC_MIREX_Annotations_05_08_2014"
            write_text(folder / f"{name}_2_1_1_a.txt", "0.1\n0.7\n1.4\n")
