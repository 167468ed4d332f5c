"""Tempo: the beats per minute of a recording, as a distribution over 300 one-BPM classes.

Paper: Parameter-Efficient Transfer Learning for Music Foundation Models, 2024, arXiv 2411.19371: target 1
at the label, 0.5 at +-1 and +-2 BPM; accuracy 1. Metrics: Gouyon et al., An experimental comparison of
audio tempo induction algorithms, 2006 (accuracy 1 and 2); MIREX audio tempo estimation (P-score), through
mir_eval.
Differs: the target is interpolated between classes, so fractional labels keep their fraction, and is
normalised to sum 1 for a softmax cross-entropy (the paper's public code decodes with a softmax and has no
loss for tempo).

Conventions:
- A label is a float in BPM; where two tempi are annotated as in MIREX it is `{"bpm", "tempi": [slow, fast],
  "salience"}` with `salience` the relative strength of the slower and `bpm` the stronger one. 0 as an
  estimate means that no tempo was found.
- Class k stands for k + 1 BPM. A tempo above 300 BPM is trained as its half, or is no label with `fastest_bpm = 300`.
- Accuracy 1 is within 4 % of the reference, accuracy 2 also of its double, triple, half and third. Error
  classes name the answer: `double`, `triple`, `half`, `third`, `other`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sordino.contracts import Observation, PlainBaseline, Prediction, Task
from sordino.contracts.cells import number
from sordino.rules import NotNegative, Positive
from sordino.tasks import _mir_eval as mir_eval
from sordino.tasks._cross_entropy import mean_cross_entropy

N_CLASSES = 300
LEAST_BPM, MOST_BPM = 20, 400  # what lies outside is hardly meant so
CLASS_BPM = np.arange(1, N_CLASSES + 1, dtype=float)
OCTAVES = {"double": 2.0, "triple": 3.0, "half": 1 / 2, "third": 1 / 3}
SHAPE = (1.0, 0.5, 0.5, 0.0)  # the target at 0, 1, 2, 3 BPM from the label
SMOOTH = np.array([0.5, 0.5, 1.0, 0.5, 0.5])


@dataclass
class Tempo(Task):
    """The tempo of a recording.

    Attributes:
        tolerance: the relative deviation that still counts as correct.
        fastest_bpm: recordings with a faster tempo count as not labelled; none for all tempi.
    """

    name: ClassVar[str] = "tempo"
    title: ClassVar[str] = "Tempo in BPM, fractional, one or two with salience"
    level: ClassVar = "clip"
    label = "tempo"
    metric = "accuracy1"
    beside = ("accuracy2",)
    segment_s = 30.0
    namespace = "tempo"
    examples = (120, "97.5 bpm", {"bpm": 203.31}, 61.8)

    tolerance: NotNegative = 0.04
    fastest_bpm: Positive | None = None

    def parse(self, label: Any) -> float | dict[str, Any]:
        """Read a number, `"97,5 bpm"`, `{"bpm": 120}`, or MIREX's (tempo, tempo, salience of the first).

        In a text, two tempi stand between spaces, `/`, `;` or `|`; a comma alone between digits is a decimal comma.

        Raises:
            ValueError: it is no tempo.
        """
        if isinstance(label, Mapping):
            if "tempi" not in label:
                return self.parse(label.get("bpm"))
            label = [*label["tempi"], label.get("salience", 0.5)]
        given = label
        if isinstance(label, str):
            label = _numbers(re.sub(r"(?i)\s*bpm\s*", " ", label).strip())
        try:
            values = [float(value) for value in np.atleast_1d(np.array(label, dtype=object))]
        except (TypeError, ValueError):
            values = [float("nan")]
        if len(values) in (2, 3) and values[1] == 0 and values[0] > 0:
            values = values[:1]
        if len(values) not in (1, 2, 3) or not all(0 < v < 10_000 for v in values[:2]):
            raise ValueError(f"tempo {given!r} is not a tempo; use BPM above 0, or two and the salience of the first")
        if len(values) == 1:
            return values[0]
        first, second, salience = *values[:2], (values[2] if len(values) == 3 else 0.5)
        if not 0 <= salience <= 1:
            raise ValueError(f"tempo {given!r}: the salience {salience} is not between 0 and 1")
        if first > second:
            first, second, salience = second, first, 1 - salience
        return {"bpm": first if salience >= 0.5 else second, "tempi": [first, second], "salience": salience}

    def doubt(self, label: float | dict[str, Any]) -> str:
        """A tempo under 20 or over 400 BPM."""
        tempi = label["tempi"] if isinstance(label, Mapping) else [label]
        far = [bpm for bpm in tempi if not LEAST_BPM <= bpm <= MOST_BPM]
        return f"tempo {far[0]:g} BPM is under {LEAST_BPM} or over {MOST_BPM}" if far else ""

    def words(self, label: float | dict[str, Any]) -> list[str]:
        """The tempo, or both."""
        return ["/".join(f"{bpm:g}" for bpm in (label["tempi"] if isinstance(label, Mapping) else [label]))]

    def admits(self, label: float | dict[str, Any]) -> bool:
        """Whether the tempo is not too fast."""
        return self.fastest_bpm is None or _bpm(label) <= self.fastest_bpm

    @property
    def n_outputs(self) -> int:
        """One class per BPM."""
        return N_CLASSES

    def encode(
        self,
        label: float | dict[str, Any],
        n_frames: int = 1,
        frame_rate_hz: float = 1.0,
        start_s: float = 0.0,
    ) -> Float[Tensor, " label"]:
        """The distribution over classes; of two tempi, each with its salience."""
        if isinstance(label, Mapping):
            slow, fast = (_shape(bpm) for bpm in label["tempi"])
            target = label["salience"] * slow + (1 - label["salience"]) * fast
        else:
            target = _shape(label)
        return torch.as_tensor(target, dtype=torch.float32)

    def loss(
        self, logits: Tensor, target: Tensor, mask: Tensor | None = None, counts: Tensor | None = None
    ) -> Float[Tensor, ""]:
        """Cross-entropy with the soft target."""
        return mean_cross_entropy(logits, target, counts)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Softmax over the classes."""
        return logits.softmax(-1)

    def decode(self, probabilities: np.ndarray, frame_rate_hz: float = 1.0) -> Prediction:
        """The centre of the strongest peak, and the second strongest; all zero is 0 BPM, no tempo."""
        rest = np.array(probabilities, dtype=float)
        if not np.any(rest > 0):
            return Prediction(0.0, 0.0)
        rest /= rest.sum()
        bpm, strength = _peak(rest)
        confidence = float(rest[np.abs(CLASS_BPM - bpm) <= max(3.0, self.tolerance * bpm)].sum())
        rest[np.abs(CLASS_BPM - bpm) <= max(6.0, 0.08 * bpm)] = 0.0
        if not np.any(rest > 0):
            return Prediction(bpm, confidence)
        other, weak = _peak(rest)
        both: Any = self.parse((bpm, other, strength / (strength + weak)))
        return Prediction(bpm, confidence, {"tempi": both["tempi"], "salience": both["salience"]})

    def score(self, reference: float | dict[str, Any], estimated: float | dict[str, Any]) -> dict[str, float]:
        """Accuracy 1 and 2, octave errors, and the P-score where the reference has two tempi."""
        target, bpm = _bpm(reference), _bpm(estimated)
        hit = {name: self._near(bpm, target * factor) for name, factor in {"one": 1.0, **OCTAVES}.items()}
        kind = next((name for name, is_hit in hit.items() if is_hit), "other")
        return {
            "accuracy1": float(hit["one"]),
            "accuracy2": float(any(hit.values())),
            "p_score": self._p_score(reference, estimated),
            **{name: float(kind == name) for name in (*OCTAVES, "other")},
        }

    def score_prediction(self, reference: float | dict[str, Any], prediction: Prediction) -> dict[str, float]:
        """As `score`; the P-score reads both predicted tempi."""
        both = "tempi" in prediction.details
        return self.score(
            reference, {"bpm": _bpm(prediction.value), **prediction.details} if both else prediction.value
        )

    def summarise(self, rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """Means over tracks; without the P-score where no reference has two tempi."""
        means = super().summarise(rows)
        return {name: value for name, value in means.items() if name != "p_score" or np.isfinite(value)}

    def observations(self, prediction: Prediction, duration_s: float) -> list[Observation]:
        """One row, or one for each of two tempi with its salience as confidence."""
        bpm, confidence = _bpm(prediction.value), prediction.confidence or 0.0
        if "tempi" not in prediction.details:
            return [Observation(0.0, duration_s, bpm, confidence)]
        slow, fast = prediction.details["tempi"]
        salience = prediction.details["salience"]
        rows = [
            Observation(0.0, duration_s, slow, salience),
            Observation(0.0, duration_s, fast, 1 - salience),
        ]
        return rows if salience >= 0.5 else rows[::-1]

    def stretch(self, label: float | dict[str, Any], rate: float) -> float | dict[str, Any]:
        """Every tempo times `rate`."""
        if isinstance(label, Mapping):
            return {**label, "bpm": label["bpm"] * rate, "tempi": [bpm * rate for bpm in label["tempi"]]}
        return label * rate

    def config(self) -> dict[str, Any]:
        """The options."""
        return {"tolerance": self.tolerance, "fastest_bpm": self.fastest_bpm}

    @property
    def plain_baseline(self) -> PlainBaseline:
        """The strongest period of the onset envelope's autocorrelation."""
        return PlainBaseline("onset autocorrelation", self._autocorrelate)

    def _autocorrelate(self, waveform: np.ndarray, sample_rate_hz: int) -> Prediction:
        from sordino.baselines.onset_autocorrelation import estimate_tempi

        found = estimate_tempi(waveform, sample_rate_hz)
        if found is None:
            return Prediction(0.0)
        both: Any = self.parse(found)
        return Prediction(found[0], None, {"tempi": both["tempi"], "salience": both["salience"]})

    def _near(self, bpm: float, target: float) -> bool:
        return bool(abs(bpm - target) <= self.tolerance * target * (1 + 1e-9))

    def _p_score(self, reference: Any, estimated: Any) -> float:
        if not isinstance(reference, Mapping):
            return float("nan")
        tempi = estimated["tempi"] if isinstance(estimated, Mapping) else [_bpm(estimated), 0.0]
        if not any(tempi):
            return 0.0
        target = np.array(reference["tempi"])
        return float(mir_eval.tempo.detection(target, reference["salience"], np.array(tempi))[0])


def _bpm(label: float | Mapping[str, Any] | None) -> float:
    return float(label["bpm"] if isinstance(label, Mapping) else label or 0.0)


def _numbers(text: str) -> list[float]:
    """The numbers of a text; not a number where something in it is none."""
    for between in (r"[\s/;|]+|,\s+", r"[\s/;|,]+"):  # 60, 120 and 97,5; or else 60.5,120.5,0.7
        try:
            return [number(part) for part in re.split(between, text)]
        except ValueError:
            continue
    return [float("nan")]


def _shape(bpm: float) -> np.ndarray:
    """The target of one tempo, sum 1; its centre of mass is the tempo itself."""
    while bpm > N_CLASSES:
        bpm /= 2
    target = np.interp(np.abs(CLASS_BPM - max(bpm, 1.0)), np.arange(len(SHAPE)), SHAPE)
    return target / target.sum()


def _peak(distribution: np.ndarray) -> tuple[float, float]:
    """The centre of mass within 3 BPM of the strongest smoothed class, and the mass there."""
    index = int(np.argmax(np.convolve(distribution, SMOOTH, "same")))
    near = slice(max(0, index - 3), index + 4)
    mass = float(distribution[near].sum())
    return float(distribution[near] @ CLASS_BPM[near] / mass), mass
