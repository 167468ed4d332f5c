"""Read a folder of rendered clips: ``labels.jsonl`` and the sound files that it names."""

from __future__ import annotations

import json
from pathlib import Path

from sordino.contracts import Track

LABELS = ("key", "tempo", "beat", "chord", "instruments")
_INFO = ("source", "title", "licence", "style")


def read_labels(root: Path) -> list[Track]:
    """All clips of a folder, in the order of the file."""
    text = (Path(root) / "labels.jsonl").read_text(encoding="utf-8")
    return [track(Path(root), json.loads(line)) for line in text.splitlines()]


def track(root: Path, row: dict) -> Track:
    """One line of the file; labels that are null are left out."""
    return Track(
        id=row["id"],
        path=root / row["path"],
        labels={name: row[name] for name in LABELS if row.get(name) is not None},
        split=row["split"],
        group=row["group"],
        duration_s=row["duration_s"],
        info={name: row[name] for name in _INFO if name in row},
    )
