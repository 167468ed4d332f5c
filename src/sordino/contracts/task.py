"""Task: labels to targets, loss, outputs to answers, metrics; with Prediction and Evaluation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sordino.contracts.cells import words
from sordino.contracts.dataset import Track, Unreadable
from sordino.rules import shown
from sordino.settings import Settings

Label = Any  # what a task's `parse` returns: plain, JSON-able data


@dataclass
class Prediction:
    """A task's answer for one recording.

    Attributes:
        value: in the form of a parsed label, JSON-able: "A minor", 120.5, {"beats": [...], "downbeats": [...]}.
        confidence: 0 to 1, or None where the task has no single one.
        details: what else is worth telling (alternatives, per-tag probabilities), JSON-able.
    """

    value: Label
    confidence: float | None = None
    details: dict[str, Any] = field(default_factory=dict)


class Observation(NamedTuple):
    """One thing said about a stretch of a recording: a row of a CSV file, an observation of a JAMS file."""

    start_s: float
    duration_s: float
    value: Any
    confidence: float | None


@dataclass
class Evaluation:
    """Scores of one task on a list of tracks.

    Attributes:
        metrics: name to value, the task's `metric` among them.
        per_track: one dict per track, in the order of the tracks.
        notes: what a reader must know of these numbers (undefined tags, conventions).
        tables: what is no single number (a confusion matrix, scores by tag), JSON-able.
    """

    metrics: dict[str, float]
    per_track: list[dict[str, float]]
    notes: list[str] = field(default_factory=list)
    tables: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PlainBaseline:
    """A task's estimator without any learning.

    Attributes:
        title: what it is, in the few words of a table.
        estimate: from a mono waveform [time] and its rate in Hz to an answer, a label or a prediction.
        constant: the answer is the same whatever the sound.
    """

    title: str
    estimate: Callable[[np.ndarray, int], Any]
    constant: bool = False

    def __call__(self, waveform: np.ndarray, sample_rate_hz: int) -> Prediction:
        """The answer for a recording."""
        answer = self.estimate(waveform, sample_rate_hz)
        return answer if isinstance(answer, Prediction) else Prediction(answer)


class Task(Settings, ABC):
    """Labels to targets, loss, outputs to answers, metrics. A subclass is a dataclass-like object with few options.

    Attributes:
        level: `clip` (one output per clip) or `frame` (one per frame).
        label: the name of the label it reads from a track (`labels` of tracks and datasets).
        metric: the metric that decides (higher is better), a key of `Evaluation.metrics`.
        beside: other metrics that stand beside it in tables.
        segment_s: the usual length of a training crop and of an evaluation segment.
        tunes: `tune` decides something after training.
        examples: a few raw labels, all different, in forms that `parse` understands; shown to users and in tests.
        namespace: the JAMS namespace of its observations.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    level: ClassVar[Literal["clip", "frame"]]
    label: str
    metric: str
    beside: ClassVar[tuple[str, ...]] = ()
    segment_s: float = 10.0
    tunes: ClassVar[bool] = False
    examples: ClassVar[tuple[Any, ...]]
    namespace: ClassVar[str] = "blob"

    @abstractmethod
    def parse(self, label: Any) -> Label:
        """A raw label in the task's one form; every usual spelling is understood.

        Raises:
            ValueError: it is not a label of this task; says what it is and what would be.
        """

    def read(self, track: Track) -> Label | None:
        """A track's label, parsed; None where it has none.

        Raises:
            ValueError: it is not a label of this task; says which file and line, what it is and what would be.
        """
        raw = track.labels.get(self.label)
        if isinstance(raw, Unreadable):
            raise ValueError(raw.reason)
        try:
            return None if raw is None else self.parse(raw)
        except ValueError as error:
            reason = str(error)
        except (
            TypeError,
            ArithmeticError,
            LookupError,
            AttributeError,
            RecursionError,
        ) as error:  # anything may stand there
            reason = f"{shown(raw, 40)} is not understood ({type(error).__name__})"
        what = "" if reason.startswith(self.label) else f"{self.label}: "
        places = [track.info.get("source", track.id), track.info.get("places", {}).get(self.label, "")]
        raise ValueError(f"{' '.join(filter(None, places))}: {what}{reason}")

    def doubt(self, label: Label) -> str:
        """Why a label is one but hardly meant so, in a few words; by default never."""
        return ""

    def words(self, label: Label) -> list[str]:
        """A label as it is counted in reports."""
        return words(label)

    def admits(self, label: Label) -> bool:
        """Whether a parsed label counts; if not, its recording is left out as if it were not labelled."""
        return True

    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """Width of the head's output."""

    @abstractmethod
    def encode(self, label: Label, n_frames: int, frame_rate_hz: float, start_s: float = 0.0) -> Tensor:
        """The target of a crop that begins at `start_s`: [label], or [frame label] for a frame task."""

    @abstractmethod
    def loss(
        self, logits: Tensor, target: Tensor, mask: Tensor | None = None, counts: Tensor | None = None
    ) -> Float[Tensor, ""]:
        """Loss over the clips or the real frames of a batch: sums, each divided by one of `counts`.

        Args:
            logits: [clip label] or [clip frame label]; clips without a label are left out before.
            target: as `encode` gives it, stacked.
            mask: [clip frame], which frames are real; None when all are, and for clip tasks.
            counts: what to divide by where the batch is a part of a larger one; None: as `counts` says of this batch.
        """

    @property
    def n_counts(self) -> int:
        """How many `counts` there are."""
        return 1

    def counts(self, target: Tensor, mask: Tensor | None = None) -> Float[Tensor, " count"]:
        """What `loss` divides by; counts of parts add up to those of the whole. By default the number of clips."""
        return torch.tensor([float(len(target))], device=target.device)

    @abstractmethod
    def probabilities(self, logits: Tensor) -> Tensor:
        """What is averaged when segments are joined: [... label], same shape as the logits."""

    @abstractmethod
    def decode(self, probabilities: np.ndarray, frame_rate_hz: float) -> Prediction:
        """The answer, from joined probabilities [label] or [frame label]."""

    @abstractmethod
    def score(self, reference: Label, estimated: Label) -> dict[str, float]:
        """Scores of one track; what is undefined is nan."""

    def score_prediction(self, reference: Label, prediction: Prediction) -> dict[str, float]:
        """Scores of one track; by default of the prediction's value alone."""
        return self.score(reference, prediction.value)

    def summarise(self, rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """Metrics from the scores of tracks; by default their means, nan left out."""
        names = list(rows[0]) if rows else [self.metric]
        table = {name: np.array([row[name] for row in rows], dtype=float) for name in names}
        return {name: float(np.nanmean(v)) if np.isfinite(v).any() else float("nan") for name, v in table.items()}

    def evaluate(self, references: Sequence[Label], predictions: Sequence[Prediction]) -> Evaluation:
        """Scores of a list of tracks; override it where a metric is no summary of the tracks' own scores."""
        rows = [self.score_prediction(r, p) for r, p in zip(references, predictions, strict=True)]
        metrics = self.summarise(rows)
        undefined = {name: sum(bool(np.isnan(row.get(name, 0.0))) for row in rows) for name in metrics}
        notes = [f"{name}: undefined for {n} of {len(rows)} tracks, left out" for name, n in undefined.items() if n]
        return Evaluation(metrics, rows, notes)

    def decide(self, references: Sequence[Label], predictions: Sequence[Prediction]) -> float:
        """The deciding metric of `evaluate` alone, for validations while training; override it where that is less work.

        Args:
            references: parsed labels.
            predictions: answers, in the same order.
        """
        return self.evaluate(references, predictions).metrics[self.metric]

    def track_weights(self, rows: Sequence[Mapping[str, float]]) -> Float[np.ndarray, " track"]:
        """How much each track counts where the deciding metric is a mean over tracks; by default all the same."""
        return np.ones(len(rows))

    def metric_of_draws(
        self, references: Sequence[Label], predictions: Sequence[Prediction], rows: Sequence[Mapping[str, float]]
    ) -> Callable[[Float[np.ndarray, "draw track"]], Float[np.ndarray, " draw"]]:
        """The deciding metric as a function of how often each track is there: what `evaluate` gives for such a list.

        By default the mean of the tracks' own scores with their `track_weights`, nan left out; override it together
        with `evaluate` where the metric is no such mean.

        Args:
            references: parsed labels.
            predictions: answers, in the same order.
            rows: the tracks' own scores, in the same order.

        Returns:
            A function from counts [draw track] to the metric [draw], nan where it is undefined.
        """
        values = np.array([row[self.metric] for row in rows], dtype=float)
        weights = np.where(np.isfinite(values), self.track_weights(rows), 0.0)
        sums = np.stack([np.where(np.isfinite(values), values, 0.0) * weights, weights], 1)

        def mean(counts: Float[np.ndarray, "draw track"]) -> Float[np.ndarray, " draw"]:
            total, weight = (counts @ sums).T
            return np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), np.nan)

        return mean

    def observations(self, prediction: Prediction, duration_s: float) -> list[Observation]:
        """The answer as rows with a time; by default one row for the whole recording."""
        return [Observation(0.0, duration_s, prediction.value, prediction.confidence)]

    def namespace_value(self, value: Any) -> Any:
        """An observation's value as the JAMS namespace spells it."""
        return value

    def fit(self, labels: Sequence[Label]) -> None:
        """Learn from the training labels what the task needs to know (class names, ranges); most need nothing."""

    def tune(self, probabilities: Sequence[np.ndarray], labels: Sequence[Label]) -> None:
        """Set what is decided after training (thresholds) from joined probabilities of the validation tracks."""

    def transpose(self, label: Label, semitones: int) -> Label:
        """The label after a pitch shift of the audio; unchanged unless pitch matters."""
        return label

    def stretch(self, label: Label, rate: float) -> Label:
        """The label after playing the audio `rate` times as fast; unchanged unless time matters."""
        return label

    def shift(self, label: Label, by_s: float) -> Label:
        """The label of a recording that begins so much earlier; unchanged unless it holds times."""
        return label

    def config(self) -> dict[str, Any]:
        """What `restore` needs, JSON-able: options and whatever `fit` learned."""
        return {}

    @classmethod
    def restore(cls, config: Mapping[str, Any]) -> Task:
        """A task from its `config`."""
        return cls(**config)

    @property
    def plain_baseline(self) -> PlainBaseline | None:
        """An estimator without any learning, or None where there is none."""
        return None
