"""JAMS files: the labels of one recording, as JSON.

Paper: Humphrey et al., JAMS: A JSON Annotated Music Specification, 2014 https://jams.readthedocs.io
Differs: read as JSON, without the `jams` package; the first annotation of a namespace counts. The recording
is the sound file of the same name beside the JAMS file or in a folder `audio` beside it; JAMS itself names
none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Observation = Mapping[str, Any]


def read_jams(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Labels and metadata of a JAMS file.

    Returns:
        Labels by name (`key`, `tempo`, `beat`, `chord`, `tags`, `genre`) and `{artist, title, release,
        duration}`.

    Raises:
        ValueError: not JAMS.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        annotations = content["annotations"]
        metadata = content.get("file_metadata", {})
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a JAMS file ({type(error).__name__}: {error})") from error
    labels: dict[str, Any] = {}
    for annotation in annotations:
        namespace = str(annotation.get("namespace", ""))
        name, read = next((value for start, value in _NAMESPACES.items() if namespace.startswith(start)), ("", None))
        observations = _observations(annotation.get("data") or [])
        if read is not None and name not in labels and observations:
            labels[name] = read(observations)
    known = {key: metadata[key] for key in ("artist", "title", "release", "duration") if metadata.get(key)}
    return labels, known


def _observations(data: Any) -> list[Observation]:
    """Rows; older files hold columns instead."""
    if isinstance(data, Mapping):
        return [dict(zip(data, values, strict=True)) for values in zip(*data.values(), strict=True)]
    return list(data)


def _first(data: list[Observation]) -> Any:
    """The value that lasts longest."""
    return max(data, key=lambda row: row.get("duration") or 0.0)["value"]


def _tempo(data: list[Observation]) -> float:
    """The tempo of the greatest confidence."""
    return float(max(data, key=lambda row: row.get("confidence") or 0.0)["value"])


def _values(data: list[Observation]) -> list[str]:
    return sorted({str(row["value"]) for row in data})


def _beats(data: list[Observation]) -> dict[str, Any]:
    """Beats; a value is the position in the bar, or a dict with it (`beat_position`), or nothing."""
    positions, downbeats = [], []
    for row in data:
        value = row.get("value")
        position = value.get("position") if isinstance(value, Mapping) else value
        if position is not None:
            positions.append(int(position))
            if int(position) == 1:
                downbeats.append(float(row["time"]))
    meter = max(positions, default=0)
    return {
        "beats": [float(row["time"]) for row in data],
        "downbeats": downbeats,
        "meter": meter if meter > 1 else None,
    }


def _chords(data: list[Observation]) -> list[list[Any]]:
    return [[float(row["time"]), float(row["time"]) + float(row["duration"]), row["value"]] for row in data]


_NAMESPACES: dict[str, tuple[str, Callable[[list[Observation]], Any]]] = {
    "key": ("key", _first),
    "tempo": ("tempo", _tempo),
    "beat": ("beat", _beats),
    "chord": ("chord", _chords),
    "tag_gtzan": ("genre", _first),
    "tag_fma_genre": ("genre", _first),
    "tag": ("tags", _values),
}
