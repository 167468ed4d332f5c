"""Answers in the formats of other programs: Audacity's labels, rekordbox's library, and what tags of a file can hold.

Conventions: Audacity reads `start end text` in seconds between tabs, a file for each task. rekordbox reads a library
(`File > Import > rekordbox xml`): the beat grid has a mark at every beat with the tempo to the next one, so that it
follows what was heard; places in the bar are those of the downbeats.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from sordino.contracts import Task
from sordino.files import write_text
from sordino.results import FileAnswer

METER = 4  # beats in a bar, where none is known
PRODUCT = b'<PRODUCT Name="sordino"'  # in every library that is written here


def write_audacity(answer: FileAnswer, tasks: Mapping[str, Task], folder: str | Path, name: str) -> None:
    """Write `folder/<name>.<task>.txt`, a label track for each task."""
    for task, prediction in answer.answers.items():
        rows = tasks[task].observations(prediction, answer.duration_s)
        lines = [f"{row.start_s:.6f}\t{row.start_s + row.duration_s:.6f}\t{_text(row.value)}\n" for row in rows]
        write_text(audacity_file(name, task, folder), "".join(lines))


def audacity_file(name: str, task: str, folder: str | Path) -> Path:
    """Where the label track of a task is written."""
    return Path(folder) / f"{name}.{task.replace('/', '_')}.txt"


def _text(value: Any) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def tag_values(answer: FileAnswer, tasks: Mapping[str, Task]) -> dict[str, str]:
    """What of an answer the tags of a file can hold: tempo, key and genre."""
    found = {}
    for name, prediction in answer.answers.items():
        value, label = prediction.value, tasks[name].label
        if label == "tempo":
            bpm = value["bpm"] if isinstance(value, Mapping) else value
            found |= {label: f"{bpm:.2f}"} if bpm else {}
        elif label in ("key", "genre"):
            told = "; ".join(value) if isinstance(value, list) else str(value)  # several genres, of tagging
            found |= {label: told} if told not in ("", "none") else {}
    return found


def check_library(path: str | Path) -> None:
    """Raise ValueError where a file was not written by `write_rekordbox`: it stays."""
    if Path(path).is_file() and PRODUCT not in Path(path).read_bytes():
        raise ValueError(f"{path} is there and not by sordino; nothing was written over it: give another place")


def write_rekordbox(answers: Iterable[FileAnswer], tasks: Mapping[str, Task], path: str | Path) -> None:
    """Write a library with every file that was answered.

    Raises:
        ValueError: what is there is somebody's own library.
    """
    check_library(path)
    root = ElementTree.Element("DJ_PLAYLISTS", Version="1.0.0")
    ElementTree.SubElement(root, "PRODUCT", Name="sordino")
    collection = ElementTree.SubElement(root, "COLLECTION")
    for number, answer in enumerate((one for one in answers if one.error is None), 1):
        values, place = tag_values(answer, tasks), Path(answer.path).resolve()
        about = {"TrackID": str(number), "Name": place.stem, "TotalTime": str(round(answer.duration_s)),
                 "Location": place.as_uri().replace("file://", "file://localhost")}  # fmt: skip
        names = {"tempo": "AverageBpm", "key": "Tonality", "genre": "Genre"}
        about |= {names[label]: value for label, value in values.items()}
        track = ElementTree.SubElement(collection, "TRACK", about)
        for name, prediction in answer.answers.items():
            if tasks[name].label == "beat":
                _write_grid(track, prediction.value["beats"], prediction.value.get("downbeats") or [])
    collection.set("Entries", str(len(collection)))
    ElementTree.indent(root)
    write_text(Path(path), '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, "unicode") + "\n")


def _write_grid(track: ElementTree.Element, beats: list[float], downbeats: list[float]) -> None:
    """A mark at every beat; a bar has as many as most have."""
    down = set(downbeats)
    firsts = [number for number, time_s in enumerate(beats) if time_s in down]
    lengths = Counter(b - a for a, b in pairwise(firsts)).most_common(1)
    meter = lengths[0][0] if lengths else METER
    steps_s = [b - a for a, b in pairwise(beats)] or [0.5]
    place = -firsts[0] % meter if firsts else 0
    for time_s, step_s in zip(beats, [*steps_s, steps_s[-1]], strict=False):
        place = 1 if time_s in down else place % meter + 1
        ElementTree.SubElement(track, "TEMPO", Inizio=f"{time_s:.3f}", Bpm=f"{60 / step_s:.4f}", Metro=f"{meter}/4",
                               Battito=str(place))  # fmt: skip
