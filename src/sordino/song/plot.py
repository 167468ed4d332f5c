"""Answers to be seen: the waveform with its beats, the chords below it, and the key over time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from sordino import audio
from sordino.contracts import Task
from sordino.files import write_with
from sordino.plain_answers import RATE_HZ
from sordino.results import FileAnswer
from sordino.song.card import lines, short
from sordino.tasks import make_task

KEY_WINDOW_S = 20.0
COLUMNS_PER_S = 50
S_PER_INCH = 6.0


def plot(answer: FileAnswer, tasks: Mapping[str, Task], path: str | Path) -> None:
    """Draw an answer; the format is the path's suffix.

    The key over time is the chroma template's, window by window, whatever answers the key of the whole.

    Raises:
        AudioError: the song cannot be read.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    low, high, keys = _heard(answer.path)
    width = float(np.clip(answer.duration_s / S_PER_INCH, 10, 60))
    figure, axes = pyplot.subplots(3, 1, sharex=True, figsize=(width, 5), height_ratios=(4, 1, 1), layout="constrained")
    waves, chords, key = axes
    waves.fill_between(np.arange(len(low)) / COLUMNS_PER_S, low, high, color="0.6", linewidth=0)
    waves.set(xlim=(0, answer.duration_s), ylim=(-1, 1), yticks=[], ylabel="beats")
    for name, prediction in answer.answers.items():
        if tasks[name].name == "beat":
            _beats(waves, prediction.value)
        if tasks[name].name == "chord":
            _bands(chords, [(start, end, short(chord)) for start, end, chord in prediction.value if chord != "N"])
    _bands(key, keys)
    chords.set(yticks=[], ylim=(0, 1), ylabel="chords")
    key.set(yticks=[], ylim=(0, 1), ylabel="key", xlabel="seconds; key of every 20 s by the chroma template")
    title, *rows = lines(answer, dict(tasks))
    told = [row.split(maxsplit=1) for row in rows]
    shown = [f"{name} {text}" for name, text in told if name in ("key", "tempo", "metre")]
    waves.set_title("   ".join([Path(title.split("  ")[0]).name, *shown]), loc="left", fontsize=9)
    write_with(path, lambda part: figure.savefig(part, dpi=100))
    pyplot.close(figure)


def _heard(path: str) -> tuple[Float[np.ndarray, " column"], Float[np.ndarray, " column"], list[Any]]:
    """Lowest and highest sample of every column, and the key of every window, from one decoding in bounded memory."""
    estimate: Any = make_task("key").plain_baseline
    low, high, keys = [], [], []
    step, begin_s = RATE_HZ // COLUMNS_PER_S, 0.0
    for block in audio.blocks(path, RATE_HZ, KEY_WINDOW_S):
        columns = np.pad(block, (0, -len(block) % step)).reshape(-1, step)
        low.append(columns.min(1))
        high.append(columns.max(1))
        end_s = begin_s + len(block) / RATE_HZ
        keys.append((begin_s, end_s, estimate(block, RATE_HZ).value))
        begin_s = end_s
    return np.concatenate(low), np.concatenate(high), [row for row in keys if row[2] != "none"]


def _beats(axis: Any, value: Mapping[str, Any]) -> None:
    down = set(value["downbeats"] or ())
    axis.vlines([t for t in value["beats"] if t not in down], -0.7, 0.7, color="tab:blue", linewidth=0.8)
    axis.vlines(sorted(down), -1, 1, color="tab:red", linewidth=1.2)


def _bands(axis: Any, rows: list[Any]) -> None:
    """Coloured stretches with a name each, the same name in the same colour."""
    from matplotlib import colormaps

    names = sorted({name for _, _, name in rows})
    colours = {name: colormaps["tab20"](number % 20) for number, name in enumerate(names)}
    for start, end, name in rows:
        axis.axvspan(start, end, color=colours[name], alpha=0.6, linewidth=0)
        axis.text((start + end) / 2, 0.5, name, ha="center", va="center", fontsize=7, clip_on=True)
