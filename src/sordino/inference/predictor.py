"""From a sound file to answers: segments, hidden states, heads, joined and decoded; many adapters in one pass.

Files of any length are decoded in blocks and answered segment by segment, so memory does not grow with the file (but
for the answer itself). Threads decode ahead while segments are computed, each file once for all adapters. Adapters on
one backbone that want the same segments share all they can (`together.py`); segments of several files share a batch.

Conventions: the answer of a recording does not depend on the blocks it was decoded in (tested to 1e-4 in the
probabilities), nor on which other files or adapters are asked.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sordino import audio
from sordino.adapter_file import backbone_of, load_adapter, read_card
from sordino.adapters import locate
from sordino.ahead import ahead
from sordino.answering import NotANumber, answer_grid, decoded
from sordino.compute import Compute
from sordino.contracts import Backbone, Prediction, Task
from sordino.inference.cuts import Item, Said, Sound, Unreadable, Wave, cut, rates_of
from sordino.inference.passes import Line, Pass
from sordino.model import Model
from sordino.results import FileAnswer
from sordino.segments import Grid
from sordino.together import Together

BLOCK_S = 20.0
DECODERS = 4  # files that are read ahead side by side


class Member(NamedTuple):
    """An adapter that is loaded.

    Attributes:
        prefix: what is put before the names of its tasks.
        model: it.
        backbone: what it was made from; shared with others of the same weights.
        weights: their fingerprint.
        grid: how recordings are cut for it.
    """

    prefix: str
    model: Model
    backbone: Backbone
    weights: str
    grid: Grid


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
        self.compute: Compute = Compute.choose(device or "auto", precision)
        self.batch_size: int = batch_size
        self.plain: dict[str, Task] = dict(plain or {})
        self.members: list[Member] = []
        for number, adapter in enumerate(adapters):
            self.members.append(self.load(adapter, names[number] if names else None))
        self._arrange()

    def load(self, adapter: str | Path, name: str | None = None, beside: bool = False) -> Member:
        """Load one more adapter, on a backbone that is here already where it is the same; `changed` takes it in.

        Args:
            adapter: a folder, or a name, see `locate`.
            name: put before its tasks; None or empty for bare task names.
            beside: only if its backbone is here; then nothing that its description names is opened.

        Raises:
            FileNotFoundError: it, or the weights of its backbone, are not there.
            ValueError: it does not fit its backbone, or that is not here.
        """
        folder = locate(adapter)
        card = read_card(folder)
        weights = card["backbone"]["fingerprint"]
        backbone = next((each.backbone for each in self.members if each.weights == weights), None)
        if backbone is None and beside:
            here = ", ".join(sorted({each.backbone.name for each in self.members})) or "none"
            raise ValueError(f"it was trained on other weights ({str(card['backbone']['name'])[:40]} "
                             f"{weights[:16]}) than those that are loaded here ({here})")  # fmt: skip
        backbone = backbone or backbone_of(card, folder).to(self.compute.device)
        model = load_adapter(folder, backbone).to(self.compute.device)
        prefix = f"{name}/" if name else ""
        return Member(prefix, model, backbone, weights, answer_grid(model, card["segment_s"]))

    def changed(self, members: Sequence[Member], plain: Mapping[str, Task]) -> Predictor:
        """Another predictor with these adapters and plain estimators; who asks this one meanwhile is not disturbed.

        Raises:
            ValueError: two of them answer the same task.
        """
        other = copy.copy(self)
        other.members, other.plain = list(members), dict(plain)
        other._arrange()
        return other

    def _arrange(self) -> None:
        """Sort adapters into passes."""
        tasks = [*self.plain, *(prefix + task for prefix, model, *_ in self.members for task in model.tasks)]
        if twice := sorted({name for name in tasks if tasks.count(name) > 1}):
            raise ValueError(f"two adapters answer {twice[0]}; give each a name to tell them apart")
        alike: dict[tuple[str, Grid], list[Member]] = {}
        for member in self.members:
            alike.setdefault((member.weights, member.grid), []).append(member)
        self.passes: list[Pass] = []
        for (_, grid), own in alike.items():
            together = Together(own[0].backbone, [member.model for member in own], self.batch_size)
            self.passes.append(Pass(grid, [(member.prefix, member.model) for member in own], together))

    @property
    def tasks(self) -> dict[str, Task]:
        """All tasks by the names of the answers."""
        learned = {prefix + name: task for prefix, model, *_ in self.members for name, task in model.tasks.items()}
        return learned | self.plain

    def file(self, path: str | Path, block_s: float = BLOCK_S) -> FileAnswer:
        """Answer one file; a file that cannot be read gets an error instead.

        Args:
            path: the sound file.
            block_s: seconds decoded at a time.
        """
        (answer,) = self.files([path], block_s)
        return answer

    def files(
        self, sounds: Iterable[Sound], block_s: float = BLOCK_S, go_on: Callable[[], None] = lambda: None
    ) -> Iterator[FileAnswer]:
        """Answer many recordings, in their order; one waits for at most `batch_size` others that share its last batch.

        Args:
            sounds: files, or what is in memory already.
            block_s: seconds of a file decoded at a time.
            go_on: called before each segment; stops all by raising.
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
                    asked[number].error = f"{asked[number].path or 'the sound'}: {error}"

        def complete() -> Iterator[FileAnswer]:
            while asked and n_lacking[first := next(iter(asked))] == 0:
                del n_lacking[first]
                answer = asked.pop(first)
                answer.answers = {} if answer.error else {name: answer.answers[name] for name in self.tasks}
                yield answer

        with closing(ahead(opened(), DECODERS, self.batch_size)) as items:
            for item in items:
                go_on()
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
            ValueError: it is empty, or holds samples that are not numbers, or of which no answer can be made.
        """
        (answer,) = self.files([Wave(audio.as_mono(waveform), sample_rate_hz or rates_of(self.passes, self.plain)[0])])
        if answer.error is not None:
            raise ValueError(answer.error)
        return answer.answers


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
