"""What a frozen model hears in the songs of a folder: a vector for each segment, computed once and kept on disk.

The vector is what a linear head with `HEAD` would read: mean and deviation over time of the mean of all layers. It is
found again by the bytes of the file (`store.py`), so that a folder opens in a moment the second time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

import sordino
from sordino import audio
from sordino.answering import answer_grid, pad
from sordino.backbones import load_backbone
from sordino.compute import Compute
from sordino.contracts import Backbone
from sordino.datasets import walk
from sordino.known_files import look
from sordino.memory import in_room
from sordino.model import Model
from sordino.petl import make_method
from sordino.segments import Grid
from sordino.store import Stored, row_key
from sordino.tasks import make_task

HEAD: dict[str, Any] = {"layers": "mean:all", "pool": "mean_std", "hidden": 0}
MOST_S = 1200.0  # of a song that are heard
ROWS_AT_ONCE = 8

Advance = Callable[[int, int], None]


class Ear:
    """A frozen backbone that gives a vector for each segment.

    Args:
        spec: of the backbone, see `load_backbone`.
        segment_s: length of a segment in seconds.
        compute: device and precision; None for what is usual on this machine.
    """

    def __init__(self, spec: Mapping[str, Any], segment_s: float = 10.0, compute: Compute | None = None):
        self.spec, self.segment_s, self.compute = dict(spec), segment_s, compute or Compute.choose()
        self.backbone: Backbone = load_backbone(**spec)
        self.fingerprint = self.backbone.fingerprint()
        self._model = Model(self.backbone, [make_task("tagging", tags=["any"])], [make_method("probe")], HEAD)
        (head,) = self._model.heads.values()
        self.width: int = head.mlp[0].in_features  # type: ignore[union-attr, index, assignment]
        head.mlp = nn.Identity()  # its answer is what a linear layer would read
        self._model.to(self.compute.device)
        self.grid: Grid = answer_grid(self._model, segment_s)

    @property
    def kind(self) -> dict[str, Any]:
        """What decides the vectors beside the sound."""
        return {"heard": HEAD, "backbone": self.fingerprint, "segment_s": self.segment_s,
                "precision": self.compute.precision, "sordino": sordino.__version__}  # fmt: skip

    @torch.inference_mode()
    def __call__(self, wave: np.ndarray) -> Float[np.ndarray, "segment dim"]:
        """The vectors of a waveform [time] at the backbone's rate."""
        pieces, found = self.grid.cut(len(wave)), []
        waves = [wave[p.start_samples : p.start_samples + p.n_samples] for p in pieces]
        for first in range(0, len(waves), ROWS_AT_ONCE):
            found += [vectors for _, vectors in in_room(self._vectors, waves[first : first + ROWS_AT_ONCE])]
        return torch.cat(found).numpy()

    def _vectors(self, waves: Sequence[np.ndarray]) -> Float[Tensor, "segment dim"]:
        """Of segments, in one batch."""
        waveform, n_samples = (x.to(self.compute.device) for x in pad(waves))
        with self.compute.context():
            return self._model.predict(waveform, n_samples)["tagging"].float().cpu()

    def file(self, path: str | Path) -> Float[np.ndarray, "segment dim"]:
        """The vectors of a sound file.

        Raises:
            AudioError: it cannot be read.
        """
        return self(audio.read(path, self.backbone.sample_rate_hz, 0.0, MOST_S))


class Heard(NamedTuple):
    """The songs of a folder.

    Attributes:
        paths: where they are.
        names: within the folder.
        vectors: of all segments, song by song.
        songs: by segment, the number of its song.
        weights: by segment, its share of its song.
        starts_s: by segment, where it begins in its song.
        broken: a line for each file that cannot be read.
    """

    paths: list[Path]
    names: list[str]
    vectors: Float[np.ndarray, "segment dim"]
    songs: Int[np.ndarray, " segment"]
    weights: Float[np.ndarray, " segment"]
    starts_s: Float[np.ndarray, " segment"]
    broken: list[str]

    def mean(self, of_segments: np.ndarray) -> np.ndarray:
        """What is given for each segment, [segment ...], as one for each song, [song ...]."""
        total = np.zeros((len(self.names), *of_segments.shape[1:]))
        np.add.at(total, self.songs, of_segments * self.weights.reshape(-1, *[1] * (of_segments.ndim - 1)))
        return total


def hear(folder: str | Path, ear: Ear, advance: Advance = lambda done, total: None) -> Heard:
    """Hear every sound file below a folder, those that were heard before from the store.

    Args:
        folder: where they are.
        ear: what hears.
        advance: called with the number of songs done and all.

    Raises:
        FileNotFoundError: there is no sound file that can be read.
        StoreFull: there is no room.
    """
    root, rate_hz = Path(folder), ear.backbone.sample_rate_hz
    files = [path for path in walk(root) if path.suffix.lower() in audio.FORMATS]
    known = look(files)
    broken = [str(found) for found in known.values() if isinstance(found, audio.AudioError)]
    good = [path for path in files if not isinstance(known[str(path)], audio.AudioError)]
    n_samples = [max(1, round(min(MOST_S, known[str(p)].duration_s) * rate_hz)) for p in good]  # type: ignore[union-attr]
    cut = [ear.grid.cut(n) for n in n_samples]
    keys = [row_key(known[str(path)].content, MOST_S) for path in good]  # type: ignore[union-attr]
    stored = Stored(ear.kind, keys, [len(pieces) for pieces in cut], ear.width)
    failed: dict[int, str] = {}
    if len(stored.missing()):
        with stored.filling() as missing:
            for done, row in enumerate(map(int, missing)):
                advance(done, len(missing))
                try:
                    wave = audio.read(good[row], rate_hz, 0.0, n_samples[row] / rate_hz)
                    wave = np.pad(wave, (0, n_samples[row] - len(wave)))  # a sample that rounding took
                    stored.put(row, torch.from_numpy(ear(wave)))
                except ValueError as error:  # it cannot be read, or what is heard is no number
                    failed[row] = str(error) if isinstance(error, audio.AudioError) else f"{good[row]}: {error}"
            advance(len(missing), len(missing))
    rows = [row for row in range(len(good)) if stored.whole[row]]
    if not rows:
        raise FileNotFoundError(f"{folder}: no sound file that can be read" + "".join(f"; {x}" for x in broken[:1]))
    vectors = [stored.get(row).numpy() for row in rows]
    pieces = [(piece, n_samples[row]) for row in rows for piece in cut[row]]
    return Heard(
        paths=[good[row] for row in rows],
        names=[str(good[row].relative_to(root)) for row in rows],
        vectors=np.concatenate(vectors),
        songs=np.repeat(np.arange(len(rows)), [len(each) for each in vectors]),
        weights=np.array([piece.n_new / n for piece, n in pieces]),
        starts_s=np.array([piece.start_samples / rate_hz for piece, _ in pieces]),
        broken=[*broken, *failed.values()],
    )
