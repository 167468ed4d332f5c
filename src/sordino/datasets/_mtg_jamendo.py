"""MTG-Jamendo: 55,701 whole songs with tags under Creative Commons licences; what its four subsets share.

Paper: Bogdanov et al., The MTG-Jamendo Dataset for Automatic Music Tagging, 2019
http://hdl.handle.net/10230/42015
Conventions: split 0 of the five official ones (no artist in two parts), read from the dataset's own TSV
files. Tags keep their category: `genre---rock`. The sound is `audio/34/786434.mp3`, or `.low.mp3` in the
small version.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from sordino.contracts import Track
from sordino.datasets._annotations import text
from sordino.datasets._corpus import Corpus, write_text, write_tone

HEAD = "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS\n"


class Jamendo(Corpus):
    """A subset of the songs; a subclass names it."""

    labels = ("tags",)
    licence = "audio: Creative Commons, per song, many not for commercial use; metadata CC-BY-NC-SA-4.0"
    citation = "D. Bogdanov et al.: The MTG-Jamendo dataset for automatic music tagging. ML4MD at ICML 2019"
    url = "https://github.com/MTG/mtg-jamendo-dataset"
    splits = "official split 0 of 5, by artist"
    get = "Clone the repository for its `data`; its download.py gets the audio (into `audio`)."
    subset: ClassVar[str]
    places = {
        "audio": ("audio", "audios", "audio-low", "raw_30s/audio", "raw_30s/audio-low", "00/.."),
        "tables": ("data/splits/split-0", "splits/split-0"),
    }

    @classmethod
    def default_root(cls) -> Path:
        """All subsets share one folder `mtg_jamendo`."""
        return super().default_root().with_name("mtg_jamendo")

    def tracks(self) -> list[Track]:
        """All songs of the subset."""
        tables, folder = self.place("tables"), self.place("audio").resolve()
        found = []
        for split in ("train", "validation", "test"):
            table = tables / f"{self.subset}-{split}.tsv"
            if not table.exists():
                raise self._missing(f"no {table.name}")
            for line, row in enumerate(text(table).split("\n")[1:], start=2):
                if row:
                    name, artist, _, path, length, *tags = row.rstrip("\r").split("\t")
                    info = {"source": f"{table} line {line}", "duration_s": float(length)}
                    found.append(Track(name, _sound(folder / path), {"tags": tags}, split, artist, info=info))
        return self.present(found)

    @classmethod
    def miniature(cls, root: Path) -> None:
        """Four songs; one is here in the small version only."""
        songs = {"train": ("0000214", "1086434"), "validation": ("0786434",), "test": ("1348722",)}
        category = {"genre": "genre", "instrument": "instrument", "moodtheme": "mood/theme"}
        tag = f"{category.get(cls.subset.removeprefix('autotagging_'), 'genre')}---deep"
        for split, names in songs.items():
            rows = ""
            for name in names:
                path = f"{name[-2:]}/{int(name)}.mp3"
                rows += f"track_{name}\tartist_{name[-6:]}\talbum_092222\t{path}\t1.0\t{tag}\t{tag}-{name[-1]}\n"
                write_tone(root / "audio" / (path.replace(".mp3", ".low.mp3") if name == "0786434" else path))
            write_text(root / "data" / "splits" / "split-0" / f"{cls.subset}-{split}.tsv", HEAD + rows)


def _sound(path: Path) -> Path:
    low = path.with_suffix(".low.mp3")
    return low if low.exists() and not path.exists() else path
