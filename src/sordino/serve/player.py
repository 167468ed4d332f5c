"""A sound to be played with what was heard in it: the waveform with beats, and chords that pass under the playhead.

The player is one small page of its own for an `iframe`, without any library: above the whole song, below a window of
it that follows the playhead. A click on either goes there.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sordino import audio
from sordino.contracts import Task
from sordino.results import FileAnswer
from sordino.song.card import short

OUTLINE_HZ, BLOCK_S = 8_000, 20.0
COLUMNS_PER_S, MOST_COLUMNS = 50, 30_000
HEIGHT = 296
PAGE = Path(__file__).parent / "player.html"


def outline(path: str | Path, duration_s: float) -> list[int]:
    """The loudest sample of every column of a sound, 0 to 99 of the loudest, in bounded memory."""
    n = int(np.clip(duration_s * COLUMNS_PER_S, 1, MOST_COLUMNS))
    peaks, begin, total = np.zeros(n), 0, max(1.0, duration_s * OUTLINE_HZ)
    for block in audio.blocks(path, OUTLINE_HZ, BLOCK_S):
        column = np.minimum((begin + np.arange(len(block))) * n / total, n - 1).astype(int)
        np.maximum.at(peaks, column, np.abs(block))
        begin += len(block)
    return np.round(99 * peaks / max(peaks.max(), 1e-9)).astype(int).tolist()


def player(answer: FileAnswer, tasks: Mapping[str, Task], peaks: list[int], source: str) -> str:
    """The player, as HTML that stands in any page.

    Args:
        answer: of the sound.
        tasks: by name, as in the answer.
        peaks: its outline.
        source: address of the sound.
    """
    beats, chords = _first(answer, tasks, "beat"), _first(answer, tasks, "chord")
    told: dict[str, Any] = {
        "peaks": peaks,
        "duration": answer.duration_s,
        "source": source,
        "beats": [round(t, 3) for t in beats["beats"]] if beats else [],
        "downbeats": [round(t, 3) for t in beats["downbeats"] or []] if beats else [],
        "chords": [[round(a, 3), round(b, 3), short(name)] for a, b, name in chords or [] if name != "N"],
    }
    page = PAGE.read_text(encoding="utf-8").replace(
        "DATA", json.dumps(told).replace("<", "\\u003c")
    )  # no tag can begin within a script
    return (
        f'<iframe title="player" class="sordino-player" srcdoc="{html.escape(page)}" '
        f'style="width:100%;height:{HEIGHT}px;border:0;border-radius:10px"></iframe>'
    )


def _first(answer: FileAnswer, tasks: Mapping[str, Task], kind: str) -> Any:
    return next((p.value for name, p in answer.answers.items() if tasks[name].name == kind), None)
