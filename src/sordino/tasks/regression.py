"""Regression: one or several numbers per recording, such as arousal and valence.

Conventions:
- A label is a number, or a mapping from names to numbers. Targets are standardised with the training
  labels' mean and deviation; segments are joined by the mean of the standardised outputs.
- `r2` is the coefficient of determination over the tracks (scikit-learn's `uniform_average` over names): 0
  for a model that always answers the mean of the references, negative below it. `mae` is in the label's own
  unit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from sordino.contracts import Evaluation, PlainBaseline, Prediction, Task
from sordino.contracts.cells import number

SINGLE = "value"


@dataclass
class Regression(Task):
    """Numbers that describe a recording.

    Attributes:
        label: the label of a track that holds the number or numbers.
        names: of the numbers; learned by `fit` when empty.
        mean: of the training labels, learned by `fit`.
        deviation: of the training labels, learned by `fit`.
    """

    name: ClassVar[str] = "regression"
    title: ClassVar[str] = "Regression: one or several numbers"
    level: ClassVar = "clip"
    metric = "r2"
    segment_s = 10.0
    examples = (
        {"arousal": 0.3, "valence": -0.5},
        {"arousal": 0.9, "valence": 0.1},
        {"arousal": -0.2, "valence": 0},
    )

    label: str = "emotion"
    names: list[str] = field(default_factory=list)
    mean: list[float] = field(default_factory=list)
    deviation: list[float] = field(default_factory=list)

    def parse(self, label: Any) -> float | dict[str, float]:
        """Read a number (`0,25` is 0.25) or a mapping from names to numbers.

        Raises:
            ValueError: something in it is not a finite number.
        """
        values = label if isinstance(label, Mapping) else {SINGLE: label}
        try:
            numbers = {str(name): number(value) for name, value in values.items()}
        except (TypeError, ValueError):
            numbers = {}
        if not numbers or not np.isfinite(list(numbers.values())).all():
            raise ValueError(f"{self.label} {label!r} is not a number or a mapping from names to numbers")
        return numbers if isinstance(label, Mapping) else numbers[SINGLE]

    def fit(self, labels: Sequence[float | dict[str, float]]) -> None:
        """Learn the names (unless given), the mean and the deviation."""
        if not labels:
            raise ValueError(f"{self.label}: no track of the training split has a label")
        first = labels[0]
        self.names = list(self.names) or (sorted(first) if isinstance(first, Mapping) else [SINGLE])
        table = np.stack([self._row(label) for label in labels])
        deviation = table.std(0)
        self.mean = table.mean(0).tolist()
        self.deviation = np.where(deviation > 1e-9, deviation, 1.0).tolist()

    @property
    def n_outputs(self) -> int:
        """One output per name."""
        if not self.mean:
            raise ValueError("regression knows no range yet: call fit with the training labels")
        return len(self.names)

    def encode(
        self,
        label: float | dict[str, float],
        n_frames: int = 1,
        frame_rate_hz: float = 1.0,
        start_s: float = 0.0,
    ) -> Float[Tensor, " label"]:
        """The standardised numbers."""
        return torch.as_tensor((self._row(label) - self.mean) / self.deviation, dtype=torch.float32)

    def loss(
        self, logits: Tensor, target: Tensor, mask: Tensor | None = None, counts: Tensor | None = None
    ) -> Float[Tensor, ""]:
        """Mean squared error of the standardised numbers."""
        each = functional.mse_loss(logits, target.to(logits.dtype), reduction="none").mean(-1)
        return each.sum() / (len(target) if counts is None else counts[0])

    def probabilities(self, logits: Tensor) -> Tensor:
        """The outputs as they are."""
        return logits

    def decode(self, probabilities: np.ndarray, frame_rate_hz: float = 1.0) -> Prediction:
        """The numbers in the label's unit."""
        return Prediction(self._label(np.asarray(probabilities, dtype=float) * self.deviation + self.mean))

    def score(self, reference: float | dict[str, float], estimated: float | dict[str, float]) -> dict[str, float]:
        """Absolute errors: the mean, and each name's own where there are several."""
        error = np.abs(self._row(reference) - self._row(estimated))
        several = {f"mae_{name}": float(e) for name, e in zip(self.names, error, strict=True)}
        return {"mae": float(error.mean()), **(several if len(self.names) > 1 else {})}

    def evaluate(self, references: Sequence[float | dict[str, float]], predictions: Sequence[Prediction]) -> Evaluation:
        """R2 and MAE, the means over names; R2 of each name where there are several."""
        result = super().evaluate(references, predictions)
        if not result.per_track:
            return Evaluation({"r2": float("nan"), "mae": float("nan")}, [])
        true = np.stack([self._row(label) for label in references])
        answer = np.stack([self._row(p.value) for p in predictions])
        spread = ((true - true.mean(0)) ** 2).sum(0)
        defined = spread > 1e-12
        r2 = np.where(defined, 1 - ((true - answer) ** 2).sum(0) / np.where(defined, spread, 1.0), np.nan)
        result.metrics["r2"] = float(np.nanmean(r2)) if defined.any() else float("nan")
        if len(self.names) > 1:
            result.metrics |= {f"r2_{name}": float(v) for name, v in zip(self.names, r2, strict=True)}
        constant = [name for name, ok in zip(self.names, defined, strict=True) if not ok]
        if constant:
            result.notes.append(f"r2 undefined, all references are equal: {', '.join(constant)}")
        return result

    def metric_of_draws(
        self,
        references: Sequence[float | dict[str, float]],
        predictions: Sequence[Prediction],
        rows: Sequence[Mapping[str, float]],
    ) -> Callable[[np.ndarray], np.ndarray]:
        """R2 from sums over tracks: of the centred references, of their squares, and of the squared errors."""
        true = np.stack([self._row(label) for label in references])
        error = true - np.stack([self._row(p.value) for p in predictions])
        true = true - true.mean(0)

        def r2(counts: np.ndarray) -> np.ndarray:
            squares = counts @ true**2
            spread = squares - (counts @ true) ** 2 / np.maximum(counts.sum(1, keepdims=True), 1)
            defined = (spread > 1e-12) & (spread > 1e-9 * squares)  # the difference of two sums is never exactly 0
            values = np.where(defined, 1 - counts @ error**2 / np.where(defined, spread, 1.0), 0.0)
            return np.where(defined.any(1), values.sum(1) / np.maximum(defined.sum(1), 1), np.nan)

        return r2

    def config(self) -> dict[str, Any]:
        """Options, names, mean and deviation."""
        return asdict(self)

    @property
    def plain_baseline(self) -> PlainBaseline | None:
        """The mean of the training labels (known after `fit`), whatever the sound."""
        if not self.mean:
            return None
        usual = self._label(np.array(self.mean))
        return PlainBaseline("mean", lambda wave, rate_hz: usual, constant=True)

    def _row(self, label: float | dict[str, float]) -> np.ndarray:
        values = label if isinstance(label, Mapping) else {SINGLE: label}
        missing = [name for name in self.names if name not in values]
        if missing:
            raise ValueError(f"{self.label}: {missing[0]} is missing in {label!r}; expected {', '.join(self.names)}")
        return np.array([values[name] for name in self.names], dtype=float)

    def _label(self, row: np.ndarray) -> float | dict[str, float]:
        if self.names == [SINGLE]:
            return float(row[0])
        return dict(zip(self.names, row.tolist(), strict=True))
