"""Many machines: the recordings as a Ray Data set, answered by actors that write parts of parquet.

A part is named by its recordings, so one that is computed again (its worker was killed) replaces itself. The same
command goes on where it stopped: recordings with an answer are not asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

from sordino.bulk.asked import Asked
from sordino.bulk.kept import Parts
from sordino.bulk.sounds import Named
from sordino.cluster import connect

CHUNK = 32  # recordings in a part


class Answerer:
    """An actor: the adapters are loaded once, and chunks come one after the other.

    Args:
        asked: what answers.
        place: the folder of parts, which all machines can write to.
    """

    def __init__(self, asked: Asked, place: str):
        self._asked = replace(asked, n_threads=1)
        self._parts = Parts(place, self._asked.tasks)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Answer a chunk, keep it, and tell how much it was."""
        sounds = [Named(str(path), str(name)) for path, name in zip(batch["path"], batch["name"], strict=True)]
        answers = list(self._asked.answers(sounds))
        self._parts.write(answers)
        return {
            "path": [answer.path for answer in answers],
            "duration_s": [answer.duration_s for answer in answers],
            "error": [answer.error or "" for answer in answers],
        }


def answer_on_ray(
    asked: Asked,
    sounds: Sequence[Named],
    place: str,
    address: str,
    workers: int,
    tell: Callable[[str, float, str], None],
) -> None:
    """Answer recordings on a cluster.

    Args:
        asked: what answers.
        sounds: the recordings, which all machines can read.
        place: a folder or bucket of parts.
        address: of the cluster; `local` for one on this machine.
        workers: actors, each on one core.
        tell: called with path, length in seconds and error (or nothing) of each recording.

    Raises:
        ImportError: Ray is not installed.
    """
    ray = connect(address)
    import_module("ray.data")
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    rows = ray.data.from_items([sound._asdict() for sound in sounds], override_num_blocks=-(-len(sounds) // CHUNK))
    answered = rows.map_batches(Answerer, batch_size=CHUNK, concurrency=workers, num_cpus=1,
                                fn_constructor_args=(asked, place))  # fmt: skip
    for row in answered.iter_rows():
        tell(row["path"], row["duration_s"], row["error"])
