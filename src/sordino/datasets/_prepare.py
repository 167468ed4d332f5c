"""Look through a dataset before anything is trained on it: sound, labels, splits, repetitions; and write a
manifest.

Conventions: the manifest is JSON Lines, one usable track per line, a table that can be opened as one's own
data. `_scan` in it is what reading the file found: a second look reads only files that have changed. It lies
beside the data and is replaced as a whole; it is never written through a symbolic link, nor over what is no manifest.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sordino import contracts
from sordino.contracts import Dataset, Track, Unreadable
from sordino.contracts.cells import words
from sordino.datasets._scan import Scan, same_recordings, scan
from sordino.datasets._splits import group_of
from sordino.datasets._tables import MANIFEST
from sordino.files import write_text

N_EXAMPLES = 3
SPLITS = ("train", "validation", "test")


@dataclass
class Prepared:
    """What a look through a dataset found.

    Attributes:
        dataset: its name.
        splits: where the splits come from.
        split_here: they were made, none was given.
        tracks: the usable tracks.
        scans: by path, what reading found.
        absent: ids of annotated tracks whose sound is not here.
        broken: by id, why a track cannot be used.
        bad_labels: one line for each row and label that is not understood; left out.
        doubtful: one line for each label that is one but hardly meant so.
        unlabelled: by label name, the ids of usable tracks without it.
        examples: by label name, a few texts and how they were understood, where that is not the same.
        notes: what else a reader should know.
        labels: by label name, by split, how often each value occurs.
        repeated: `(id, id, how, torn)`: two tracks with one sound, and whether they stand in two splits.
        manifest: the file that was written, or None.
    """

    dataset: str
    splits: str
    tracks: list[Track]
    scans: dict[str, Scan]
    absent: tuple[str, ...] = ()
    broken: dict[str, str] = field(default_factory=dict)
    bad_labels: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)
    unlabelled: dict[str, list[str]] = field(default_factory=dict)
    examples: dict[str, dict[str, str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    labels: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    repeated: list[tuple[str, str, str, bool]] = field(default_factory=list)
    manifest: Path | None = None
    split_here: bool = False

    @property
    def torn(self) -> list[tuple[str, str, str, bool]]:
        """The repetitions that stand in two splits."""
        return [pair for pair in self.repeated if pair[3]]

    @property
    def flawless(self) -> bool:
        """Nothing is broken, mislabelled, or in two splits."""
        return not (self.broken or self.bad_labels or self.torn)

    def check_apart(self, by_group: bool = False) -> None:
        """Refuse one recording in two splits, of which one is learned from and another tested on.

        Args:
            by_group: in two groups, each of which may come into another split.

        Raises:
            ValueError: names the first one.
        """
        group = {track.id: group_of(track) for track in self.tracks}
        apart = [pair for pair in self.repeated if group[pair[0]] != group[pair[1]]] if by_group else self.torn
        if apart:
            (first, second, how, _), what = apart[0], "groups" if by_group else "splits"
            raise ValueError(f"{first} and {second} are one recording ({how}) in two {what}; give both one group")

    def lengths_s(self) -> np.ndarray:
        """Lengths of the usable tracks."""
        return np.array([track.length_s(self.scans[str(track.path)].duration_s) for track in self.tracks])


def prepare(
    dataset: Dataset,
    tasks: Sequence[contracts.Task] = (),
    n_workers: int = 1,
    manifest: Path | None = None,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> Prepared:
    """Read everything once and write the manifest.

    Args:
        dataset: what to look through.
        tasks: whose labels to check; none: labels are counted as they stand.
        n_workers: processes that decode.
        manifest: where to write; None: beside the data.
        advance: called with files done and files in all.

    Raises:
        FileNotFoundError: the data are not here.
        OSError: the manifest cannot be written.
    """
    tracks = dataset.tracks()
    path = manifest or manifest_path(dataset)
    scans = scan((track.path for track in tracks), read_scans(path), n_workers, advance)
    broken = {track.id: reason for track in tracks if (reason := _reason(track, scans[str(track.path)]))}
    usable = [track for track in tracks if track.id not in broken]
    found = Prepared(dataset.name, dataset.splits, usable, scans, dataset.absent, broken, notes=dataset.notes,
                     split_here=dataset.split_here)  # fmt: skip
    found.bad_labels += dataset.refused
    count_labels(found, tasks, dataset.labels)
    found.repeated = _repeated(usable, same_recordings(list(scans.values())))
    if not dataset.builtin:
        write_manifest(path, usable, scans)
        found.manifest = path
    return found


def manifest_path(dataset: Dataset) -> Path:
    """Beside the data: `sordino.jsonl` (own folder), `TABLE.sordino.jsonl` or `CORPUS.sordino.jsonl`."""
    if dataset.root.is_file():
        return dataset.root.with_name(f"{dataset.root.stem}.{MANIFEST}")
    return dataset.root / (MANIFEST if dataset.name == "folder" else f"{dataset.name.replace(':', '_')}.{MANIFEST}")


def read_scans(manifest: Path) -> dict[str, Scan]:
    """What an earlier look found, by path; nothing if there is no (whole) manifest."""
    try:
        rows = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
        names = [os.path.normpath(manifest.parent / row["path"]) for row in rows]
        return {name: Scan(name, **row["_scan"]) for name, row in zip(names, rows, strict=True)}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def write_manifest(path: Path, tracks: Sequence[Track], scans: dict[str, Scan]) -> None:
    """Replace the manifest.

    Raises:
        OSError: it is a symbolic link, something else is there, or the folder cannot be written to.
    """
    if path.is_symlink():
        raise OSError(f"{path} is a symbolic link and is left alone; give another place with --out")
    if path.is_file() and not path.name.endswith(MANIFEST) and not read_scans(path):
        raise OSError(f"{path} is there and no manifest, and is left alone; give another place with --out")
    lines = []
    for track in tracks:
        relative = os.path.relpath(track.path, path.parent)
        row = {"path": relative, "id": track.id, "split": track.split, "group": track.group}
        stretch = {"start_s": track.start_s, "duration_s": track.duration_s}
        labels = {name: label for name, label in track.labels.items() if not isinstance(label, Unreadable)}
        about = {"_source": track.info.get("source", ""), "_scan": scans[str(track.path)].to_json()}
        line = {**row, **stretch, **labels, **about}
        lines.append(json.dumps(line, ensure_ascii=False, default=str))
    write_text(path, "\n".join(lines) + "\n")


def count_labels(found: Prepared, tasks: Sequence[contracts.Task], labels: Sequence[str]) -> None:
    """Note the values of labels by split, which tracks have none, and what is wrong or doubtful.

    Args:
        found: with its usable tracks.
        tasks: read the labels; none: every label of `labels` as it stands.
        labels: the dataset's labels.
    """
    for name, read, told, doubt in [(task.label, task.read, task.words, task.doubt) for task in tasks] or [
        (name, partial(_raw, name), words, lambda label: "") for name in labels
    ]:
        counts = found.labels[name] = {split: Counter() for split in SPLITS}
        for track in found.tracks:
            try:
                label = read(track)
            except ValueError as error:
                found.bad_labels.append(str(error))
                continue
            if label is None:
                found.unlabelled.setdefault(name, []).append(track.id)
                continue
            counts[track.split].update(told(label))
            _note_example(found.examples.setdefault(name, {}), track.labels[name], told(label))
            if reason := doubt(label):
                found.doubtful.append(f"{track.info.get('source', track.id)}: {reason}")


def _note_example(examples: dict[str, str], raw: Any, understood: list[str]) -> None:
    """Keep the first texts that are understood as something else; several labels are shown with a plus."""
    text = " + ".join(understood) or "nothing"
    if isinstance(raw, str) and raw.strip() != text and len(examples) < N_EXAMPLES:
        examples.setdefault(raw, text)


def _raw(name: str, track: Track) -> Any:
    label = track.labels.get(name)
    if isinstance(label, Unreadable):
        raise ValueError(label.reason)
    return label


def _reason(track: Track, found: Scan) -> str:
    """Why a track cannot be used; empty: it can."""
    if found.reason:
        return f"{track.path}: {found.reason}"
    if track.length_s(found.duration_s) <= 0:
        return f"{track.path}: begins at {track.start_s:g} s but the file is {found.duration_s:.2f} s long"
    return ""


def _repeated(tracks: Sequence[Track], pairs: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str, bool]]:
    """Pairs of files as pairs of tracks (a file's first track stands for all of it)."""
    splits: dict[str, set[str]] = {}
    first: dict[str, str] = {}
    for track in tracks:
        splits.setdefault(str(track.path), set()).add(track.split)
        first.setdefault(str(track.path), track.id)
    return [(first[one], first[other], how, len(splits[one] | splits[other]) > 1)
            for one, other, how in pairs if one in first and other in first]  # fmt: skip
