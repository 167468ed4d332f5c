"""Tempo, key, genre and artist in sound files themselves (ID3, Vorbis comments, MP4): read, and written on request.

Conventions: through mutagen, an optional library, by its simple names where a format has them, by ID3's frames in wav
and aiff.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from sordino.contracts import Track
from sordino.contracts.cells import is_empty
from sordino.datasets._own_tables import Found

TAGS = {"tempo": ("bpm", "TBPM", "tempo"), "key": ("initialkey", "TKEY", "key"), "genre": ("genre", "TCON")}
ARTIST = ("artist", "TPE1")
NEEDED = "the tags of sound files need `pip install 'sordino[tags]'`"


def read_tags(tracks: Sequence[Track]) -> Found:
    """Tracks without other labels, with those of their tags; a note says how many have which."""
    try:
        _mutagen()
    except ValueError:
        return Found(list(tracks), notes=[f"no labels: neither folders per class nor a table; {NEEDED}"])
    found, counts = Found(), dict.fromkeys(TAGS, 0)
    for track in tracks:
        file = _opened(track.path)
        tags = {} if file is None or file.tags is None else file.tags
        labels = {name: value for name, names in TAGS.items() if (value := _first(tags, names)) is not None}
        for name in labels:
            counts[name] += 1
        info = {**track.info, "source": track.path.name}
        found.tracks.append(replace(track, labels=labels, group=_first(tags, ARTIST) or "", info=info))
    found.notes.append(f"labels from the files' tags: {', '.join(f'{name} {n}' for name, n in counts.items())}")
    return found


def write_tags(path: str | Path, values: Mapping[str, str]) -> None:
    """Write tags into a file, in place; all others stay.

    Args:
        path: the sound file.
        values: by label, of those in `TAGS`.

    Raises:
        ValueError: mutagen is missing, or the file cannot hold them.
    """
    file = _opened(path)
    if file is None:
        raise ValueError(f"{path}: a file of this kind holds no tags")
    if file.tags is None:
        file.add_tags()
    tags: Any = file.tags
    for name, value in values.items():
        simple, frame, _ = (*TAGS[name], "")[:3]
        if hasattr(tags, "add"):  # wav and aiff: frames of ID3
            tags.add(getattr(import_module("mutagen.id3"), frame)(encoding=3, text=[value]))
        else:
            file[simple] = str(round(float(value))) if simple == "bpm" and "MP4" in type(file).__name__ else value
    file.save()


def _mutagen() -> Any:
    """mutagen, which then knows the key of a track in ID3 and MP4 by a simple name.

    Raises:
        ValueError: it is not installed.
    """
    try:
        import_module("mutagen.easyid3").EasyID3.RegisterTextKey("initialkey", "TKEY")
        import_module("mutagen.easymp4").EasyMP4Tags.RegisterFreeformKey("initialkey", "initialkey")
    except ImportError as error:
        raise ValueError(NEEDED) from error
    return import_module("mutagen")


def _opened(path: str | Path) -> Any:
    """The file with its tags; None where mutagen does not know its kind, or it is damaged."""
    mutagen = _mutagen()
    try:
        return mutagen.File(path, easy=True)
    except (mutagen.MutagenError, OSError):
        return None


def _first(tags: Any, names: Sequence[str]) -> str | None:
    """The first text that stands under one of the names."""
    for name in names:
        if name in tags:
            value = getattr(tags[name], "text", tags[name])
            texts = [str(text) for text in value] if isinstance(value, list) else [str(value)]
            if texts and not is_empty(texts[0]):
                return texts[0]
    return None
