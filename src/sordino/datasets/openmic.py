"""OpenMIC-2018: 20,000 excerpts of 10 s, each judged for the presence of a few of 20 instruments.

Paper: Humphrey, Durand and McFee, OpenMIC-2018: An Open Dataset for Multiple Instrument Recognition, ISMIR 2018
https://github.com/cosmir/openmic-2018
Conventions: an instrument is there from a relevance of 0.5 on. The label `instruments` says yes or no of those
that were judged, and None of the others, which count neither in the loss nor in scores of `tagging`.
`instrument=violin` keeps the clips on which the violin was judged and its yes or no alone: twenty such runs are the
paper's protocol. The published partition tests
on 5085; its 14,915 others are split here by artist. A group is an artist within test or outside of it: the partition
was made by artists after some were found to be the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from sordino.contracts import Archive, Track
from sordino.datasets._annotations import number, table, text
from sordino.datasets._corpus import Corpus, sounds, write_text, write_tone
from sordino.datasets._splits import SplitName, split_of

Instrument = Literal[
    "all", "accordion", "banjo", "bass", "cello", "clarinet", "cymbals", "drums", "flute", "guitar",
    "mallet_percussion", "mandolin", "organ", "piano", "saxophone", "synthesizer", "trombone", "trumpet", "ukulele",
    "violin", "voice",
]  # fmt: skip
INSTRUMENTS = get_args(Instrument)[1:]
PRESENT = 0.5
LEARNED: dict[SplitName, float] = {"train": 0.85, "validation": 0.15}


class OpenMIC(Corpus):
    """Instruments, partly judged.

    Args:
        instrument: `all`, or the one whose judged clips are kept.
    """

    name = "openmic"
    title = "OpenMIC-2018"
    labels = ("instruments",)
    licence = "CC-BY-4.0; audio: Creative Commons, per song (Free Music Archive)"
    citation = "E. Humphrey, S. Durand, B. McFee: OpenMIC-2018. ISMIR 2018"
    url = "https://zenodo.org/records/1432913"
    size = (20_000, 55.6)
    splits = "official partition 01, 14,915/5085 by artist; 15 % of the former, by artist, validation (made here)"
    places = {
        "audio": ("audio",),
        "labels": ("openmic-2018-aggregated-labels.csv",),
        "artists": ("openmic-2018-metadata.csv",),
        "partitions": ("partitions",),
    }
    get = "Everything is one archive on Zenodo (openmic-2018-v1.0.0.tgz)."
    archives = (
        Archive("https://zenodo.org/records/1432913/files/openmic-2018-v1.0.0.tgz", "e4ccf187e2bb5ab2e115416e8aafe7f4"),
    )

    def __init__(self, root: str | Path | None = None, version: str | None = None, instrument: Instrument = "all"):
        super().__init__(root, version)
        self.instrument: Instrument = instrument

    def tracks(self) -> list[Track]:
        """All clips, or those on which the instrument was judged."""
        here, judged, partitions = sounds(self.place("audio")), self._judged(), self.place("partitions")
        artist_of = {row["sample_key"]: row["artist_id"] for row in table(self.place("artists"))}
        tested = set(text(partitions / "split01_test.csv").split())
        found = []
        for name in [*text(partitions / "split01_train.csv").split(), *tested]:
            if answers := judged.get(name):
                artist = f"artist {artist_of.get(name, name)}"
                split = "test" if name in tested else split_of(artist, fractions=LEARNED)
                group = f"{artist} of test" if name in tested else artist
                info = {"source": f"openmic-2018-aggregated-labels.csv {name}"}
                found.append(
                    Track(name, here.get(name, Path("absent")), {"instruments": answers}, split, group, info=info)
                )
        return self.present(found)

    def _judged(self) -> dict[str, dict[str, bool | None]]:
        """Yes or no of what was judged, None for what was not, by clip."""
        place, none = self.place("labels"), dict.fromkeys(INSTRUMENTS if self.instrument == "all" else ())
        answers: dict[str, dict[str, bool | None]] = {}
        for line, row in enumerate(table(place), start=2):
            if self.instrument in ("all", row["instrument"]):
                there = number(place, line, row["relevance"]) >= PRESENT
                answers.setdefault(row["sample_key"], {**none})[row["instrument"]] = there
        return answers

    @classmethod
    def miniature(cls, root: Path) -> None:
        """Two clips of one artist to learn from, one to test on, one judged for a single instrument that is absent."""
        place = root / "openmic-2018"
        judged = (
            "000046_3840,clarinet,0.17104999999999998,3\n000046_3840,flute,0.0,3\n000046_3840,voice,0.5,3\n"
            "000135_483840,guitar,1.0,3\n000139_119040,guitar,0.34,3\n000139_119040,voice,0.9,3\n"
            "000141_153600,voice,0.6,3\n"
        )
        head = "sample_key,instrument,relevance,num_responses\n"
        write_text(place / "openmic-2018-aggregated-labels.csv", head + judged)
        songs = (("000046_3840", 4), ("000135_483840", 52), ("000139_119040", 52), ("000141_153600", 54))
        rows = "".join(f'{name[:6]},{artist},"A, B",{name},3.84\n' for name, artist in songs)
        write_text(place / "openmic-2018-metadata.csv", f"track_id,artist_id,artist_name,sample_key,start_time\n{rows}")
        learned = "".join(f"{name}\n" for name, _ in songs[:-1])
        write_text(place / "partitions" / "split01_train.csv", learned)
        write_text(place / "partitions" / "split01_test.csv", "000141_153600\n")
        for name, _ in songs:
            write_tone(place / "audio" / name[:3] / f"{name}.ogg")
