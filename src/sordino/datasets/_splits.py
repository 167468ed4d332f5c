"""Splits when a corpus brings none: of every group by itself, the same on every machine.

Conventions: 80 % train, 10 % validation, 10 % test. Where a group goes depends on its name and the seed alone, so what
is added to the data later never moves what was there: nothing that was learned from is ever tested on. The shares hold
on average; of few groups a split may get none.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Literal

from sordino.contracts import Track

SplitName = Literal["train", "validation", "test"]
FRACTIONS: dict[SplitName, float] = {"train": 0.8, "test": 0.1, "validation": 0.1}
QUARTER: dict[SplitName, float] = {"train": 0.6, "test": 0.25, "validation": 0.15}  # to compare by
ALIASES: dict[str, SplitName] = {
    **dict.fromkeys(("train", "training", "tr"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}  # fmt: skip
MOST_SEEDS = 100  # tried to fill all splits


def group_of(track: Track) -> str:
    """What must not be torn: the track's group, or the track itself."""
    return track.group or track.id


def split_tracks(
    tracks: Sequence[Track], seed: int = 0, fractions: Mapping[SplitName, float] = FRACTIONS
) -> list[Track]:
    """The same tracks with splits given to them.

    Args:
        tracks: in any order.
        seed: another seed, another split.
        fractions: the share of each split.
    """
    return [track.with_split(split_of(group_of(track), seed, fractions)) for track in tracks]


def split_of(group: str, seed: int = 0, fractions: Mapping[SplitName, float] = FRACTIONS) -> SplitName:
    """The split of a group: test below, validation above, train between, by a hash of seed and name."""
    name = unicodedata.normalize("NFC", group)
    digest = hashlib.blake2b(f"{seed}\0{name}".encode(errors="surrogateescape"), digest_size=8).digest()
    place = int.from_bytes(digest, "big") / 2**64
    if place < fractions.get("test", 0.0):
        return "test"
    return "validation" if place >= 1 - fractions.get("validation", 0.0) else "train"


def filling_seed(
    tracks: Sequence[Track], fractions: Mapping[SplitName, float] = FRACTIONS, first: int = 0
) -> int | None:
    """The first seed from `first` on that leaves no split empty; None where there is none."""
    groups = {group_of(track) for track in tracks}
    seeds = range(first, first + MOST_SEEDS) if len(groups) >= len(fractions) else range(0)
    return next((n for n in seeds if {split_of(group, n, fractions) for group in groups} == set(fractions)), None)
