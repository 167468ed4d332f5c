"""What a run is: all that can change its result, as it was read, and the folder that is named by it.

A finished run is found again only if nothing of this has changed: settings (methods with every option, so that another
default is another run), labels, splits, the bytes of the sound files, the backbone's weights, and the code that decides
content (package version and the constants `VERSION`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import sordino
from sordino.audio import AudioError
from sordino.config import Config
from sordino.contracts import Dataset, Task, Track
from sordino.known_files import Known
from sordino.petl import whole_methods
from sordino.training.examples import VERSIONS
from sordino.training.recordings import parse_label


def identity(
    config: Config,
    dataset: Dataset,
    tracks: Sequence[Track],
    tasks: Sequence[Task],
    known: Mapping[str, Known | AudioError],
    fingerprint: str,
    before: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """All that decides a run, long parts as hashes; the same on every machine.

    Args:
        config: the settings.
        dataset: where the tracks come from.
        tracks: all tracks, with splits.
        tasks: whose labels count.
        known: what reading the files of labelled tracks found.
        fingerprint: of the backbone.
        before: identities of the runs that go first (`after`).
    """
    labels, sounds = [], []
    for track in tracks:
        own = [parse_label(task, track) for task in tasks]
        if any(label is not None for label in own):
            found = known[str(track.path)]
            labels.append([track.id, track.split, *own])
            sounds.append([found.content if isinstance(found, Known) else None, track.start_s, track.duration_s])
    settings = config.deciding()
    if not before:  # as runs are named that begin with nothing
        del settings["after"], settings["after_as"]
    if not settings["under"]:
        del settings["under"]
    return {
        "settings": {**settings, "method": whole_methods(settings["method"])},
        "dataset": dataset.name,
        "labels": _hash(labels),
        "sound": _hash(sounds),
        "backbone": fingerprint,
        "code": {"sordino": sordino.__version__, **VERSIONS},
        **({"outside": outside} if (outside := config.outside()) else {}),
        **({"before": list(before)} if before else {}),
    }


def folder_name(what: Mapping[str, Any]) -> str:
    """Task, backbone and method in words, and a hash of the identity."""
    settings = what["settings"]
    words = ["+".join(spec["name"] for spec in settings["task"]), settings["backbone"]["name"]]
    words += ["+".join(spec["name"] for spec in settings["method"])]
    return "-".join([*words, _hash(what)[:10]])


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:20]
