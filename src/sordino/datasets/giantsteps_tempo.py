"""GiantSteps tempo: 664 two-minute previews of electronic dance music.

Paper: Knees et al., ISMIR 2015 (annotations v1); Schreiber and Müller, A Crowdsourced Experiment, ISMIR 2018
(v2) https://github.com/GiantSteps/giantsteps-tempo-dataset
Conventions: all of it is test. The label `tempo` is v2 (crowd), `tempo_v1` the first annotation. Three
recordings have no tempo in v2 (written 0.0): they are not labelled there, which leaves 661.
"""

from __future__ import annotations

from pathlib import Path

from sordino.contracts import Archive, Track
from sordino.datasets._annotations import number, read_value
from sordino.datasets._corpus import Corpus, sounds, write_text, write_tone
from sordino.datasets.giantsteps_key import number_of

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
        "tempo v2": ("annotations_v2/tempo", "*/annotations_v2/tempo"),
        "tempo v1": ("annotations/tempo", "*/annotations/tempo"),
    }
    get = "Audio: audio_dl.sh in the repository asks the shop for the previews."
    archives = (
        Archive(
            f"https://github.com/GiantSteps/giantsteps-tempo-dataset/archive/{COMMIT}.zip",
            "8fdafbaf505fe3f293bd912c92b72ac8",
        ),
    )

    def tracks(self) -> list[Track]:
        """All tracks with both annotations."""
        here = {number_of(stem): path for stem, path in sounds(self.place("audio")).items()}
        first = self.place("tempo v1")
        return self.present(
            Track(
                name := number_of(path.name),
                here.get(name, Path("absent")),
                {"tempo": _tempo(path), "tempo_v1": _tempo(first / path.name)},
                "test",
                info={"source": str(path)},
            )
            for path in sorted(self.place("tempo v2").glob("*.bpm"))
        )

    @classmethod
    def miniature(cls, root: Path) -> None:
        """Two tracks, one of them without a tempo in v2."""
        for name, old, new in (("1030011", "126", "127.0"), ("3041381", "140", "0.0")):
            write_tone(root / "audio" / f"{name}.LOFI.mp3")
            write_text(root / "annotations" / "tempo" / f"{name}.LOFI.bpm", old)
            write_text(root / "annotations_v2" / "tempo" / f"{name}.LOFI.bpm", new)


def _tempo(path: Path) -> float | None:
    if not path.exists():
        return None
    return number(path, 1, read_value(path)) or None
