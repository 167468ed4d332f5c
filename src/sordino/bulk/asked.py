"""What shall answer: plain words that travel to other processes and machines, and are opened there."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from sordino.adapters import locate
from sordino.bulk import elsewhere
from sordino.bulk.sounds import Named
from sordino.contracts import Task
from sordino.files import one_line
from sordino.inference import Predictor
from sordino.results import FileAnswer
from sordino.song.card import SongCard


@dataclass
class Asked:
    """Adapters, or the song card where there are none.

    Attributes:
        adapters: folders, names or `hf:user/name`, each perhaps with a name of its own before it: `mine=PATH`.
        device: see `Predictor`.
        precision: see `Predictor`.
        batch_size: see `Predictor`.
        n_threads: of PyTorch, None for the usual number.
    """

    adapters: Sequence[str] = ()
    device: str | None = None
    precision: str = "auto"
    batch_size: int = 8
    n_threads: int | None = None

    @cached_property
    def opened(self) -> Predictor | SongCard:
        """The adapters, loaded."""
        if self.n_threads is not None:
            import torch

            torch.set_num_threads(self.n_threads)
        options = {"device": self.device, "precision": self.precision, "batch_size": self.batch_size}
        if not self.adapters:
            return SongCard(**options)
        named = [_named(text) for text in self.adapters]
        return Predictor([folder for _, folder in named], [name for name, _ in named], **options)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "opened"}

    @property
    def tasks(self) -> dict[str, Task]:
        """All tasks by the names of the answers."""
        return self.opened.tasks

    def answers(self, sounds: Iterable[Named]) -> Iterator[FileAnswer]:
        """Answer recordings in their order, fetched where they are elsewhere."""
        waiting: list[Named] = []

        def paths() -> Iterator[str]:
            for sound in sounds:
                waiting.append(sound)
                yield here.enter(sound.path)

        with _fetched() as here:
            for answer in self.opened.files(paths()):
                sound = waiting.pop(0)
                here.leave(answer.path)
                if answer.error is not None:
                    reason = here.reasons.pop(answer.path, None)
                    answer.error = (
                        f"{sound.path}: {reason}" if reason else answer.error.replace(answer.path, sound.path)
                    )
                answer.path, answer.name = sound.path, sound.name
                yield answer


def _named(text: str) -> tuple[str | None, Path]:
    """The name and the folder of `NAME=ADAPTER`."""
    name, equals, adapter = text.partition("=")
    return (name, locate(adapter)) if equals and not Path(text).exists() else (None, locate(text))


class _Fetched:
    """Recordings that were brought here, each in a file until it is answered.

    Attributes:
        reasons: by file, why it could not be had.
    """

    def __init__(self, folder: Path):
        self.folder, self._n = folder, 0
        self.reasons: dict[str, str] = {}

    def enter(self, path: str) -> str:
        """Where a recording lies here; one that cannot be had is a file that is not there."""
        if not elsewhere.is_elsewhere(path):
            return path
        self._n += 1
        here = self.folder / f"{self._n}{PurePosixPath(path).suffix}"
        try:
            with elsewhere.opened(path, "rb") as there, here.open("wb") as file:
                shutil.copyfileobj(there, file)
        except Exception as error:  # of whatever library reads the bucket
            here.unlink(missing_ok=True)
            self.reasons[str(here)] = f"cannot be fetched ({type(error).__name__}: {one_line(error, 160)})"
        return str(here)

    def leave(self, path: str) -> None:
        """Remove a file that was brought here."""
        if Path(path).parent == self.folder:
            Path(path).unlink(missing_ok=True)


@contextmanager
def _fetched() -> Iterator[_Fetched]:
    with tempfile.TemporaryDirectory(prefix="sordino-") as folder:
        yield _Fetched(Path(folder))
