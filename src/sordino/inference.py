"""From a sound file to answers: segments, hidden states, heads, joined and decoded; many adapters in one pass.

Files of any length are decoded in blocks and answered segment by segment, so memory does not grow with the file (but
for the answer itself). Adapters on the same backbone that want the same segments share its frontend; segments of
several files share a batch.

Conventions: the answer of a recording does not depend on the blocks it was decoded in (tested to 1e-4 in the
probabilities), nor on which other files or adapters are asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from sordino import audio
from sordino.adapter_file import load_adapter, read_card
from sordino.answering import Named, Segments, answer_grid, decoded, joined, pad
from sordino.compute import Compute
from sordino.contracts import Backbone, Prediction, Task
from sordino.results import FileAnswer
from sordino.segments import Grid, Piece, stream

BLOCK_S = 60.0
FILES_AT_ONCE = 16  # their answers wait for one another; their sound does not

Cut = tuple[int, Piece, np.ndarray]  # number of the recording, place and waveform of a segment


class Pass(NamedTuple):
    """Adapters that can be answered from the same segments and the same output of the frontend.

    Attributes:
        grid: how recordings are cut.
        models: each with what is put before the names of its tasks.
    """

    grid: Grid
    models: list[Named]

    @property
    def backbone(self) -> Backbone:
        """Whose frontend serves all of them."""
        return self.models[0][1].backbone


class Predictor:
    """Loaded adapters, ready for files.

    Args:
        adapters: adapter folders; their tasks must differ in name, or be told apart with `names`.
        names: a name for each adapter, put before its tasks as `name/task`; None for bare task names.
        device: where to compute; None for a GPU if there is one.
        precision: `auto`, `float32` or `bf16`, see `Compute`.
        batch_size: segments computed at once.

    Raises:
        ValueError: two adapters answer the same task, or one does not fit its backbone.
        FileNotFoundError: an adapter or the weights of its backbone are not there.
    """

    def __init__(
        self,
        adapters: Sequence[str | Path],
        names: Sequence[str] | None = None,
        device: str | None = None,
        precision: str = "auto",
        batch_size: int = 8,
    ):
        self.compute = Compute.choose(device or "auto", precision)
        self.batch_size = batch_size
        passes: dict[tuple[str, Grid, int], Pass] = {}
        shared: dict[str, Backbone] = {}
        tasks: set[str] = set()
        for number, folder in enumerate(adapters):
            card = read_card(folder)
            weights = card["backbone"]["fingerprint"]
            model = load_adapter(folder, shared.get(weights)).to(self.compute.device)
            if not model.unfrozen:
                shared[weights] = model.backbone
            prefix = f"{names[number]}/" if names else ""
            twice = tasks & {prefix + task for task in model.tasks}
            if twice:
                raise ValueError(f"two adapters answer {sorted(twice)[0]}; give each a name to tell them apart")
            tasks |= {prefix + task for task in model.tasks}
            grid = answer_grid(model, card["segment_s"])
            key = (weights, grid, number if model.unfrozen else -1)
            passes.setdefault(key, Pass(grid, [])).models.append((prefix, model))
        self.passes = list(passes.values())

    @property
    def tasks(self) -> dict[str, Task]:
        """All tasks by the names of the answers."""
        members = [member for each in self.passes for member in each.models]
        return {prefix + name: task for prefix, model in members for name, task in model.tasks.items()}

    def file(self, path: str | Path, block_s: float = BLOCK_S) -> FileAnswer:
        """Answer one file; a file that cannot be read gets an error instead.

        Args:
            path: the sound file.
            block_s: seconds decoded at a time.
        """
        return next(self.files([path], block_s))

    def files(self, paths: Iterable[str | Path], block_s: float = BLOCK_S) -> Iterator[FileAnswer]:
        """Answer many files, in their order."""
        remaining = iter(paths)
        while some := [FileAnswer(str(path)) for path in islice(remaining, FILES_AT_ONCE)]:
            for each in self.passes:
                cuts = self._cut(some, each, block_s)
                for number, probabilities in self._joined(each, cuts):
                    some[number].answers.update(decoded(each.models, probabilities))
            for answer in some:
                yield FileAnswer(answer.path, error=answer.error) if answer.error else answer

    def waveform(self, waveform: np.ndarray) -> dict[str, Prediction]:
        """Answer a waveform [time], mono at the backbones' rate."""
        answers: dict[str, Prediction] = {}
        for each in self.passes:
            cuts = ((0, *cut) for cut in stream([np.asarray(waveform, np.float32)], each.grid))
            for _, probabilities in self._joined(each, cuts):
                answers.update(decoded(each.models, probabilities))
        return answers

    @staticmethod
    def _cut(answers: Sequence[FileAnswer], each: Pass, block_s: float) -> Iterator[Cut]:
        """The segments of several files; what is wrong with one is noted in its answer."""
        for number, answer in enumerate(answers):
            if answer.error:
                continue
            try:
                answer.duration_s = audio.info(answer.path).duration_s
                blocks = audio.blocks(answer.path, each.backbone.sample_rate_hz, block_s)
                for piece, wave in stream(blocks, each.grid):
                    yield number, piece, wave
            except audio.AudioError as error:
                answer.error = str(error)

    def _joined(self, each: Pass, cuts: Iterator[Cut]) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """Joined probabilities by task, of every recording."""
        return joined(each.models, self._batches(each, cuts), each.grid, self.compute)

    def _batches(self, each: Pass, cuts: Iterator[Cut]) -> Iterator[Segments]:
        while some := list(islice(cuts, self.batch_size)):
            waveform, n_samples = (x.to(self.compute.device) for x in pad([wave for _, _, wave in some]))
            with torch.inference_mode(), self.compute.context():
                frames = each.backbone.frontend(waveform, n_samples)
            yield Segments([cut[:2] for cut in some], lambda model, frames=frames: model.constant_from(frames))


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
