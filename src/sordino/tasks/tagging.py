"""Tagging: which of many tags belong to a recording.

Paper: Parameter-Efficient Transfer Learning for Music Foundation Models, 2024, arXiv 2411.19371: binary
cross-entropy, macro mAP and ROC-AUC.
Differs: a tag without a positive or without a negative track is undefined, named in the notes and left out
of the mean; torchmetrics, which the paper's public code uses, counts such a tag (`map_torchmetrics`,
`roc_auc_torchmetrics`).

Conventions:
- A label is a sorted list of tags. The vocabulary is learned from the training labels; other tags are
  ignored. A tag behind `?` was not judged: whether it is there counts neither in the loss nor in a score.
- `map` and `roc_auc` are means over tags (as scikit-learn's `macro`); the two of torchmetrics are means over all
  tags, in which an undefined average precision counts 0 without a positive and 1 without a negative track, an
  undefined area 0. `f1` is the mean over tags of hard
  answers. Per track: precision, recall and F1 of its hard answer. A prediction without probabilities counts
  as 1 for its tags and 0 for others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from sordino.contracts import Evaluation, Observation, PlainBaseline, Prediction, Task
from sordino.contracts.cells import several
from sordino.rules import NotNegative, Range, Share
from sordino.tasks._tag_metrics import average_precision, best_thresholds, ranked_precision, roc_auc

MAX_WEIGHT = 50.0
UNJUDGED = "?"


@dataclass
class Tagging(Task):
    """Tags of a recording.

    Attributes:
        label: the label of a track that holds its tags, such as `tags` or `instruments`.
        balance: whether rare tags' positives weigh more in the loss (by negatives per positive, at most 50).
        tags: the vocabulary; learned by `fit` when empty.
        weights: the positives' weights, learned by `fit`.
        thresholds: from which probability on a tag is given, learned by `tune`; 0.5 each when empty.
        at_least: so many of the most probable tags are given even below their thresholds.
    """

    name: ClassVar[str] = "tagging"
    title: ClassVar[str] = "Tagging: many tags, each yes or no"
    level: ClassVar = "clip"
    tunes: ClassVar = True
    metric = "map"
    beside = ("roc_auc", "map_torchmetrics", "roc_auc_torchmetrics")
    segment_s = 10.0
    namespace = "tag_open"
    examples = (["guitar", "drums"], "piano; voice", {"guitar": True}, [], "drums|piano")

    label: str = "tags"
    balance: bool = False
    tags: list[str] = field(default_factory=list)
    weights: list[NotNegative] = field(default_factory=list)
    thresholds: list[Share] = field(default_factory=list)
    at_least: Annotated[int, Range(0)] = 0

    def parse(self, label: Any) -> list[str]:
        """Read a list of tags, a text (see `cells.several`: between `;` or `|`, else `,`), or a mapping to yes, no, or
        None for what was not judged; in lists and texts that is a tag behind `?`.

        Raises:
            ValueError: it is something else.
        """
        if isinstance(label, Mapping):
            label = [tag if given else f"{UNJUDGED}{tag}" for tag, given in label.items() if given or given is None]
        if isinstance(label, str):
            label = several(label)
        if label is None or not isinstance(label, (Sequence, set, frozenset)):
            raise ValueError(f"{self.label} {label!r} is not a list of tags")
        tags = {str(tag).strip() for tag in label} - {"", UNJUDGED}
        return sorted(tags - {f"{UNJUDGED}{tag}" for tag in tags})

    def words(self, label: list[str]) -> list[str]:
        """The tags that are there."""
        return [tag for tag in label if not tag.startswith(UNJUDGED)]

    def fit(self, labels: Sequence[list[str]]) -> None:
        """Learn the vocabulary (unless given) and the weights of positives."""
        counts = Counter(tag for tags in labels for tag in tags)
        self.tags = list(self.tags) or self.words(sorted(counts))
        if not self.tags:
            raise ValueError(f"{self.label}: no track of the training split has a tag")
        judged = {tag: len(labels) - counts[f"{UNJUDGED}{tag}"] for tag in self.tags}
        share = [(judged[tag] - counts[tag]) / max(counts[tag], 1) for tag in self.tags]
        self.weights = [float(np.clip(value, 1 / MAX_WEIGHT, MAX_WEIGHT)) for value in share] if self.balance else []
        self.frequencies = [counts[tag] / max(judged[tag], 1) for tag in self.tags]

    @property
    def n_outputs(self) -> int:
        """One output per tag."""
        if not self.tags:
            raise ValueError("tagging has no tags yet: give tags = [...] or call fit with the training labels")
        return len(self.tags)

    def encode(
        self, label: list[str], n_frames: int = 1, frame_rate_hz: float = 1.0, start_s: float = 0.0
    ) -> Float[Tensor, " label"]:
        """One at each tag of the vocabulary that is given, nan at those that were not judged."""
        nan = float("nan")
        return torch.tensor([nan if f"{UNJUDGED}{tag}" in label else float(tag in label) for tag in self.tags])

    def counts(self, target: Tensor, mask: Tensor | None = None) -> Float[Tensor, " count"]:
        """The clips, each as far as it was judged."""
        return target.isfinite().float().mean(-1).sum()[None]

    def loss(
        self, logits: Tensor, target: Tensor, mask: Tensor | None = None, counts: Tensor | None = None
    ) -> Float[Tensor, ""]:
        """Binary cross-entropy of what was judged."""
        weight = torch.tensor(self.weights, device=logits.device) if self.weights else None
        each = functional.binary_cross_entropy_with_logits(
            logits, target.nan_to_num().to(logits.dtype), pos_weight=weight, reduction="none"
        )
        (n,) = self.counts(target) if counts is None else counts
        return (each * target.isfinite()).mean(-1).sum() / n.clamp_min(0.5 / self.n_outputs)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Sigmoid of each tag."""
        return logits.sigmoid()

    def decode(self, probabilities: np.ndarray, frame_rate_hz: float = 1.0) -> Prediction:
        """The tags at or above their thresholds, and the most probable ones; every tag's probability in the details."""
        thresholds = self.thresholds or [0.5] * len(self.tags)
        named = {tag: float(p) for tag, p in zip(self.tags, probabilities, strict=True)}
        first = sorted(named, key=named.__getitem__, reverse=True)[: self.at_least]
        given = [tag for tag, least in zip(self.tags, thresholds, strict=True) if named[tag] >= least or tag in first]
        return Prediction(sorted(given), None, {"probabilities": named})

    def observations(self, prediction: Prediction, duration_s: float) -> list[Observation]:
        """A row for each tag that is given, with its probability."""
        known = prediction.details.get("probabilities", {})
        return [Observation(0.0, duration_s, tag, known.get(tag)) for tag in prediction.value]

    def tune(self, probabilities: Sequence[np.ndarray], labels: Sequence[list[str]]) -> None:
        """Set each tag's threshold to the one with the best F1 on (validation) tracks."""
        if len(labels):
            judged = self._judged(labels)
            self.thresholds = best_thresholds(self._matrix(labels), np.stack(probabilities), judged).tolist()

    def score(self, reference: list[str], estimated: list[str]) -> dict[str, float]:
        """Precision, recall and F1 of one track's tags; 1 where there are none and none is given."""
        judged = {*self.tags} - {*_unjudged(reference)}
        true, given = (set(tags) & judged for tags in (reference, estimated))
        hits = len(true & given)
        precision = hits / len(given) if given else float(not true)
        recall = hits / len(true) if true else float(not given)
        return {"f1": 2 * hits / (len(true) + len(given)) if true or given else 1.0,
                "precision": precision, "recall": recall}  # fmt: skip

    def evaluate(self, references: Sequence[list[str]], predictions: Sequence[Prediction]) -> Evaluation:
        """Macro mAP, ROC-AUC and F1 over tags; scores by tag among the tables."""
        rows = [self.score(r, p.value) for r, p in zip(references, predictions, strict=True)]
        if not rows:
            return Evaluation(dict.fromkeys(("map", "roc_auc", "f1", *self.beside), float("nan")), [])
        targets, hard, scores, judged = self._tables(references, predictions)
        both = 2.0 * (targets & hard).sum(0)
        present = (targets | hard).any(0)
        f1 = np.where(present, both / np.where(present, targets.sum(0) + hard.sum(0), 1), np.nan)
        area = roc_auc(targets, scores, judged)
        tables = {"map": average_precision(targets, scores, judged), "roc_auc": area, "f1": f1}
        undefined = [tag for tag, value in zip(self.tags, tables["map"], strict=True) if np.isnan(value)]
        notes = [f"undefined without a positive or a negative track, left out of the means: {', '.join(undefined)}"]
        notes = notes if undefined else []
        if not judged.all():
            notes.append(f"{(~judged).sum():,} of {judged.size:,} tags of tracks were not judged and do not count")
        by_tag = {name: dict(zip(self.tags, values.tolist(), strict=True)) for name, values in tables.items()}
        means = {name: float(np.nanmean(v)) if np.isfinite(v).any() else float("nan") for name, v in tables.items()}
        always = judged.any(0) & (targets | ~judged).all(0)
        counted = {"map": always.astype(float), "roc_auc": 0.0}  # in torchmetrics, where it is undefined
        for name, value in counted.items():
            means[f"{name}_torchmetrics"] = float(np.where(np.isnan(tables[name]), value, tables[name]).mean())
        return Evaluation(means, rows, notes, {"by_tag": by_tag})

    def metric_of_draws(
        self, references: Sequence[list[str]], predictions: Sequence[Prediction], rows: Sequence[Mapping[str, float]]
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Macro mAP."""
        targets, _, scores, judged = self._tables(references, predictions)
        precision = ranked_precision(targets, scores, judged)

        def mean(counts: np.ndarray) -> np.ndarray:
            by_tag = np.stack([precision(draw) for draw in counts])
            n_defined = np.isfinite(by_tag).sum(1)
            return np.where(n_defined > 0, np.nan_to_num(by_tag).sum(1) / np.maximum(n_defined, 1), np.nan)

        return mean

    def config(self) -> dict[str, Any]:
        """Options, vocabulary, weights and thresholds."""
        return asdict(self)

    @property
    def plain_baseline(self) -> PlainBaseline | None:
        """The tags that most training tracks have (known after `fit`), whatever the sound."""
        frequencies = getattr(self, "frequencies", None)
        if frequencies is None:
            return None
        usual = sorted(tag for tag, share in zip(self.tags, frequencies, strict=True) if share >= 0.5)
        return PlainBaseline("usual tags", lambda wave, rate_hz: usual, constant=True)

    def _tables(
        self, references: Sequence[list[str]], predictions: Sequence[Prediction]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Which tags are true, which are given, the score of each, and which were judged, [track label]."""
        judged = self._judged(references)
        targets, hard = self._matrix(references), self._matrix([p.value for p in predictions]) & judged
        scores = hard.astype(float)
        for row, prediction in enumerate(predictions):
            if "probabilities" in prediction.details:
                scores[row] = [prediction.details["probabilities"][tag] for tag in self.tags]
        return targets, hard, scores, judged

    def _judged(self, labels: Sequence[list[str]]) -> np.ndarray:
        return ~self._matrix([_unjudged(tags) for tags in labels])

    def _matrix(self, labels: Sequence[list[str]]) -> np.ndarray:
        index = {tag: column for column, tag in enumerate(self.tags)}
        matrix = np.zeros((len(labels), len(self.tags)), dtype=bool)
        for row, tags in enumerate(labels):
            matrix[row, [index[tag] for tag in tags if tag in index]] = True
        return matrix


def _unjudged(label: Sequence[str]) -> list[str]:
    """The tags that were not judged."""
    return [tag.removeprefix(UNJUDGED) for tag in label if tag.startswith(UNJUDGED)]
