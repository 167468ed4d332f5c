"""JAMS files: the labels of one recording, as JSON.

Paper: Humphrey et al., JAMS: A JSON Annotated Music Specification, 2014 https://jams.readthedocs.io
Differs: read as JSON, without the `jams` package; the first annotation of a namespace counts. The recording
is the sound file of the same name beside the JAMS file or in a folder `audio` beside it; JAMS itself names
none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sordino.contracts import Unreadable

Observation = Mapping[str, Any]


def read_jams(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Labels and metadata of a JAMS file.

    Returns:
        Labels by name (`key`, `tempo`, `beat`, `chord`, `tags`, `genre`), `Unreadable` where an annotation is broken,
        and `{artist, title, release, duration}` with `places`: of which annotation (and row) each label is.

    Raises:
        ValueError: not JAMS.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        annotations = list(content["annotations"])
        metadata = dict(content.get("file_metadata") or {})
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path}: not a JAMS file ({type(error).__name__}: {str(error)[:100]})") from error
    labels: dict[str, Any] = {}
    places: dict[str, str] = {}
    for number, annotation in enumerate(annotations, 1):
        namespace = str(annotation.get("namespace", "")) if isinstance(annotation, Mapping) else ""
        name, of_row, of_all = next((kind for start, kind in _NAMESPACES.items() if namespace.startswith(start)), _NONE)
        if name and name not in labels:
            place = f"annotation {number} ({namespace[:40]})"
            try:
                rows = _observations(annotation.get("data") or [], of_row)
                if rows:
                    labels[name] = of_all(rows)
                    row = f" row {_longest(rows) + 1}" if of_all is _first else ""
                    places[name] = place + row
            except (ValueError, TypeError, ArithmeticError) as error:
                labels[name] = Unreadable(f"{path} {place} {str(error)[:100]}")
    known = {key: metadata[key] for key in ("artist", "title", "release", "duration") if metadata.get(key)}
    return labels, {**known, "places": places}


def _observations(data: Any, of_row: Callable[[Observation], Any]) -> list[Any]:
    """Every row, read; older files hold columns instead of rows.

    Raises:
        ValueError: a row is broken; says which.
    """
    rows: list[Any] = []
    try:
        if isinstance(data, Mapping):
            data = [dict(zip(data, values, strict=True)) for values in zip(*data.values(), strict=True)]
        for row in data:
            rows.append(of_row(row))
        return rows
    except KeyError as error:
        raise ValueError(f"row {len(rows) + 1}: {error} is missing") from None
    except (TypeError, ValueError, AttributeError, ArithmeticError, LookupError) as error:
        raise ValueError(f"row {len(rows) + 1}: {error}") from None


def _value(row: Observation) -> tuple[Any, float, float]:
    """Value, duration and confidence."""
    return row["value"], float(row.get("duration") or 0.0), float(row.get("confidence") or 0.0)


def _bpm(row: Observation) -> tuple[float, float, float]:
    value, duration_s, confidence = _value(row)
    return float(value), duration_s, confidence


def _longest(rows: list[Any]) -> int:
    """Which row lasts longest."""
    return max(range(len(rows)), key=lambda number: rows[number][1])


def _first(rows: list[Any]) -> Any:
    """The value that lasts longest."""
    return rows[_longest(rows)][0]


def _tempo(rows: list[Any]) -> Any:
    """The tempo of the greatest confidence."""
    return max(rows, key=lambda row: row[2])[0]


def _values(rows: list[Any]) -> list[str]:
    return sorted({str(value) for value, _, _ in rows})


def _beat(row: Observation) -> tuple[float, int]:
    """Time and place in the bar; a value is that place, or a dict with it (`position`), or nothing."""
    value = row.get("value")
    place = value.get("position") if isinstance(value, Mapping) else value
    number = float("nan" if place is None or place == "" else place)
    return float(row["time"]), int(number) if math.isfinite(number) else 0


def _beats(rows: list[tuple[float, int]]) -> dict[str, Any]:
    meter = max(place for _, place in rows)
    return {
        "beats": [time_s for time_s, _ in rows],
        "downbeats": [time_s for time_s, place in rows if place == 1],
        "meter": meter if meter > 1 else None,
    }


def _chord(row: Observation) -> list[Any]:
    return [float(row["time"]), float(row["time"]) + float(row["duration"]), row["value"]]


_NONE: tuple[str, Callable[[Observation], Any], Callable[[list[Any]], Any]] = ("", _value, list)
_NAMESPACES = {
    "key": ("key", _value, _first),
    "tempo": ("tempo", _bpm, _tempo),
    "beat": ("beat", _beat, _beats),
    "chord": ("chord", _chord, list),
    "tag_gtzan": ("genre", _value, _first),
    "tag_fma_genre": ("genre", _value, _first),
    "tag": ("tags", _value, _values),
}
