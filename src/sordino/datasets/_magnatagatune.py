"""MagnaTagATune: tags of 25,863 clips of 29 s; what the two usual protocols share.

Paper: Law et al., Evaluation of Algorithms Using Games, ISMIR 2009
https://mirg.city.ac.uk/codeapps/the-magnatagatune-dataset
Conventions: the split by folder that everybody uses, 12:1:3: `0` to `b` train, `c` validation, `d` to `f`
test. The 50 most frequent tags, synonyms not merged. Three files of the published archive are empty and are
left out.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import ClassVar, Literal

from sordino.contracts import Track
from sordino.datasets._corpus import Corpus, write_text, write_tone

EMPTY = (
    "6/norine_braun-now_and_zen-08-gently-117-146.mp3",
    "8/jacob_heringman-josquin_des_prez_lute_settings-19-gintzler__pater_noster-204-233.mp3",
    "9/american_baroque-dances_and_suites_of_rameau_and_couperin-25-le_petit_rien_xiveme_ordre_couperin-88-117.mp3",
)
N_TAGS = 50


class TagATune(Corpus):
    """The clips and tags; a subclass says whether clips without any of the 50 tags count."""

    labels = ("tags",)
    licence = "CC-BY-NC-SA-3.0 (Magnatune), research use"
    citation = "E. Law et al.: Evaluation of algorithms using games: the case of music tagging. ISMIR 2009"
    url = "https://mirg.city.ac.uk/codeapps/the-magnatagatune-dataset"
    splits = "by folder 12:1:3: 0 to b train, c validation, d to f test"
    places = {"audio": ("mp3", "audio", "0/.."), "tags": ("annotations_final.csv",)}
    get = "Join the three parts (cat mp3.zip.* > mp3.zip), unpack as `mp3`, annotations_final.csv beside it."
    with_untagged: ClassVar[bool]

    @classmethod
    def default_root(cls) -> Path:
        """Both protocols share one folder `magnatagatune`."""
        return super().default_root().with_name("magnatagatune")

    def tracks(self) -> list[Track]:
        """All clips of the protocol."""
        table, folder = self.place("tags"), self.place("audio").resolve()
        with table.open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file, delimiter="\t")
            names = next(reader)[1:-1]
            rows = [
                ([name for name, value in zip(names, row[1:-1], strict=True) if value == "1"], row[-1], line)
                for line, row in enumerate(reader, start=2)
            ]
        counts = Counter(tag for tags, _, _ in rows for tag in tags)
        kept = set(sorted(names, key=lambda name: (-counts[name], name))[:N_TAGS])
        found = []
        for tags, path, line in rows:
            chosen = [tag for tag in tags if tag in kept]
            if path not in EMPTY and (chosen or self.with_untagged):
                info = {"source": f"{table} line {line}"}
                found.append(Track(path, folder / path, {"tags": chosen}, _split(path), info=info))
        return self.present(found)

    @classmethod
    def miniature(cls, root: Path) -> None:
        """Eight clips, three of them empty, one without tags."""
        tags = ("no voice", "guitar", "slow")
        rows = [
            ("0/a-b-01-c-0-29.mp3", "011"), ("b/a-b-02-c-0-29.mp3", "101"), ("c/a-b-03-c-0-29.mp3", "010"),
            ("d/a-b-04-c-0-29.mp3", "001"), ("f/a-b-05-c-0-29.mp3", "000"), *((path, "111") for path in EMPTY),
        ]  # fmt: skip
        lines = ["\t".join(f'"{cell}"' for cell in ("clip_id", *tags, "mp3_path"))]
        for number, (path, values) in enumerate(rows):
            lines.append("\t".join(f'"{cell}"' for cell in (str(number), *values, path)))
            write_tone(root / "mp3" / path)
        for path in EMPTY:
            write_text(root / "mp3" / path, "")
        write_text(root / "annotations_final.csv", "\n".join(lines) + "\n")


def _split(path: str) -> Literal["train", "validation", "test"]:
    folder = int(path[0], 16)
    return "train" if folder < 12 else "validation" if folder == 12 else "test"
