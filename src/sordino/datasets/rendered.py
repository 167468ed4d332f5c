"""A labelled set of any size, arranged and rendered on your own machine (docs/rendering.md).

Conventions: those of ``demo``. By default neither the demo's test tunes nor its test sounds occur, so that what
was trained here can be tested there. Splits are by piece.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from sordino.contracts import Dataset, Track
from sordino.datasets._corpus import write_text, write_tone
from sordino.datasets._labels_file import LABELS, read_labels
from sordino.datasets._splits import QUARTER, split_tracks


class Rendered(Dataset):
    """Clips of 10 s made by ``sordino render``.

    Args:
        split: `rendered` is the renderer's, 90/5/5; `quarter` tests methods on more, 60/15/25.
    """

    name = "rendered"
    title = "Rendered bands, tunes, chorales and songs, as many hours as you like"
    labels = LABELS
    licence = "see docs/rendering.md: public domain, own, MIT; some songs and one soundfont GPL-2"
    splits = "by piece, 90/5/5 percent or 60/15/25 (`split`); without the demo's test tunes unless asked for"

    def __init__(self, root: str | Path | None = None, split: Literal["rendered", "quarter"] = "rendered"):
        super().__init__(root)
        self.split = split

    def tracks(self) -> list[Track]:
        """All clips, by id.

        Raises:
            FileNotFoundError: nothing has been rendered, or rendering was interrupted.
        """
        if not (self.root / "labels.jsonl").exists():
            raise FileNotFoundError(
                f"{self.root} has no labels.jsonl: render a corpus, or finish one that was interrupted, with "
                f"`sordino render {self.root} --hours 5`"
            )
        tracks = read_labels(self.root)
        return tracks if self.split == "rendered" else split_tracks(tracks, fractions=QUARTER)

    def available(self) -> bool:
        """Whether a finished corpus is on this machine."""
        return (self.root / "labels.jsonl").exists()

    @classmethod
    def miniature(cls, root: Path) -> None:
        """One clip of each split."""
        rows = []
        for split in ("train", "validation", "test"):
            write_tone(root / f"{split}.ogg")
            row = {"id": split, "path": f"{split}.ogg", "split": split, "group": split, "duration_s": 1.0}
            beat = {"beats": [0.0, 0.5], "downbeats": [0.0], "meter": 4}
            labels = {"key": "C major", "tempo": 120.0, "beat": beat, "chord": [[0.0, 1.0, "C:maj"]]}
            rows.append(json.dumps({**row, **labels, "instruments": ["violin"]}))
        write_text(root / "labels.jsonl", "\n".join(rows))
