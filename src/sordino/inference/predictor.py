"""From a sound file to answers: segments, hidden states, heads, joined and decoded; many adapters in one pass.

Files of any length are decoded in blocks and answered segment by segment, so memory does not grow with the file (but
for the answer itself). Threads decode ahead while segments are computed, each file once for all adapters. Adapters on
one backbone that want the same segments share all they can (`together.py`); segments of several files share a batch.

Conventions: the answer of a recording does not depend on the blocks it was decoded in (tested to 1e-4 in the
probabilities), nor on which other files or adapters are asked.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from sordino import audio
from sordino.adapter_file import backbone_of, load_adapter, read_card
from sordino.adapters import locate
from sordino.ahead import ahead
from sordino.answering import Named, NotANumber, answer_grid, decoded
from sordino.compute import Compute
from sordino.contracts import Backbone, Prediction, Task
from sordino.inference.cuts import Item, Said, Sound, Unreadable, Wave, cut, rates_of
from sordino.inference.passes import Line, Pass
from sordino.results import FileAnswer
from sordino.segments import Grid
from sordino.together import Together

BLOCK_S = 20.0
DECODERS = 4  # files that are read ahead side by side


class Predictor:
    """Loaded adapters, ready for files. Several threads may ask at once.

    Args:
        adapters: folders, or names, see `locate`; their tasks must differ in name, or be told apart with `names`.
        names: a name for each adapter, put before its tasks as `name/task`; None or empty for bare task names.
        device: where to compute; None for a GPU if there is one.
        precision: `auto`, `float32` or `bf16`, see `Compute`.
        batch_size: segments computed at once.
        plain: tasks that are answered by their plain estimators, by the names of the answers.

    Raises:
        ValueError: two adapters answer the same task, or one does not fit its backbone.
        FileNotFoundError: an adapter or the weights of its backbone are not there.
    """

    def __init__(
        self,
        adapters: Sequence[str | Path],
        names: Sequence[str | None] | None = None,
        device: str | None = None,
        precision: str = "auto",
        batch_size: int = 8,
        plain: Mapping[str, Task] | None = None,
    ):
        self.compute = Compute.choose(device or "auto", precision)
        self.batch_size, self.plain = batch_size, dict(plain or {})
        backbones: dict[str, Backbone] = {}
        members: dict[tuple[str, Grid], list[Named]] = {}
        tasks: set[str] = set(self.plain)
        for number, folder in enumerate(map(locate, adapters)):
            card = read_card(folder)
            weights = card["backbone"]["fingerprint"]
            backbones[weights] = backbones.get(weights) or backbone_of(card, folder)
            model = load_adapter(folder, backbones[weights])
            prefix = f"{names[number]}/" if names and names[number] else ""
            twice = tasks & {prefix + task for task in model.tasks}
            if twice:
                raise ValueError(f"two adapters answer {sorted(twice)[0]}; give each a name to tell them apart")
            tasks |= {prefix + task for task in model.tasks}
            members.setdefault((weights, answer_grid(model, card["segment_s"])), []).append((prefix, model))
        self.passes: list[Pass] = []
        for (weights, grid), named in members.items():
            models = [model.to(self.compute.device) for _, model in named]
            together = Together(backbones[weights].to(self.compute.device), models, batch_size)
            self.passes.append(Pass(grid, named, together))

    @property
    def tasks(self) -> dict[str, Task]:
        """All tasks by the names of the answers."""
        members = [member for each in self.passes for member in each.models]
        learned = {prefix + name: task for prefix, model in members for name, task in model.tasks.items()}
        return learned | self.plain

    def file(self, path: str | Path, block_s: float = BLOCK_S) -> FileAnswer:
        """Answer one file; a file that cannot be read gets an error instead.

        Args:
            path: the sound file.
            block_s: seconds decoded at a time.
        """
        (answer,) = self.files([path], block_s)
        return answer

    def files(self, sounds: Iterable[Sound], block_s: float = BLOCK_S) -> Iterator[FileAnswer]:
        """Answer many recordings, in their order; one waits for at most `batch_size` others that share its last batch.

        Args:
            sounds: files, or what is in memory already.
            block_s: seconds of a file decoded at a time.
        """
        asked: dict[int, FileAnswer] = {}  # by number, until it is given back
        lines = [Line(each, self.compute, self.batch_size) for each in self.passes]
        n_lacking: dict[int, int] = {}  # passes that have not answered yet

        def opened() -> Iterator[Generator[Item, None, None]]:
            for number, sound in zip(count(), sounds):
                path = "" if isinstance(sound, Wave) else str(sound)
                asked[number], n_lacking[number] = FileAnswer(path), len(lines) + bool(self.plain)
                yield cut(number, sound, asked[number], self.passes, self.plain, block_s)

        def note(each: Pass, found: Iterable[tuple[int, dict[str, np.ndarray]]]) -> None:
            for number, probabilities in found:
                n_lacking[number] -= 1
                try:
                    asked[number].answers.update(decoded(each.models, probabilities))
                except NotANumber as error:
                    asked[number].error = f"{asked[number].path}: {error}"

        def complete() -> Iterator[FileAnswer]:
            while asked and n_lacking[first := next(iter(asked))] == 0:
                del n_lacking[first]
                answer = asked.pop(first)
                answer.answers = answer.answers and self._ordered(answer.answers)
                yield answer

        with closing(ahead(opened(), DECODERS, self.batch_size)) as items:
            for item in items:
                if isinstance(item, Unreadable):
                    for line in lines:
                        line.drop(item.number)
                    asked[item.number] = FileAnswer(asked[item.number].path, error=item.error)
                    n_lacking[item.number] = 0
                elif isinstance(item, Said):
                    asked[item.number].answers.update(item.answers)
                    n_lacking[item.number] -= 1
                else:
                    line = lines[item.pass_number]
                    note(line.each, line.add((item.number, item.piece), item.wave))
                yield from complete()
        for line in lines:
            note(line.each, line.flush())
        yield from complete()

    def waveform(self, waveform: np.ndarray, sample_rate_hz: int | None = None) -> dict[str, Prediction]:
        """Answer samples that are in memory.

        Args:
            waveform: see `audio.as_mono`.
            sample_rate_hz: its rate; None where it is already at the backbones'.

        Raises:
            ValueError: it is empty, or holds samples that are not numbers.
        """
        (answer,) = self.files([Wave(audio.as_mono(waveform), sample_rate_hz or rates_of(self.passes, self.plain)[0])])
        return answer.answers

    def _ordered(self, answers: dict[str, Prediction]) -> dict[str, Prediction]:
        """By task, in the order in which tasks were given."""
        return {name: answers[name] for name in self.tasks}


def predict(
    paths: Sequence[str | Path], adapters: Sequence[str | Path] | str | Path, **options: Any
) -> list[FileAnswer]:
    """Answer some files with some adapters.

    Args:
        paths: sound files.
        adapters: one adapter folder, or several.
        **options: see `Predictor`.

    Returns:
        One answer per file, in their order; a file that cannot be read has an `error`.
    """
    several = [adapters] if isinstance(adapters, str | Path) else list(adapters)
    return list(Predictor(several, **options).files(paths))
