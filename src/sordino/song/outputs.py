"""What `sordino predict` writes beside its answers: JAMS, Audacity's labels, sound, pictures, tags, a library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sordino import exports
from sordino.audio import FORMATS
from sordino.contracts import Task
from sordino.datasets import file_tags
from sordino.results import FileAnswer, write_jams
from sordino.song.plot import plot
from sordino.song.sonify import sonify

PICTURES = (".pdf", ".png", ".svg")


@dataclass
class Outputs:
    """Where what is written; None: not.

    Attributes:
        tasks: by name, as in the answers.
        jams: a folder.
        audacity: a folder.
        sonify: a sound file for the only song, or a folder.
        plot: a picture for the only song, or a folder.
        rekordbox: a file.
        write_tags: into the songs themselves.
    """

    tasks: Mapping[str, Task]
    jams: str | None = None
    audacity: str | None = None
    sonify: str | None = None
    plot: str | None = None
    rekordbox: str | None = None
    write_tags: bool = False
    answered: list[FileAnswer] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.rekordbox:
            exports.check_library(self.rekordbox)  # not after hours

    def write(self, answer: FileAnswer) -> None:
        """Write everything about one song.

        Raises:
            OSError: it cannot be written.
            ValueError: there is nothing to be heard, or the format is unknown.
        """
        if self.jams:
            write_jams(answer, self.tasks, self.jams, answer.stem)
        if self.audacity:
            exports.write_audacity(answer, self.tasks, self.audacity, answer.stem)
        for given, suffixes, usual, make in self._made():
            if given:
                make(answer, self.tasks, _place(given, suffixes, answer.stem + usual))
        if self.write_tags:
            file_tags.write_tags(answer.path, exports.tag_values(answer, self.tasks))
        if self.rekordbox:
            self.answered.append(answer)

    def finish(self) -> None:
        """Write what is about all songs."""
        if self.rekordbox:
            exports.write_rekordbox(self.answered, self.tasks, self.rekordbox)

    def there(self, stem: str) -> bool:
        """Whether all files about a song are there; never where there are none of its own."""
        own = [Path(self.jams) / f"{stem}.jams"] if self.jams else []
        if self.audacity:
            own += [exports.audacity_file(stem, name, self.audacity) for name in self.tasks]
        own += [_place(given, suffixes, stem + usual) for given, suffixes, usual, _ in self._made() if given]
        return bool(own) and all(path.is_file() for path in own)

    def _made(self) -> list[tuple[str | None, tuple[str, ...], str, Callable[..., None]]]:
        return [(self.sonify, FORMATS, ".wav", sonify), (self.plot, PICTURES, ".png", plot)]


def _place(given: str, suffixes: tuple[str, ...], name: str) -> Path:
    """A file itself, or the file of a name in a folder."""
    return Path(given) if Path(given).suffix.lower() in suffixes else Path(given) / name
