"""The labelled recordings of one split: which there are, how long they are, what their files hold."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from sordino.audio import AudioError
from sordino.contracts import Label, Task, Track
from sordino.datasets import group_of
from sordino.known_files import Known

N_SHOWN = 24


class Recordings:
    """Tracks with at least one label, measured.

    Args:
        tracks: the tracks of a split; those without a label that a task understands are left out.
        tasks: what is predicted.
        known: what reading their files found, by path; tracks whose file cannot be read are left out and listed.
        sample_rate_hz: lengths are counted at this rate.

    Attributes:
        tracks: those that are used.
        labels: parsed, by track and task.
        lengths_samples: by track.
        contents: by track, a hash of the file's bytes.
        broken: one line for each track that was left out because of its file.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        tasks: Sequence[Task],
        known: Mapping[str, Known | AudioError],
        sample_rate_hz: int,
    ):
        self.tasks = {task.name: task for task in tasks}
        self.sample_rate_hz = sample_rate_hz
        self.tracks: list[Track] = []
        self.labels: list[dict[str, Label]] = []
        self.lengths_samples: list[int] = []
        self.contents: list[str] = []
        self.broken: list[str] = []
        for track in tracks:
            labels = {task.name: parse_label(task, track) for task in tasks}
            if all(label is None for label in labels.values()):
                continue
            found = known[str(track.path)]
            if isinstance(found, AudioError):
                self.broken.append(str(found))
                continue
            if (duration_s := track.length_s(found.duration_s)) <= 0:
                self.broken.append(f"{track.path}: nothing left behind {track.start_s:g} s")
                continue
            self.tracks.append(track)
            self.labels.append(labels)
            self.lengths_samples.append(max(1, round(duration_s * sample_rate_hz)))
            self.contents.append(found.content)

    def __len__(self) -> int:
        """How many tracks are used."""
        return len(self.tracks)

    def duration_s(self, number: int) -> float:
        """Length of a track in seconds."""
        return self.lengths_samples[number] / self.sample_rate_hz

    def labelled(self, name: str) -> list[int]:
        """Numbers of the tracks that have a label for a task."""
        return [number for number, labels in enumerate(self.labels) if labels[name] is not None]


def tell_left_out(left_out: Sequence[str]) -> None:
    """Say on stderr what was left out, the first screen of it."""
    for line in left_out[:N_SHOWN]:
        print(f"left out: {line}", file=sys.stderr)
    if len(left_out) > N_SHOWN:
        print(f"left out: ... and {len(left_out) - N_SHOWN} more", file=sys.stderr)


def parse_label(task: Task, track: Track) -> Label | None:
    """A track's label for a task, parsed; None without one that is understood and counts (`Task.admits`)."""
    try:
        label = task.read(track)
    except ValueError:
        return None
    return label if label is not None and task.admits(label) else None


def bad_labels(tasks: Sequence[Task], tracks: Sequence[Track]) -> list[str]:
    """One line for each label that its task does not understand: which file, which line, and what would be."""
    found = []
    for task in tasks:
        for track in tracks:
            try:
                task.read(track)
            except ValueError as error:
                found.append(str(error))
    return found


def check_splits(tracks: Sequence[Track]) -> None:
    """Refuse a group (a piece, an artist, an album) or a file that stands in two splits.

    Raises:
        ValueError: names the first one.
    """
    seen: dict[tuple[str, str], Track] = {}
    for track in tracks:
        for key in (("group", group_of(track)), ("file", f"{track.path} at {track.start_s:g} s")):
            first = seen.setdefault(key, track)
            if first.split != track.split:
                raise ValueError(
                    f"{key[0]} {key[1]} stands in the splits {first.split} ({first.id}) and {track.split} "
                    f"({track.id}); "
                    "what is learned from must not be tested on"
                )
