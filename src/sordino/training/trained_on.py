"""Which tracks an adapter has learned from, written into it as short hashes, and found again among those scored.

A hash of a track's name and one of its sound (the file's bytes, and where in it the track begins). They tell nothing
but whether a track that somebody has at hand was among them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from sordino.contracts import Track
from sordino.training.recordings import Recordings

DIGITS = 16  # hexadecimal, of one hash


def trained_on(recordings: Recordings) -> dict[str, str]:
    """What `adapter.json` keeps of the training tracks: for each the hash of its name, and that of its sound."""
    pairs = list(zip(recordings.tracks, recordings.contents, strict=True))
    return {"names": "".join(_hash(track.id) for track, _ in pairs),
            "sounds": "".join(_sound(track, content) for track, content in pairs)}  # fmt: skip


def known_again(card: Mapping[str, Any], recordings: Recordings, dataset: str) -> dict[str, str] | None:
    """The tracks that an adapter was trained on, and how they were known: `sound`, or `name` in the same dataset.

    Args:
        card: of the adapter.
        recordings: to look among.
        dataset: where they come from; names count if the adapter was trained on this one.

    Returns:
        By id; None where the adapter does not tell.
    """
    told = card.get("trained_on")
    if not isinstance(told, Mapping):
        return None
    names, sounds = (_hashes(told.get(kind)) for kind in ("names", "sounds"))
    found = {}
    for track, content in zip(recordings.tracks, recordings.contents, strict=True):
        if _sound(track, content) in sounds:
            found[track.id] = "sound"
        elif card.get("data") == dataset and _hash(track.id) in names:
            found[track.id] = "name"
    return found


def overlap_note(known: Mapping[str, str] | None, ids: list[str]) -> str:
    """What a reader must know of the scored tracks; empty where the adapter has seen none of them."""
    if known is None:
        return "the adapter does not tell which tracks it was trained on: some of these may be among them"
    seen = [known[name] for name in ids if name in known]
    by_name = f", {seen.count('name')} of them known by their names alone" if "name" in seen else ""
    return f"{len(seen)} of {len(ids)} scored tracks were trained on{by_name}: no measure for new music" if seen else ""


def _sound(track: Track, content: str) -> str:
    return _hash(f"{content}@{track.start_s:g}" if track.start_s else content)


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=DIGITS // 2).hexdigest()


def _hashes(joined: Any) -> set[str]:
    text = joined if isinstance(joined, str) else ""
    return {text[at : at + DIGITS] for at in range(0, len(text), DIGITS)}
