"""Write the battery of single musical ideas (see datasets/battery.py)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import soundfile

from sordino.files import write_text, write_with
from sordino.render.battery_sounds import QUESTIONS, RATE_HZ, Clip, clips


def write_battery(
    root: str | Path,
    wanted: Sequence[Clip] | None = None,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Write all clips and, last, the list that makes them a set; what an interrupted run left is made anew.

    Args:
        root: where to; a folder that holds anything else than a battery is left alone.
        wanted: clips; None for the whole battery.
        advance: progress.

    Returns:
        How many clips there are.

    Raises:
        FileExistsError: the folder holds something else.
    """
    root, wanted = Path(root), list(clips()) if wanted is None else wanted
    strange = {path.name for path in root.iterdir()} - {*QUESTIONS, "labels.jsonl"} if root.is_dir() else set()
    if strange:
        raise FileExistsError(f"{root} holds {sorted(strange)[0]}, which is not of a battery; name an empty folder")
    (root / "labels.jsonl").unlink(missing_ok=True)
    lines = []
    for number, clip in enumerate(wanted):
        advance(number, len(wanted))
        path = root / clip.question / f"{clip.id}.flac"
        write_with(path, lambda part, clip=clip: soundfile.write(part, clip.make(), RATE_HZ))
        lines.append(json.dumps({"id": clip.id, "path": path.relative_to(root).as_posix(), "question": clip.question,
                                 "answer": clip.answer, "sound": clip.sound, "split": clip.split}))  # fmt: skip
    known = {root / json.loads(line)["path"] for line in lines}
    for path in set(root.rglob("*.flac")) - known:
        path.unlink()
    write_text(root / "labels.jsonl", "\n".join(lines) + "\n")
    return len(lines)
