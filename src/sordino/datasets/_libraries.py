"""The libraries of DJ programs: what they know of tracks, as rows of a table.

Conventions: rekordbox's `rekordbox.xml` (File > Export Collection), Traktor's `collection.nml`. Mixxx exports playlists
as CSV, which is a table. Columns are `path`, `artist`, `genre`, `key`, `tempo` in BPM, and `beat`: a grid goes from its
marker to the next one, or to the end of the track, at its tempo. Rekordbox's grids know the bar, Traktor's do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np

from sordino.contracts import Unreadable

NOTES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
GRID = "4"  # Traktor's type of a cue that is the marker of a beat grid


def library_rows(path: Path) -> Iterator[tuple[str, dict[str, Any] | Unreadable]]:
    """Every track of a library, with its place.

    Raises:
        ValueError: it is no library of these programs.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(f"{path}: not XML ({error})") from error
    kinds = {"DJ_PLAYLISTS": ("COLLECTION/TRACK", _rekordbox), "NML": ("COLLECTION/ENTRY", _traktor)}
    if root.tag not in kinds:
        raise ValueError(f"{path}: neither a library of rekordbox nor of Traktor ({root.tag})")
    place, read = kinds[root.tag]
    for number, track in enumerate(root.iterfind(place), start=1):
        where = f"{path.name} track {number}"
        try:
            yield where, read(track)
        except ValueError as error:
            yield where, Unreadable(f"{where}: {error}")


def _rekordbox(track: ElementTree.Element) -> dict[str, Any]:
    tempo = float(track.get("AverageBpm") or 0)
    marks = [(float(mark.get("Inizio", 0)), float(mark.get("Bpm", 0)), int(mark.get("Battito", 1)),
              int(mark.get("Metro", "4/4").partition("/")[0])) for mark in track.iterfind("TEMPO")]  # fmt: skip
    return {
        "path": track.get("Location"),
        "artist": track.get("Artist"),
        "genre": track.get("Genre"),
        "key": track.get("Tonality"),
        "tempo": tempo or None,
        "beat": _grid([mark for mark in marks if mark[1] > 0], float(track.get("TotalTime") or 0)),
    }


def _grid(marks: list[tuple[float, float, int, int]], end_s: float) -> dict[str, Any] | None:
    """Beats from marks of time, tempo in BPM, place in the bar and beats in a bar."""
    beats: list[float] = []
    downbeats: list[float] = []
    for (start_s, bpm, place, meter), (until_s, *_) in pairwise([*marks, (end_s, 0.0, 0, 0)]):
        times = np.arange(start_s, until_s - 0.25 * 60 / bpm, 60 / bpm).round(6)
        beats += times.tolist()
        downbeats += times[(np.arange(len(times)) + place - 1) % meter == 0].tolist()
    return {"beats": beats, "downbeats": downbeats, "meter": marks[0][3]} if beats else None


def _traktor(entry: ElementTree.Element) -> dict[str, Any]:
    def of(tag: str, name: str) -> str:
        found = entry.find(tag)
        return (found.get(name) or "") if found is not None else ""

    bpm, end_s = float(of("TEMPO", "BPM") or 0), float(of("INFO", "PLAYTIME_FLOAT") or of("INFO", "PLAYTIME") or 0)
    key = of("MUSICAL_KEY", "VALUE")
    mark_s = [float(cue.get("START", 0)) / 1000 for cue in entry.iterfind("CUE_V2") if cue.get("TYPE") == GRID]
    beats = (np.arange(mark_s[0] % (60 / bpm), end_s, 60 / bpm).round(6).tolist()) if mark_s and bpm else []
    return {
        "path": of("LOCATION", "DIR").replace("/:", "/") + of("LOCATION", "FILE"),
        "artist": entry.get("ARTIST"),
        "genre": of("INFO", "GENRE"),
        "key": f"{NOTES[int(key) % 12]} {'minor' if int(key) > 11 else 'major'}" if key else of("INFO", "KEY"),
        "tempo": bpm or None,
        "beat": {"beats": beats, "downbeats": [], "meter": None} if beats else None,
    }


def local_path(text: str) -> str:
    """A path as programs write it: `file://localhost/C:/a%20b.mp3` is `C:/a b.mp3`, backslashes are slashes."""
    if text.startswith("file:"):
        text = unquote(text.removeprefix("file:").removeprefix("//").removeprefix("localhost"))
    return text.replace("\\", "/")
