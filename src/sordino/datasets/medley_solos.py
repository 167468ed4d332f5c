"""Medley-solos-DB: 21,571 clips of 3 s, each with one of eight instruments.

Paper: Lostanlen and Cella, Deep Convolutional Networks on the Pitch Spiral for Musical Instrument Recognition, 2016
https://zenodo.org/records/3464194
Conventions: the table's `subset` is the split: 5841 training and 3494 validation clips from MedleyDB, 12,236 test clips
from solosDB. A group is a song, 227 of them; each is of one subset. Older tables call `song_id` `track_id`, older
archives name files `Medley-solos-DB_test-0_<uuid4>.wav.wav`: files are found by their UUID.
"""

from __future__ import annotations

from pathlib import Path

from sordino.contracts import Archive, Track
from sordino.datasets._annotations import table
from sordino.datasets._corpus import Corpus, sounds, write_text, write_tone
from sordino.datasets._splits import ALIASES

ZENODO = "https://zenodo.org/records/3464194/files"


class MedleySolos(Corpus):
    """Solo instruments."""

    name = "medley_solos"
    title = "Medley-solos-DB"
    labels = ("instrument",)
    licence = "CC-BY-4.0"
    citation = "V. Lostanlen, C. Cella: Deep convolutional networks on the pitch spiral. ISMIR 2016"
    url = "https://zenodo.org/records/3464194"
    size = (21_571, 17.8)
    splits = "official, by song: 5841 train, 3494 validation, 12,236 test from another collection"
    places = {
        "audio": ("audio", "Medley-solos-DB"),
        "table": tuple(f"{above}Medley-solos-DB_metadata.csv" for above in ("annotation/", "")),
    }
    get = "Everything is on Zenodo (Medley-solos-DB_metadata.csv, Medley-solos-DB.tar.gz)."
    archives = (
        Archive(f"{ZENODO}/Medley-solos-DB_metadata.csv", "fda6a589c56785f2195c9227809c521a", "annotation"),
        Archive(f"{ZENODO}/Medley-solos-DB.tar.gz", "f5facf398793ef5c1f80c013afdf3e5f", "audio"),
    )

    def tracks(self) -> list[Track]:
        """All clips."""
        here = {_uuid(stem): path for stem, path in sounds(self.place("audio")).items()}
        place, found = self.place("table"), []
        for line, row in enumerate(table(place), start=2):
            name, song = row["uuid4"], row.get("song_id") or row["track_id"]
            info = {"source": f"{place} line {line}"}
            path, labels = here.get(name, Path("absent")), {"instrument": row["instrument"]}
            found.append(Track(name, path, labels, ALIASES[row["subset"]], f"song {song}", info=info))
        return self.present(found)

    @classmethod
    def miniature(cls, root: Path) -> None:
        """Two clips of one song, one of another for validation, and one to test on, named twice `.wav`."""
        rows = (
            ("training", "distorted electric guitar", 1, 7, "0e4371ac-1c6a-51ab-fdb7-f8abd5fbf1a3"),
            ("training", "distorted electric guitar", 1, 7, "33383119-fd64-59c1-f596-d1a23e8a0eff"),
            ("validation", "flute", 3, 210, "d07b1fc0-567d-52c2-fef4-239f31c9d40e"),
            ("test", "clarinet", 0, 0, "003d41a8-afad-501f-fbc3-d406dc694ceb"),
        )
        lines = "".join(f"{','.join(map(str, row))}\n" for row in rows)
        head = "subset,instrument,instrument_id,song_id,uuid4\n"
        write_text(root / "annotation" / "Medley-solos-DB_metadata.csv", head + lines)
        for subset, _, number, _, name in rows:
            twice = ".wav" if subset == "test" else ""
            write_tone(root / "audio" / f"Medley-solos-DB_{subset}-{number}_{name}.wav{twice}")


def _uuid(stem: str) -> str:
    return stem.removesuffix(".wav").rpartition("_")[2]
