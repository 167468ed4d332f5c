"""What the three GTZAN corpora share: the sound files and the fault-filtered split.

Conventions: ids are `blues.00000`. `genres/blues/blues.00000.wav` (or `.au`, `.mp3`), also as
`genres_original` or below `gtzan_genre`. Recordings outside of the filtered list (repetitions, mutilations,
repeated artists) are left out. `jazz.00054` (train) is broken in the wav copies that go round: there it is listed as
such and left out, so that 929 remain.

The version `mini` is ten recordings of each genre, the first ones almost, which a public repository holds: 93 of them
are in the filtered list, 80 of these have a key. For evaluation only. Ten neighbours often share an artist (the blues
are all John Lee Hooker's, the reggae Bob Marley's: Sturm 2013, arXiv 1306.1461), so its genres are also artists.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from sordino.contracts import Archive
from sordino.datasets._corpus import Corpus, sounds, write_tone
from sordino.datasets._splits import ALIASES, SplitName

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
AUDIO = ("genres", "genres_original", "audio", "gtzan_genre/genres")
AUDIO_ARCHIVE = Archive("http://opihi.cs.uvic.ca/sound/genres.tar.gz", "5b3d6dddb579ab49814ab86dba69e7c7")
MINI_COMMIT = "a61439e86c13037011fde8e0f0743ec55c50bce3"
MINI_ARCHIVE = Archive(f"https://github.com/TempoBeatDownbeat/gtzan_mini/archive/{MINI_COMMIT}.zip")
MINI = {f"{genre}.{number:05d}" for genre in GENRES for number in range(10)}
MINI = MINI - {"jazz.00003", "jazz.00009"} | {"jazz.00011", "jazz.00012"}


class GTZAN(Corpus):
    """The sound files of GTZAN and their split; subclasses bring labels."""

    licence = "audio: unknown, research use only"
    url = "http://marsyas.info/downloads/datasets.html"
    splits = "fault-filtered, artists disjoint (Kereliuk et al. 2015): 443 train, 197 validation, 290 test"
    get = "The audio (1.2 GB, genres.tar.gz) is mirrored in many places."
    versions = ("mini",)
    hidden = ("gtzan_mini*",)

    def __init__(self, root: str | Path | None = None, version: str | None = None):
        super().__init__(root, version)
        if version == "mini":
            self.hidden = ()
            self.archives = tuple(MINI_ARCHIVE if archive == AUDIO_ARCHIVE else archive for archive in self.archives)
            self.get = "The audio is in the repository TempoBeatDownbeat/gtzan_mini."

    @classmethod
    def default_root(cls) -> Path:
        """All three share one folder `gtzan`."""
        return super().default_root().with_name("gtzan")

    def recordings(self) -> dict[str, tuple[Path, SplitName]]:
        """For each id of the filtered list, its sound file and split."""
        here = sounds(self.place("audio"))
        absent = Path("absent")
        return {
            name: (here.get(name, absent), split)
            for name, split in filtered_split().items()
            if self.version is None or name in MINI
        }

    @staticmethod
    def write_sounds(root: Path, version: str | None = None) -> None:
        """Seven recordings of a miniature, one of them outside of the list, two of them in the version `mini`."""
        folder = root if version is None else root / f"gtzan_mini-{MINI_COMMIT}"
        for name in (
            "blues.00029",
            "blues.00000",
            "blues.00012",
            "jazz.00011",
            "rock.00010",
            "rock.00000",
            "rock.00039",
        ):
            write_tone(folder / "genres" / name.split(".")[0] / f"{name}.wav", frequency_hz=110.0 + len(name))


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
