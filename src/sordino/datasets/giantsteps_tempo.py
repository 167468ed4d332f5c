"""GiantSteps tempo: 664 two-minute previews of electronic dance music.

Paper: Knees et al., ISMIR 2015 (annotations v1); Schreiber and Müller, A Crowdsourced Experiment, ISMIR 2018
(v2) https://github.com/GiantSteps/giantsteps-tempo-dataset
Conventions: all of it is test. The label `tempo` is v2 (crowd), `tempo_v1` the first annotation. Three
recordings have no tempo in v2 (written 0.0): they are not labelled there, which leaves 661. The shop has removed its
previews (January 2025): the repository's own `audio_dl.sh` takes them from the mirror of the university of Linz.
"""

from __future__ import annotations

from pathlib import Path

from sordino.contracts import Archive, Track
from sordino.datasets._annotations import read_if, read_number
from sordino.datasets._corpus import Corpus, sounds, write_text, write_tone
from sordino.datasets.giantsteps_key import MIRROR, number_of

COMMIT = "0b7d47ba8cae59d3535a02e3db69e2cf6d0af5bb"


class GiantStepsTempo(Corpus):
    """The test corpus for tempo."""

    name = "giantsteps_tempo"
    title = "GiantSteps tempo"
    labels = ("tempo", "tempo_v1")
    licence = "annotations CC-BY-SA-4.0; audio: previews of a shop, research use only"
    citation = "H. Schreiber, M. Müller: A crowdsourced experiment for tempo estimation of EDM. ISMIR 2018"
    url = "https://github.com/GiantSteps/giantsteps-tempo-dataset"
    size = (664, 22.1)
    splits = "all test"
    places = {
        "audio": ("audio", "wav"),
        "tempo v2": ("annotations_v2/tempo",),
        "tempo v1": ("annotations/tempo",),
    }
    get = f"Audio: its audio_dl.sh, or {MIRROR}backup/NUMBER.LOFI.mp3."
    archives = (
        Archive(
            f"https://github.com/GiantSteps/giantsteps-tempo-dataset/archive/{COMMIT}.zip",
            "8fdafbaf505fe3f293bd912c92b72ac8",
        ),
    )

    def tracks(self) -> list[Track]:
        """All tracks with both annotations."""
        here = {number_of(stem): path for stem, path in sounds(self.place("audio")).items()}
        second, first = folders = self.annotations("tempo v2", "tempo v1")
        return self.present(
            Track(
                number := number_of(name),
                here.get(number, Path("absent")),
                {"tempo": read_if(_tempo, second, name), "tempo_v1": read_if(_tempo, first, name)},
                "test",
                info={"source": name},
            )
            for name in {path.name for folder in folders if folder for path in folder.glob("*.bpm")}
        )

    @classmethod
    def miniature(cls, root: Path) -> None:
        """Two tracks, one of them without a tempo in v2."""
        for name, old, new in (("1030011", "126", "127.0"), ("3041381", "140", "0.0")):
            write_tone(root / "audio" / f"{name}.LOFI.mp3")
            write_text(root / "annotations" / "tempo" / f"{name}.LOFI.bpm", old)
            write_text(root / "annotations_v2" / "tempo" / f"{name}.LOFI.bpm", new)


def _tempo(path: Path) -> float | None:
    return read_number(path) or None
