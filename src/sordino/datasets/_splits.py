"""Splits when a corpus brings none: by group, stratified by label, the same on every machine.

Conventions: 80 % train, 10 % validation, 10 % test. Groups are taken in the order of a hash of seed and name,
label by label; each goes where most is missing. So a group is never torn and every split sees every label, as
far as can be.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

from sordino.contracts import Track

SplitName = Literal["train", "validation", "test"]
FRACTIONS: dict[SplitName, float] = {"train": 0.8, "test": 0.1, "validation": 0.1}
ALIASES: dict[str, SplitName] = {
    **dict.fromkeys(("train", "training", "tr"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}  # fmt: skip


def group_of(track: Track) -> str:
    """What must not be torn: the track's group, or the track itself."""
    return track.group or track.id


def split_tracks(
    tracks: Sequence[Track],
    label: str | None = None,
    seed: int = 0,
    fractions: Mapping[SplitName, float] = FRACTIONS,
) -> list[Track]:
    """The same tracks with splits given to them.

    Args:
        tracks: in any order; the answer does not depend on it.
        label: the name of the label to stratify by; None: not at all.
        seed: another seed, another split.
        fractions: the share of each split.
    """
    groups: dict[str, list[Track]] = defaultdict(list)
    for track in tracks:
        groups[group_of(track)].append(track)
    strata: dict[str, list[str]] = defaultdict(list)
    for name, members in groups.items():
        strata[_stratum(members, label)].append(name)
    chosen: dict[str, SplitName] = {}
    missing_overall = dict.fromkeys(fractions, 0.0)
    for stratum in sorted(strata):
        missing = dict.fromkeys(fractions, 0.0)
        for name in sorted(strata[stratum], key=lambda name: (_hash(seed, name), name)):
            size = len(groups[name])
            for split, fraction in fractions.items():
                missing[split] += size * fraction
                missing_overall[split] += size * fraction
            best = max(fractions, key=lambda split: round(missing[split] + missing_overall[split], 6))
            missing[best] -= size
            missing_overall[best] -= size
            chosen[name] = best
    return [track.with_split(chosen[group_of(track)]) for track in tracks]


def stratify_by(tracks: Sequence[Track], labels: Sequence[str]) -> str | None:
    """The first label that has few enough values to stratify by, or None."""
    for label in labels:
        values = [_text(track.labels[label]) for track in tracks if track.labels.get(label) is not None]
        if values and len(set(values)) * 3 <= len(values):
            return label
    return None


def _stratum(members: Sequence[Track], label: str | None) -> str:
    """The commonest label of a group (the first in the alphabet among equals)."""
    counts = Counter(_text(track.labels.get(label)) for track in members) if label else Counter([""])
    return min(counts, key=lambda value: (-counts[value], value))


def _text(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def _hash(seed: int, name: str) -> str:
    return hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=8).hexdigest()
