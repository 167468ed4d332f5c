"""GiantSteps key: 604 two-minute previews of electronic dance music, keys corrected by users.

Paper: Knees et al., Two Data Sets for Tempo Estimation and Key Detection, ISMIR 2015
https://github.com/GiantSteps/giantsteps-key-dataset
Conventions: all of it is test, trained on GiantSteps-MTG key. The four recordings shorter than two minutes
are left out, as in the paper's table (600 tracks). `annotations/key/1004923.LOFI.key` holds `C minor`; the
revision on Zenodo (`keys_gs+`, another annotator, files named `10089 Artist - Title`) is read where the first
is not there. The shop has removed its previews (January 2025): Zenodo and the mirror that the repository's own
`audio_dl.sh` names have them.
"""

from __future__ import annotations

from pathlib import Path

from sordino.contracts import Archive, Track
from sordino.datasets._annotations import read_value
from sordino.datasets._corpus import Corpus, sounds, write_text, write_tone

SHORT = ("1224698", "1442809", "3424038", "4452003")
MIRROR = "https://www.cp.jku.at/datasets/giantsteps/"
ZENODO = "https://zenodo.org/record/1095691/files"


class GiantStepsKey(Corpus):
    """The test corpus for key."""

    name = "giantsteps_key"
    title = "GiantSteps key"
    labels = ("key",)
    licence = "annotations CC-BY-SA-4.0; audio: previews of a shop, research use only"
    citation = "P. Knees et al.: Two data sets for tempo estimation and key detection. ISMIR 2015"
    url = "https://github.com/GiantSteps/giantsteps-key-dataset"
    size = (600, 20.0)
    splits = "all test (train on giantsteps_mtg_key)"
    places = {"audio": ("audio", "wav"), "keys": ("annotations/key", "keys_gs+")}
    get = f"Annotations: the repository. Audio: its audio_dl.sh, or {MIRROR}backup/NUMBER.LOFI.mp3."
    archives = (
        Archive(f"{ZENODO}/audio.zip", "8ec9ade888d5a88ce435d7fda031929b"),
        Archive(f"{ZENODO}/keys.zip", "775b7d17e009f5818544cf505b6a96fd"),
    )

    def tracks(self) -> list[Track]:
        """The tracks of two minutes."""
        here = {number_of(stem): path for stem, path in sounds(self.place("audio")).items()}
        keys = self.place("keys")
        return self.present(
            Track(
                name,
                here.get(name, Path("absent")),
                {"key": key_of(path)},
                "test",
                info={"source": str(path)},
            )
            for path in sorted([*keys.glob("*.key"), *keys.glob("*.txt")])
            if (name := number_of(path.name)) not in SHORT
        )

    @classmethod
    def miniature(cls, root: Path) -> None:
        """Three of the tracks, one of them too short."""
        for name, key in (("1004923", "C minor"), ("1010000", "Eb major"), ("1224698", "A minor")):
            write_tone(root / "audio" / f"{name}.LOFI.mp3")
            write_text(root / "annotations" / "key" / f"{name}.LOFI.key", f"{key}\n")


def number_of(name: str) -> str:
    """The shop's number, with which every file name begins."""
    return name.split(".")[0].split(" ")[0].lstrip("0")


def key_of(path: Path) -> str | None:
    """The key a file holds (a confidence may follow); None where it is no single key."""
    key = " ".join(read_value(path).split(" ")[:2])
    return None if key.lower() in ("", "-", "all", "unknown", "x") else key
