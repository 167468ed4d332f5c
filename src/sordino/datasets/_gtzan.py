"""What the three GTZAN corpora share: the sound files and the fault-filtered split.

Conventions: ids are `blues.00000`. `genres/blues/blues.00000.wav` (or `.au`, `.mp3`), also as
`genres_original` or below `gtzan_genre`. Recordings outside of the filtered list (repetitions, mutilations,
repeated artists) are left out.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from sordino.contracts import Archive
from sordino.datasets._corpus import Corpus, sounds, write_tone
from sordino.datasets._splits import ALIASES, SplitName

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
AUDIO = ("genres", "genres_original", "gtzan_genre/genres", "Data/genres_original", "audio")
AUDIO_ARCHIVE = Archive("http://opihi.cs.uvic.ca/sound/genres.tar.gz", "5b3d6dddb579ab49814ab86dba69e7c7")


class GTZAN(Corpus):
    """The sound files of GTZAN and their split; subclasses bring labels."""

    licence = "audio: unknown, research use only"
    url = "http://marsyas.info/downloads/datasets.html"
    splits = "fault-filtered, artists disjoint (Kereliuk et al. 2015): 443 train, 197 validation, 290 test"
    get = "The audio (1.2 GB, genres.tar.gz) is mirrored in many places."

    @classmethod
    def default_root(cls) -> Path:
        """All three share one folder `gtzan`."""
        return super().default_root().with_name("gtzan")

    def recordings(self) -> dict[str, tuple[Path, SplitName]]:
        """For each id of the filtered list, its sound file and split."""
        here = sounds(self.place("audio"))
        absent = Path("absent")
        return {name: (here.get(name, absent), split) for name, split in filtered_split().items()}

    @staticmethod
    def write_sounds(root: Path) -> None:
        """Six recordings of a miniature, one of them outside of the list."""
        for name in ("blues.00029", "blues.00000", "blues.00012", "rock.00010", "rock.00000", "rock.00039"):
            write_tone(root / "genres" / name.split(".")[0] / f"{name}.wav", frequency_hz=110.0 + len(name))


def filtered_split() -> dict[str, SplitName]:
    """Split by id, from `tables/gtzan_filtered.tsv`."""
    table = files("sordino.datasets").joinpath("tables/gtzan_filtered.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in table.splitlines() if not line.startswith("#")][1:]
    split_of: dict[str, SplitName] = {}
    for genre, name, numbers in rows:
        split = ALIASES[name]
        for stretch in numbers.split():
            first, _, last = stretch.partition("-")
            split_of.update({f"{genre}.{n:05d}": split for n in range(int(first), int(last or first) + 1)})
    return split_of
