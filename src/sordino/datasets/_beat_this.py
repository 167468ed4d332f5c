"""Beats and downbeats in the one format of Beat This: what its corpora share.

Paper: Foscarin, Schlüter and Widmer, Beat This! Accurate Beat Tracking Without DBN Postprocessing, ISMIR 2024
https://arxiv.org/abs/2407.21658 https://github.com/CPJKU/beat_this_annotations
Conventions: `<corpus>/annotations/beats/NAME.beats` holds lines `time place`, the place in the bar from 1, behind which
some files have the bar's number; simac's have times only. A beat before the sound begins (seven files of harmonix) is
left out. `single.split` is of train and validation, as GTZAN is tested on; `8-folds.split` is for cross-validation.
Sound files are named as the annotations are, with or without the corpus's name before theirs, in any folder below.
Differs: of a fold, Beat This validates and tests on the same tracks; here the next fold validates.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from sordino.contracts import Archive, Track
from sordino.datasets._annotations import lines, number, read_if, text
from sordino.datasets._corpus import Corpus, sounds, write_text, write_tone
from sordino.datasets._splits import ALIASES, SplitName

COMMIT = "c3c47fd37d3074d9f8119f18bbf460f909609f22"
REPOSITORY = "https://github.com/CPJKU/beat_this_annotations"
N_FOLDS = 8
Split = Literal["single", "fold0", "fold1", "fold2", "fold3", "fold4", "fold5", "fold6", "fold7"]


class BeatThis(Corpus):
    """A corpus of the repository; a subclass names it.

    Attributes:
        examples: of the forms of its files, for the miniature: what they hold, by name.

    Args:
        split: `single` is train and validation, to be tested on another corpus; `fold0` to `fold7` test on one of the
            eight published folds and validate by the next.
    """

    labels = ("beat",)
    url = REPOSITORY
    splits = "Beat This: train and validation (test on gtzan_rhythm), or one of its 8 folds (`split`)"
    archives = (Archive(f"{REPOSITORY}/archive/{COMMIT}.zip"),)
    examples: ClassVar[Mapping[str, str]]

    def __init_subclass__(cls) -> None:
        cls.places = {
            "audio": (f"audio/{cls.name}", f"{cls.name}/audio", "audio"),
            "beats": (f"{cls.name}/annotations/beats", "annotations/beats"),
        }

    def __init__(self, root: str | Path | None = None, version: str | None = None, split: Split = "single"):
        super().__init__(root, version)
        self.split: Split = split
        if split != "single":
            self.splits = f"Beat This: {split} of 8 to test on, the next to validate by"

    def tracks(self) -> list[Track]:
        """All recordings of the split's file."""
        here, beats = sounds(self.place("audio")), self.place("beats")
        found = []
        for name, split in self._splits(beats.parent.parent).items():
            path = here.get(name) or here.get(name.removeprefix(f"{self.name}_"), Path("absent"))
            label = read_if(read_places, beats, f"{name}.beats")
            info = {"source": f"{name}.beats"}
            found.append(Track(name, path, {"beat": label}, split, self.group(name), info=info))
        return self.present(found)

    @staticmethod
    def group(name: str) -> str:
        """What the published splits keep together; empty: nothing but the recording itself."""
        return ""

    def _splits(self, folder: Path) -> dict[str, SplitName]:
        table = folder / ("single.split" if self.split == "single" else "8-folds.split")
        if not table.exists():
            raise self._missing(f"no {table.name}")
        part_of = dict(line.split("\t") for line in text(table).splitlines() if line)
        if self.split == "single":
            return {name: ALIASES[part] for name, part in part_of.items()}
        tested = int(self.split[-1])
        splits: dict[int, SplitName] = {tested: "test", (tested + 1) % N_FOLDS: "validation"}
        return {name: splits.get(int(fold), "train") for name, fold in part_of.items()}

    @classmethod
    def miniature(cls, root: Path) -> None:
        """A recording of each form, the last one for validation; it is in the second fold, the others in the first."""
        folder, last = root / f"beat_this_annotations-{COMMIT}" / cls.name, list(cls.examples)[-1]
        for name, content in cls.examples.items():
            write_tone(root / "audio" / f"{name.removeprefix(f'{cls.name}_')}.wav")
            write_text(folder / "annotations" / "beats" / f"{name}.beats", content)
        write_text(folder / "single.split", "".join(f"{n}\t{'val' if n == last else 'train'}\n" for n in cls.examples))
        write_text(folder / "8-folds.split", "".join(f"{n}\t{int(n == last)}\n" for n in cls.examples))


def read_places(path: Path) -> dict[str, Any]:
    """Beats of lines `time place bar`, of which the last ones may be missing; as `read_beats` gives them."""
    rows = [[number(path, line, cell) for cell in cells] for line, cells, _ in lines(path, 2)]
    placed = [(time_s, int(place[0]) if place else 0) for time_s, *place in rows if time_s >= 0]
    largest = max((place for _, place in placed), default=0)
    return {
        "beats": [time_s for time_s, _ in placed],
        "downbeats": [time_s for time_s, place in placed if place == 1],
        "meter": largest if largest > 1 else None,
    }
