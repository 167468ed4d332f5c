"""A model as ONNX: from the waveform of one segment to the probabilities of each task.

What is attached is merged where that is possible. Fourier transforms, which ONNX has for few shapes, are written as
products with their matrices, of the bins that are read.

Conventions: one segment of fixed length, float32 [1 time], mono at the backbone's rate; outputs are named by task,
[1 label] or [1 frame label]. Longer recordings are cut and joined by whoever calls it (`segments.py` says how).
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sordino.adapter_file import load_adapter, read_card
from sordino.answering import answer_grid
from sordino.contracts import merge
from sordino.files import write_with
from sordino.model import Model


class Exported(NamedTuple):
    """What was written.

    Attributes:
        path: the file.
        n_samples: of a segment.
        difference: the largest between its probabilities and the model's, under onnxruntime.
        bytes: its size.
    """

    path: Path
    n_samples: int
    difference: float
    bytes: int


class Whole(nn.Module):
    """A model with its frontend, from waveform to probabilities."""

    def __init__(self, model: Model):
        super().__init__()
        self.model = model

    def forward(self, waveform: Tensor) -> tuple[Tensor, ...]:
        """The probabilities of each task, in their order."""
        logits = self.model.predict(waveform)
        return tuple(task.probabilities(logits[name]) for name, task in self.model.tasks.items())


def export_onnx(adapter: str | Path, path: str | Path, segment_s: float | None = None) -> Exported:
    """Write an adapter with its backbone as one ONNX file, and compare it with the model.

    Args:
        adapter: its folder.
        path: the file.
        segment_s: length of a segment; None for what it answers with.

    Raises:
        ImportError: onnx, onnxscript or onnxruntime is not installed.
        ValueError: something in this model cannot be written as ONNX, or gives other answers; nothing is written.
    """
    _needed("onnxscript")
    card, model = read_card(adapter), load_adapter(adapter)
    with contextlib.suppress(TypeError, RuntimeError):  # what cannot be merged is written as it is attached
        merge(model.backbone.attached)
    rate = model.backbone.sample_rate_hz
    n_samples = answer_grid(model, segment_s or card["segment_s"]).length_samples
    noise = 0.1 * torch.randn(1, n_samples, generator=torch.Generator().manual_seed(0))
    whole, names = Whole(model).eval(), list(model.tasks)
    with torch.no_grad():
        wanted = whole(noise)
        program = _program(whole, noise, names, str(adapter))
    about = {"sample_rate_hz": rate, "n_samples": n_samples, "frame_rate_hz": model.backbone.frame_rate_hz,
             "tasks": card["tasks"]}  # fmt: skip
    program.model.metadata_props["sordino"] = json.dumps(about)

    def write(part: Path) -> None:
        program.save(part)
        difference = _difference(part, noise, wanted)
        if not difference < 1e-4:
            raise ValueError(f"{adapter}: as ONNX its probabilities differ by {difference:.2g}; nothing was written")
        found.append(difference)

    found: list[float] = []
    write_with(path, write)
    return Exported(Path(path), n_samples, found[0], Path(path).stat().st_size)


def _program(whole: Whole, noise: Tensor, names: list[str], where: str) -> Any:
    log = logging.getLogger("torch.onnx")
    level = log.level
    with _transforms_as_products(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about itself
        log.setLevel(logging.ERROR)
        try:
            return torch.onnx.export(whole, (noise,), input_names=["waveform"], output_names=names, dynamo=True,
                                     verbose=False)  # fmt: skip
        except Exception as error:
            told = str(error).strip().splitlines()[-1][:120] if str(error).strip() else type(error).__name__
            raise ValueError(f"{where}: this model cannot be written as ONNX ({told})") from error
        finally:
            log.setLevel(level)


def _difference(path: Path, noise: Tensor, wanted: tuple[Tensor, ...]) -> float:
    """The largest between the file's answers and the model's."""
    session = _needed("onnxruntime").InferenceSession(str(path), providers=["CPUExecutionProvider"])
    answers = session.run(None, {"waveform": noise.numpy()})
    return max(float((torch.from_numpy(a) - b).abs().max()) for a, b in zip(answers, wanted, strict=True))


def _needed(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(f"ONNX wants {name}: pip install 'sordino[onnx]'") from error


class _Spectrum:
    """The transform of real blocks [... time], computed for the bins that are read, when they are."""

    def __init__(self, blocks: Tensor, n: int, n_bins: int | None = None):
        self._blocks, self._n, self._n_bins = blocks[..., :n], n, n // 2 + 1 if n_bins is None else n_bins

    def __getitem__(self, index: Any) -> _Spectrum:
        rest, bins = index
        if rest is not Ellipsis or bins.start not in (None, 0) or bins.step not in (None, 1):
            raise ValueError("only the first bins of a spectrum can be taken")
        return _Spectrum(self._blocks, self._n, min(self._n_bins, bins.stop))

    def _product(self, of: Any) -> Tensor:
        time = torch.arange(self._blocks.shape[-1], dtype=torch.float64)
        angle = torch.outer(time, torch.arange(self._n_bins, dtype=torch.float64)).remainder(self._n)
        return self._blocks @ of(2 * math.pi / self._n * angle).float()

    @property
    def real(self) -> Tensor:
        return self._product(torch.cos)

    @property
    def imag(self) -> Tensor:
        return -self._product(torch.sin)

    def abs(self) -> Tensor:
        return (self.real.square() + self.imag.square()).sqrt()


def _rfft(x: Tensor, n: int | None = None, dim: int = -1, **_: Any) -> _Spectrum:
    return _Spectrum(x, n or x.shape[dim])


def _irfft(x: Tensor, n: int, dim: int = -1, **_: Any) -> Tensor:
    """Of a real spectrum (a power spectrum), [... bin] to [... time]."""
    bins = torch.arange(x.shape[dim], dtype=torch.float64)
    weight = torch.where((bins == 0) | (bins * 2 == n), 1.0, 2.0) / n
    angle = torch.outer(bins, torch.arange(n, dtype=torch.float64)).remainder(n)
    return x @ (weight[:, None] * torch.cos(2 * math.pi / n * angle)).float()


def _stft(x: Tensor, n_fft: int, hop_length: int, win_length: int | None = None, window: Tensor | None = None,
          center: bool = True, pad_mode: str = "reflect", return_complex: bool = True) -> Any:  # fmt: skip
    """As torch.stft, [batch bin frame]."""
    half = n_fft // 2
    x = nn.functional.pad(x[:, None], (half, half), mode=pad_mode)[:, 0] if center else x
    blocks = x.unfold(1, n_fft, hop_length)
    return _Turned(blocks if window is None else blocks * window, n_fft)


class _Turned(_Spectrum):
    """A spectrum whose last two axes are exchanged."""

    def _product(self, of: Any) -> Tensor:
        return super()._product(of).mT


@contextlib.contextmanager
def _transforms_as_products() -> Iterator[None]:
    """While a model is written, the three transforms that frontends use are products with matrices."""
    kept = torch.fft.rfft, torch.fft.irfft, torch.stft
    torch.fft.rfft, torch.fft.irfft, torch.stft = _rfft, _irfft, _stft
    try:
        yield
    finally:
        torch.fft.rfft, torch.fft.irfft, torch.stft = kept
