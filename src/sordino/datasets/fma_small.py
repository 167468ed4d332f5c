"""FMA small: 8000 clips of 30 s in eight genres, a thousand of each.

Paper: Defferrard et al., FMA: A Dataset for Music Analysis, ISMIR 2017 https://github.com/mdeff/fma
Conventions: `tracks.csv` has two rows of names, a table's and a column's (`set`, `split`), and a third one with
`track_id`; cells hold line breaks. Kept are the rows whose subset is `small`; the genre is `genre_top`; the split is
the published one, 6400, 800, 800, no artist in two. `fma_small/000/000002.mp3` is track 2. Three clips (98565, 98567,
98569) are shorter than two seconds, as the authors' list of errors says.
"""

from __future__ import annotations

import csv
from pathlib import Path

from sordino.contracts import Archive, Track
from sordino.datasets._corpus import Corpus, sounds, write_text, write_tone
from sordino.datasets._splits import ALIASES

LONGEST_CELL = 1 << 24  # a biography may be longer than what csv reads by itself
WANTED = (("set", "subset"), ("set", "split"), ("track", "genre_top"), ("artist", "id"))
PUBLISHED = "https://os.unil.cloud.switch.ch/fma"


class FMASmall(Corpus):
    """Eight genres of free music."""

    name = "fma_small"
    title = "FMA small"
    labels = ("genre",)
    licence = "audio: Creative Commons, per song, many not for commercial use; metadata CC-BY-4.0"
    citation = "M. Defferrard et al.: FMA: a dataset for music analysis. ISMIR 2017"
    url = "https://github.com/mdeff/fma"
    size = (8000, 66.7)
    splits = "official: 6400 train, 800 validation, 800 test, by artist"
    places = {"audio": ("fma_small",), "table": ("fma_metadata/tracks.csv", "tracks.csv")}
    get = "fma_small.zip (7.2 GiB) and fma_metadata.zip are linked on the repository's page."
    archives = (
        Archive(f"{PUBLISHED}/fma_metadata.zip", "f0df49ffe5f2a6008d7dc83c6915b31835dfe733"),
        Archive(f"{PUBLISHED}/fma_small.zip", "ade154f733639d52e35e32f5593efe5be76c6d70"),
    )

    def tracks(self) -> list[Track]:
        """All clips of the subset."""
        here, table = sounds(self.place("audio")), self.place("table")
        found = []
        for line, number, (subset, split, genre, artist) in _rows(table):
            if subset == "small":
                name, info = f"{int(number):06d}", {"source": f"{table} line {line}"}
                path, group = here.get(name, Path("absent")), f"artist {artist}"
                found.append(Track(name, path, {"genre": genre}, ALIASES[split], group, info=info))
        return self.present(found)

    @classmethod
    def miniature(cls, root: Path) -> None:
        """Two clips of one artist, two others, a track of another subset; a very long biography, line breaks."""
        rows = (
            ("2", "1", "training", "small", "Hip-Hop", "<p>one,\n\ntwo</p>"),
            ("5", "1", "training", "small", "Hip-Hop", ""),
            ("10", "6", "training", "medium", "Pop", "x" * 140_000),
            ("140", "54", "validation", "small", "Folk", "a\r\nb"),
            ("148", "77", "test", "small", "Experimental", 'said "yes"'),
        )
        head = ",artist,artist,set,set,track,artist\n,id,name,split,subset,genre_top,bio\ntrack_id,,,,,,\n"
        cells = [
            f'{n},{artist},"A, B",{split},{subset},{genre},"{bio.replace(chr(34), chr(34) * 2)}"\n'
            for n, artist, split, subset, genre, bio in rows
        ]
        write_text(root / "fma_metadata" / "tracks.csv", head + "".join(cells))
        for number, *_ in rows:
            write_tone(root / "fma_small" / "000" / f"{int(number):06d}.mp3")


def _rows(table: Path) -> list[tuple[int, str, list[str]]]:
    """Line, number and wanted cells of each track."""
    usual = csv.field_size_limit(LONGEST_CELL)  # of the whole process
    try:
        with table.open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            names = list(zip(next(reader), next(reader), strict=True))
            places = [names.index(name) for name in WANTED]
            return [(reader.line_num, row[0], [row[n] for n in places]) for row in reader if row[0].isdecimal()]
    finally:
        csv.field_size_limit(usual)
