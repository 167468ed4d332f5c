"""GiantSteps-MTG key: 1486 previews of electronic dance music with keys by an expert; the training corpus for
key.

Paper: Faraldo et al., Mode Classification and Natural Units in Electronic Dance Music, 2017
https://github.com/GiantSteps/giantsteps-mtg-key-dataset
Conventions: `annotations.txt` is a table of number, key and confidence 0 to 2; kept are confidence 2 and a
single key, 1159 tracks. A track's group is everybody who shares an artist with it, directly or through others: a cell
of `beatport_metadata.txt` may name several (`Brainbashers, Lance Madden`). The shop has removed its previews (January
2025); the mirror is the one that the repository's own `audio_dl.sh` names.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from sordino.contracts import Archive, Track
from sordino.datasets._annotations import table
from sordino.datasets._corpus import Corpus, sounds, write_text, write_tone
from sordino.datasets._splits import split_tracks
from sordino.datasets.giantsteps_key import MIRROR, number_of

PLAIN: dict[str, Any] = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
COMMIT = "fd7b8c584f7bd6d720d170c325a6d42c9bf75a6b"
TOLD = {
    "artist": "made here: 80/20 train and validation by artist",
    "paper": "the paper's 925/234; 46 of the 234 validation tracks share an artist with train",
    "jukemir": "jukemir's 923/236, no artist in both",
}


class GiantStepsMTGKey(Corpus):
    """The training corpus for key.

    Args:
        split: `artist` makes one here, 80/20 by artist; `paper` is that of Ding and Lerch (2024), 925/234; `jukemir`
            that of Castellon et al. (2021), 923/236.
    """

    name = "giantsteps_mtg_key"
    title = "GiantSteps-MTG key"
    labels = ("key",)
    licence = "annotations: none stated; audio: previews of a shop, research use only"
    citation = "Á. Faraldo, S. Jordà, P. Herrera: A multi-profile method for key estimation in EDM. AES 2017"
    url = "https://github.com/GiantSteps/giantsteps-mtg-key-dataset"
    size = (1159, 38.6)
    splits = "80/20 train and validation by artist, or published ones (`split`); test on giantsteps_key"
    places = {"audio": ("audio", "wav"), "annotations": ("annotations",)}
    get = f"Audio: its audio_dl.sh, or {MIRROR}mtg_key_backup/NUMBER.LOFI.mp3."
    archives = (
        Archive(f"{url}/archive/{COMMIT}.zip", "c754c3fabbc0bf275d399028e212fa2c9c6680084bd003e3a283ae7b3ea22996"),
    )

    def __init__(
        self,
        root: str | Path | None = None,
        version: str | None = None,
        split: Literal["artist", "paper", "jukemir"] = "artist",
    ):
        super().__init__(root, version)
        self.split, self.splits = split, f"{TOLD[split]}; test on giantsteps_key"

    def tracks(self) -> list[Track]:
        """The tracks with one certain key."""
        here = {number_of(stem): path for stem, path in sounds(self.place("audio")).items()}
        folder = self.place("annotations")
        artists, found = folder / "beatport_metadata.txt", []
        cells = {row["ID"]: row["ARTIST"] for row in table(artists, **PLAIN)} if artists.exists() else {}
        for line, row in enumerate(table(folder / "annotations.txt", **PLAIN), start=2):
            key = certain_key(row["MANUAL KEY"], row["C"])
            if key:
                name, info = row["ID"], {"source": f"annotations.txt line {line}"}
                found.append(Track(name, here.get(name, Path("absent")), {"key": key}, info=info))
        if self.split == "artist":
            group = shared_artists({track.id: cells.get(track.id, "") for track in found})
            grouped = [replace(track, group=group[track.id]) for track in found]
            return self.present(split_tracks(grouped, fractions={"train": 0.8, "validation": 0.2}))
        validation = published_validation(self.split)
        return self.present(track.with_split("validation" if track.id in validation else "train") for track in found)

    @classmethod
    def miniature(cls, root: Path) -> None:
        """Ten certain tracks, an artist who stands in two cells, an uncertain track, several keys, spaces, no key."""
        rows = [(str(5000 + n), ("D# minor", "A major ")[n % 2], "2") for n in range(10)]
        rows += [("7217", "F minor", "1"), ("61578", "C minor / F# minor", "2"), ("10981", "-", "0")]
        rows += [("15000", "A-A# minor", "2"), ("15001", "G minor/major", "2"), ("15002", " ", "0")]
        lines = "".join(f"{name}\t{key}\t{certain}\n" for name, key, certain in rows)
        write_text(root / "annotations" / "annotations.txt", f"ID\tMANUAL KEY\tC\n{lines}")
        several = {
            "5001": "Brainbashers, Lance Madden",
            "5004": "Lance Madden",
            "5008": "brainbashers, Taco & Co",
        }
        artists = "".join(f"{name}\t{several.get(name, f'Artist {name}')}\tTitle\n" for name, _, _ in rows)
        write_text(root / "annotations" / "beatport_metadata.txt", f"ID\tARTIST\tSONG TITLE\n{artists}")
        for name, _, _ in rows:
            write_tone(root / "audio" / f"{name}.LOFI.mp3")


def certain_key(cell: str, confidence: str) -> str | None:
    """The key of a cell; None where it holds none or several, or the confidence is not 2."""
    return (
        cell.strip() if confidence.strip() == "2" and re.fullmatch(r"[A-G][#b]? (major|minor)", cell.strip()) else None
    )


def shared_artists(cells: Mapping[str, str]) -> dict[str, str]:
    """For each track a name of the artists who are linked by tracks: the first of them in the alphabet.

    Args:
        cells: by track, its artists, between commas; a track without any is linked to none.
    """
    leader: dict[str, str] = {}

    def lead(name: str) -> str:
        while leader.setdefault(name, name) != name:
            name = leader[name]
        return name

    first = {}
    for track, cell in cells.items():
        names = [name.strip().casefold() for name in cell.split(",") if name.strip()] or [f"track {track}"]
        first[track] = names[0]
        for name in names[1:]:
            one, other = sorted((lead(names[0]), lead(name)))
            leader[other] = one
    return {track: lead(name) for track, name in first.items()}


def published_validation(split: str) -> frozenset[str]:
    """Numbers of the validation tracks of a published split, from `tables/giantsteps_mtg_key_splits.tsv`."""
    table = files("sordino.datasets").joinpath("tables/giantsteps_mtg_key_splits.tsv").read_text(encoding="utf-8")
    rows = dict(line.split("\t") for line in table.splitlines() if not line.startswith("#"))
    return frozenset(rows[split].split())
