"""GiantSteps-MTG key: 1486 previews of electronic dance music with keys by an expert; the training corpus for
key.

Paper: Faraldo et al., Mode Classification and Natural Units in Electronic Dance Music, 2017
https://github.com/GiantSteps/giantsteps-mtg-key-dataset
Differs: the paper's 925 training and 234 validation tracks are the same 1159 with another split: here it is
made by artist, so that no artist is in both (`beatport_metadata.txt` names them).
Conventions: `annotations.txt` is a table of number, key and confidence 0 to 2; kept are confidence 2 and a
single key.
"""

from __future__ import annotations

import csv
from pathlib import Path

from sordino.contracts import Archive, Track
from sordino.datasets._annotations import text
from sordino.datasets._corpus import Corpus, sounds, write_text, write_tone
from sordino.datasets._splits import split_tracks
from sordino.datasets.giantsteps_key import number_of


class GiantStepsMTGKey(Corpus):
    """The training corpus for key."""

    name = "giantsteps_mtg_key"
    title = "GiantSteps-MTG key"
    labels = ("key",)
    licence = "annotations: none stated; audio: previews of a shop, research use only"
    citation = "Á. Faraldo, S. Jordà, P. Herrera: A multi-profile method for key estimation in EDM. AES 2017"
    url = "https://github.com/GiantSteps/giantsteps-mtg-key-dataset"
    size = (1159, 38.6)
    splits = "80/20 train and validation by artist, stratified by key; test on giantsteps_key"
    places = {"audio": ("audio", "wav"), "annotations": ("annotations", "*/annotations")}
    get = "Audio: audio_dl.sh in the repository asks the shop for the previews."
    archives = (Archive("https://github.com/GiantSteps/giantsteps-mtg-key-dataset/archive/refs/heads/master.zip", ""),)

    def tracks(self) -> list[Track]:
        """The tracks with one certain key."""
        here = {number_of(stem): path for stem, path in sounds(self.place("audio")).items()}
        folder = self.place("annotations")
        artists = {row["ID"]: row["ARTIST"] or "" for row in _rows(folder / "beatport_metadata.txt")}
        table = folder / "annotations.txt"
        found = []
        for line, row in enumerate(_rows(table), start=2):
            key = (row["MANUAL KEY"] or "").strip()
            if (row["C"] or "").strip() == "2" and len(key.split()) == 2 and "/" not in key:
                name, info = row["ID"].strip(), {"source": f"{table} line {line}"}
                path = here.get(name, Path("absent"))
                found.append(Track(name, path, {"key": key}, group=artists.get(name, ""), info=info))
        split = split_tracks(found, "key", fractions={"train": 0.8, "validation": 0.2})
        return self.present(split)

    @classmethod
    def miniature(cls, root: Path) -> None:
        """Ten certain tracks, an uncertain one, one with two keys, one without a key."""
        rows = [(str(5000 + n), ("D# minor", "A major")[n % 2], "2") for n in range(10)]
        rows += [("7217", "F minor", "1"), ("61578", "C minor / F# minor", "2"), ("10981", "-", "0")]
        lines = "".join(f"{name}\t{key}\t{certain}\n" for name, key, certain in rows)
        write_text(root / "annotations" / "annotations.txt", f"ID\tMANUAL KEY\tC\n{lines}")
        artists = "".join(f"{name}\tArtist {int(name) // 2}\tTitle\n" for name, _, _ in rows)
        write_text(root / "annotations" / "beatport_metadata.txt", f"ID\tARTIST\tSONG TITLE\n{artists}")
        for name, _, _ in rows:
            write_tone(root / "audio" / f"{name}.LOFI.mp3")


def _rows(table: Path) -> list[dict[str, str]]:
    if not table.exists():
        return []
    return list(csv.DictReader(text(table).splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))
