"""VocalSet: 20 professional singers, 17 techniques, on vowels and in songs.

Paper: Wilkins et al., VocalSet: A Singing Voice Dataset, ISMIR 2018 https://zenodo.org/records/1442513
Conventions: `FULL/female1/arpeggios/belt/f1_arpeggios_belt_a.wav` (`data_by_singer` in version 1.2): the folders name
singer and technique, because some files lack the singer's name. The label `technique` is one of the ten that the paper
classifies; recordings of the other seven (dynamics and speed) have none. A name that ends in `(1)` repeats a file and
is left out. For techniques the paper tests on five singers; for singers every one must be in all splits.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from sordino.contracts import Archive, Track
from sordino.datasets._corpus import Corpus, write_text, write_tone
from sordino.datasets._splits import split_of

TECHNIQUES = (
    "belt", "breathy", "inhaled", "lip_trill", "spoken", "straight", "trill", "trillo", "vibrato", "vocal_fry",
)  # fmt: skip
TESTED = frozenset(("female2", "female8", "male3", "male5", "male10"))
VALIDATED = frozenset(("female9", "male11"))
TOLD = {
    "technique": "by singer: the paper's five to test on (f2 f8 m3 m5 m10); f9 and m11 validation (made here)",
    "singer": "made here: 80/10/10 by recording, seed 0; every singer in all splits",
}


class VocalSet(Corpus):
    """Singing.

    Args:
        split: `technique` tests on five singers, as the paper does, who are not learned from; `singer` splits by
            recording, to tell singers apart.
    """

    name = "vocalset"
    title = "VocalSet"
    labels = ("technique", "singer")
    licence = "CC-BY-4.0"
    citation = "J. Wilkins et al.: VocalSet: a singing voice dataset. ISMIR 2018"
    url = "https://zenodo.org/records/1442513"
    size = (3560, 10.1)
    splits = "by singer as in the paper (5 to test on), or by recording (`split`)"
    places = {"audio": ("FULL", "data_by_singer")}
    get = "Everything is on Zenodo (VocalSet1-2.zip)."
    archives = (Archive("https://zenodo.org/records/1442513/files/VocalSet1-2.zip"),)

    def __init__(
        self,
        root: str | Path | None = None,
        version: str | None = None,
        split: Literal["technique", "singer"] = "technique",
    ):
        super().__init__(root, version)
        self.split, self.splits = split, TOLD[split]

    def tracks(self) -> list[Track]:
        """All recordings."""
        folder = self.place("audio")
        found = []
        for path in sorted(folder.glob("*/*/*/*.wav")):
            singer, _, technique = path.relative_to(folder).parts[:3]
            if not path.name.startswith(".") and not re.search(r"\(\d\)$", path.stem):
                name = path.relative_to(folder).with_suffix("").as_posix()
                labels = {"technique": technique if technique in TECHNIQUES else None, "singer": singer}
                if self.split == "singer":
                    found.append(Track(name, path, labels, split_of(name)))
                else:
                    split = "test" if singer in TESTED else "validation" if singer in VALIDATED else "train"
                    found.append(Track(name, path, labels, split, singer))
        return self.present(found)

    @classmethod
    def miniature(cls, root: Path) -> None:
        """Four singers, a file without a singer's name, one repeated, a technique that is not classified."""
        for path in (
            "female1/arpeggios/belt/f1_arpeggios_belt_a", "female2/scales/vocal_fry/scales_vocal_fry",
            "female2/scales/vibrato/f2_scales_vibrato_a", "female2/scales/vibrato/f2_scales_vibrato_a(1)",
            "male11/long_tones/straight/m11_long_straight_i", "male4/arpeggios/fast_forte/m4_arps_fast_forte_c",
        ):  # fmt: skip
            write_tone(root / "FULL" / f"{path}.wav")
        write_text(root / "__MACOSX" / "FULL" / "female1" / "arpeggios" / "belt" / "._f1_arpeggios_belt_a.wav", "")
