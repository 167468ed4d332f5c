"""Classification: exactly one of several classes, such as a genre, an instrument, a composer.

Conventions:
- A label is the name of a class, a text. The classes are learned from the training labels. A reference of
  another class counts as wrong in the accuracy and stands in the confusion matrix.
- `f1` is the mean over the classes that occur as reference or answer (scikit-learn's `macro`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sordino.contracts import Evaluation, PlainBaseline, Prediction, Task
from sordino.rules import Share
from sordino.tasks._cross_entropy import mean_cross_entropy


@dataclass
class Classification(Task):
    """The class of a recording.

    Attributes:
        label: the label of a track that names its class.
        classes: the classes; learned by `fit` when empty.
        label_smoothing: share of the target that is spread over all classes.
    """

    name: ClassVar[str] = "classification"
    title: ClassVar[str] = "Classification: one of several classes"
    level: ClassVar = "clip"
    metric = "accuracy"
    segment_s = 10.0
    namespace = "tag_open"
    examples = ("jazz", "rock", ["folk"], "hip hop")

    label: str = "genre"
    classes: list[str] = field(default_factory=list)
    label_smoothing: Share = 0.0

    def parse(self, label: Any) -> str:
        """Read a text or a number as the name of a class.

        Raises:
            ValueError: it is empty or not one value.
        """
        if isinstance(label, (list, tuple)) and len(label) == 1:
            label = label[0]
        if label is None or not isinstance(label, (str, int, float, np.generic)) or not str(label).strip():
            raise ValueError(f"{self.label} {label!r} is not the name of one class")
        return str(label).strip()

    def fit(self, labels: Sequence[str]) -> None:
        """Learn the classes (unless given) and the most frequent one."""
        self.classes = list(self.classes) or sorted(set(labels))
        self.usual = Counter(sorted(labels)).most_common(1)[0][0] if labels else None

    @property
    def n_outputs(self) -> int:
        """One output per class."""
        if not self.classes:
            raise ValueError("classification has no classes yet: give classes = [...] or call fit")
        return len(self.classes)

    def encode(
        self, label: str, n_frames: int = 1, frame_rate_hz: float = 1.0, start_s: float = 0.0
    ) -> Float[Tensor, " label"]:
        """One at the class; zero for a class that is not known."""
        return torch.tensor([float(name == label) for name in self.classes])

    def loss(
        self, logits: Tensor, target: Tensor, mask: Tensor | None = None, counts: Tensor | None = None
    ) -> Float[Tensor, ""]:
        """Cross-entropy."""
        return mean_cross_entropy(logits, target, counts, self.label_smoothing)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Softmax over the classes."""
        return logits.softmax(-1)

    def decode(self, probabilities: np.ndarray, frame_rate_hz: float = 1.0) -> Prediction:
        """The most probable class, and the three most probable ones among the details."""
        order = np.argsort(-probabilities, kind="stable")[:3]
        ranking = {self.classes[index]: float(probabilities[index]) for index in order}
        return Prediction(self.classes[order[0]], float(probabilities[order[0]]), {"alternatives": ranking})

    def score(self, reference: str, estimated: str) -> dict[str, float]:
        """Right or wrong."""
        return {"accuracy": float(reference == estimated)}

    def evaluate(self, references: Sequence[str], predictions: Sequence[Prediction]) -> Evaluation:
        """Accuracy and macro F1; by class, and the confusion matrix (rows: references), in the tables."""
        result = super().evaluate(references, predictions)
        answers = [p.value for p in predictions]
        names = sorted({*self.classes, *references, *answers})
        index = {name: row for row, name in enumerate(names)}
        matrix = np.zeros((len(names), len(names)), dtype=int)
        np.add.at(matrix, ([index[r] for r in references], [index[a] for a in answers]), 1)
        count = matrix.sum(0) + matrix.sum(1)
        f1 = np.where(count > 0, 2 * np.diag(matrix) / np.where(count > 0, count, 1), np.nan)
        result.metrics["f1"] = float(np.nanmean(f1)) if count.any() else float("nan")
        result.metrics.setdefault("accuracy", float("nan"))
        result.tables = {"f1": dict(zip(names, f1.tolist(), strict=True)),
                         "confusion": {"classes": names, "matrix": matrix.tolist()}}  # fmt: skip
        return result

    def config(self) -> dict[str, Any]:
        """Options and classes."""
        return asdict(self)

    @property
    def plain_baseline(self) -> PlainBaseline | None:
        """The most frequent class of the training labels (known after `fit`), whatever the sound."""
        usual = getattr(self, "usual", None)
        return PlainBaseline("majority", lambda wave, rate_hz: usual, constant=True) if usual is not None else None
