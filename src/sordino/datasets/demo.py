"""The built-in labelled set: 555 clips of 10 s, by bands, of made-up music, tunes, chorales and songs.

Conventions: key as mir_eval reads it (``Eb major``), absent for clips that modulate or are modal; tempo in felt
beats per minute (dotted quarters in compound metre); beats, downbeats and chords (Harte) in seconds from the
clip's beginning. Splits are by piece; the test split has tunes and sounds that training never has. How it is
made: docs/demo_set.md.
"""

from __future__ import annotations

import json
from pathlib import Path

from sordino.contracts import Dataset, Track
from sordino.datasets._labels_file import LABELS, read_labels, track

_FOLDER = Path(__file__).parent / "demo_data"


class Demo(Dataset):
    """Made-up music, tunes, chorales and songs, arranged and rendered: ships with the package."""

    name = "demo"
    title = "Built-in demo set (rendered bands)"
    labels = LABELS
    licence = "music public domain, BSD-3-Clause or own, soundfonts MIT, renderings as the package (LICENCES.md)"
    size = (555, 1.54)
    splits = "by piece, 303/101/151; the test split has sounds of its own"
    builtin = True

    @classmethod
    def default_root(cls) -> Path:
        """The folder inside the package."""
        return _FOLDER

    def tracks(self) -> list[Track]:
        """All clips, by id.

        Raises:
            FileNotFoundError: the audio did not come with this installation.
        """
        if not (self.root / "labels.jsonl").exists():
            raise FileNotFoundError(f"{self.root} has no labels.jsonl: the demo set ships with sordino, install it")
        return read_labels(self.root)

    @staticmethod
    def excerpt() -> Track:
        """Twenty seconds of a recorded song (MIT licence) with its tempo and beats, to try `predict` on."""
        return track(_FOLDER, json.loads((_FOLDER / "excerpt.json").read_text(encoding="utf-8")))
