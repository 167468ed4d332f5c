"""From a sound file to answers: segments, hidden states, heads, joined and decoded; many adapters in one pass.

Files of any length are decoded in blocks and answered segment by segment, so memory does not grow with the file (but
for the answer itself). Adapters on the same backbone that want the same segments share its frontend.

Conventions: the answer of a recording does not depend on the blocks it was decoded in (tested to 1e-4 in the
probabilities), nor on which other files or adapters are asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sordino import audio
from sordino.adapter_file import load_adapter, read_card
from sordino.contracts import Backbone, Prediction, Task
from sordino.model import Model
from sordino.results import FileAnswer
from sordino.segments import FRAME_OVERLAP, Grid, Joiner, stream

BLOCK_S = 60.0


class Predictor:
    """Loaded adapters, ready for files.

    Args:
        adapters: adapter folders; their tasks must differ in name, or be told apart with `names`.
        names: a name for each adapter, put before its tasks as `name/task`; None for bare task names.
        device: where to compute; None for a GPU if there is one.
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
        batch_size: int = 8,
    ):
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.batch_size = batch_size
        self.passes: dict[tuple[str, Grid], list[tuple[str, Model]]] = {}
        shared: dict[str, Backbone] = {}
        tasks: set[str] = set()
        for number, folder in enumerate(adapters):
            card = read_card(folder)
            print_ = card["backbone"]["fingerprint"]
            model = load_adapter(folder, shared.get(print_)).to(self.device)
            if not model.unfrozen:
                shared[print_] = model.backbone
            prefix = f"{names[number]}/" if names else ""
            twice = tasks & {prefix + task for task in model.tasks}
            if twice:
                raise ValueError(f"two adapters answer {sorted(twice)[0]}; give each a name to tell them apart")
            tasks |= {prefix + task for task in model.tasks}
            overlap = FRAME_OVERLAP if any(task.level == "frame" for task in model.tasks.values()) else 0.0
            backbone = model.backbone
            grid = Grid.of(card["segment_s"], backbone.sample_rate_hz, backbone.hop_samples, overlap)
            key = print_ if not model.unfrozen else f"{print_} {number}"
            self.passes.setdefault((key, grid), []).append((prefix, model))

    @property
    def tasks(self) -> dict[str, Task]:
        """All tasks by the names of the answers."""
        members = [member for several in self.passes.values() for member in several]
        return {prefix + name: task for prefix, model in members for name, task in model.tasks.items()}

    def file(self, path: str | Path, block_s: float = BLOCK_S) -> FileAnswer:
        """Answer one file; a file that cannot be read gets an error instead.

        Args:
            path: the sound file.
            block_s: seconds decoded at a time.
        """
        answer = FileAnswer(str(path))
        try:
            answer.duration_s = audio.info(path).duration_s
            for (_, grid), members in self.passes.items():
                rate_hz = members[0][1].backbone.sample_rate_hz
                blocks = audio.blocks(path, rate_hz, block_s)
                answer.answers.update(self._decode(members, self._joined(members, grid, blocks)))
        except audio.AudioError as error:
            return FileAnswer(str(path), error=str(error))
        return answer

    def waveform(self, waveform: np.ndarray) -> dict[str, Prediction]:
        """Answer a waveform [time], mono at the backbones' rate."""
        answers: dict[str, Prediction] = {}
        for (_, grid), members in self.passes.items():
            answers.update(self._decode(members, self._joined(members, grid, [np.asarray(waveform, np.float32)])))
        return answers

    def files(self, paths: Iterable[str | Path]) -> Iterator[FileAnswer]:
        """Answer many files, in their order."""
        return (self.file(path) for path in paths)

    @torch.inference_mode()
    def _joined(
        self, members: list[tuple[str, Model]], grid: Grid, blocks: Iterable[np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Joined probabilities by task."""
        backbone = members[0][1].backbone
        overlap = (grid.length_samples - grid.hop_samples) // backbone.hop_samples
        joiners = {
            prefix + name: Joiner(task.level, overlap) for prefix, m in members for name, task in m.tasks.items()
        }
        segments = stream(blocks, grid)
        while batch := list(islice(segments, self.batch_size)):
            n_samples = torch.tensor([len(wave) for _, wave in batch])
            padded = torch.zeros(len(batch), int(n_samples.max()))
            for row, (_, wave) in enumerate(batch):
                padded[row, : len(wave)] = torch.from_numpy(wave)
            frames = backbone.frontend(padded.to(self.device), n_samples.to(self.device))
            for prefix, model in members:
                for name, logits in model(*model.constant_from(frames)).items():
                    task = model.tasks[name]
                    values = task.probabilities(logits.float()).cpu().numpy()
                    for row, (start, wave) in enumerate(batch):
                        kept = values[row][: backbone.n_frames(len(wave))] if task.level == "frame" else values[row]
                        joiners[prefix + name].add(kept, start // backbone.hop_samples, len(wave))
        return {name: joiner.joined() for name, joiner in joiners.items()}

    def _decode(self, members: list[tuple[str, Model]], joined: dict[str, np.ndarray]) -> dict[str, Prediction]:
        return {
            prefix + name: task.decode(joined[prefix + name], model.backbone.frame_rate_hz)
            for prefix, model in members
            for name, task in model.tasks.items()
        }


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
