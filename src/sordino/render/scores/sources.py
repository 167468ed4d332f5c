"""Where the compositions come from, under what terms, and which of them are one tune.

The scores are part of the corpus that the package music21 carries; music21 itself is never imported. Tunes travel under
many names, so pieces are grouped by title and by shared melody before they are split: no tune is heard on two sides.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from .abc_tunes import read_book
from .chorales import UnreadableChorale, read_chorale
from .pieces import Piece
from .songs import SONGS, Song


@dataclass(frozen=True)
class Collection:
    """One printed collection, its encoding and terms."""

    title: str
    folder: str
    pattern: str
    licence: str
    encoding: str


COLLECTIONS = {
    "oneill": Collection(
        title="O'Neill's Music of Ireland (Francis O'Neill, Chicago 1903)",
        folder="oneills1850",
        pattern="*.abc",
        licence="public domain (traditional, published 1903)",
        encoding="ABC by volunteers of the O'Neill's project, credited tune by tune in the music21 corpus",
    ),
    "aird": Collection(
        title="A Selection of Scotch, English, Irish and Foreign Airs (James Aird, Glasgow 1778 to 1801)",
        folder="airdsAirs",
        pattern="*.abc",
        licence="public domain (traditional, published 1778 to 1801)",
        encoding="ABC transcriptions by Jack Campin, in the music21 corpus",
    ),
    "bach": Collection(
        title="Chorales by Johann Sebastian Bach (1685 to 1750)",
        folder="bach",
        pattern="bwv*.mxl",
        licence="public domain (composer died in 1750)",
        encoding="MusicXML from the collection of Margaret Greentree, used by permission in the music21 corpus",
    ),
}


def licence_of(piece: Piece | Song | None) -> str:
    """Return the terms of a composition; None is music made up here."""
    if piece is None:
        return "made up by sordino, as the package (Apache-2.0)"
    return SONGS[piece.source].licence if isinstance(piece, Song) else COLLECTIONS[piece.source].licence


def corpus_folder():
    """Return the folder of music21's corpus.

    Raises:
        FileNotFoundError: music21 is not installed; says how to install it.
    """
    spec = importlib.util.find_spec("music21")
    if spec is None or not spec.origin:
        raise FileNotFoundError(
            "the scores are not on this machine: they come with the package music21; pip install 'sordino[render]'"
        )
    return Path(spec.origin).parent / "corpus"


@cache
def load_pieces(folder=None):
    """Return every readable piece, in an order that is the same on every machine.

    Args:
        folder: a corpus laid out like music21's; None for the installed one.
    """
    folder = Path(folder) if folder else corpus_folder()
    pieces: dict[str, Piece] = {}
    for name, collection in COLLECTIONS.items():
        for path in sorted((folder / collection.folder).glob(collection.pattern)):
            for piece in _read(path, name):
                pieces.setdefault(piece.id, piece)
    return tuple(pieces.values())


def _read(path, source):
    if path.suffix == ".abc":
        return read_book(path.read_text(encoding="latin-1"), source)
    try:
        return [read_chorale(path, source)]
    except UnreadableChorale:
        return []


def group_pieces(pieces, n_intervals=14):
    """Return the group of each piece: the same for pieces of one title or with a stretch of melody in common.

    Args:
        pieces: any number of pieces.
        n_intervals: length of the stretch, in melodic intervals; repeated notes do not count.

    Returns:
        A dict from piece id to group name (the smallest id in the group).
    """
    parent = {piece.id: piece.id for piece in pieces}

    def root(name):
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    members = defaultdict(list)
    for piece in pieces:
        if piece.n_voices == 1:
            members["title", re.sub(r"\(.*|[^a-z]|^the ", "", piece.title.lower())].append(piece.id)
        for stretch in _stretches(piece, n_intervals):
            members["melody", stretch].append(piece.id)
    for ids in members.values():
        for other in ids[1:]:
            first, second = sorted((root(ids[0]), root(other)))
            parent[second] = first
    return {piece.id: root(piece.id) for piece in pieces}


def _stretches(piece, n_intervals):
    pitches = [note.pitch for note in piece.notes if note.voice == 0]
    steps = [b - a for a, b in pairwise(pitches) if a != b]
    return {
        tuple(steps[i : i + n_intervals])
        for i in range(len(steps) - n_intervals + 1)
        if len(set(steps[i : i + n_intervals])) > 4
    }


# Shares of the groups, by a hash that never changes. The demo set has train, validation and demo test; larger
# corpora leave the demo's test tunes alone and halve its validation tunes.
SHARES = {
    "demo test": (0.0, 0.25),
    "held a": (0.25, 0.32),
    "held b": (0.32, 0.39),
    "validation": (0.25, 0.39),
    "train": (0.39, 1.0),
}


def in_share(group, name):
    """Tell whether a group of pieces belongs to a share."""
    low, high = SHARES[name]
    return low <= int.from_bytes(hashlib.sha256(group.encode()).digest()[:4], "big") / 2**32 < high
