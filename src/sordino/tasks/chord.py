"""Chords over time: root, quality and, if wanted, bass.

Paper: Harte et al., Symbolic representation of musical chords, 2005 (syntax); Pauwels and Peeters,
Evaluating automatically estimated chord sequences, 2013 (metrics), through mir_eval.

Conventions:
- A label is `[[start_s, end_s, chord], ...]` in order of time; a chord is `N`, `X` (unknown) or
  `root:quality(extensions)/bass` in Harte's syntax, its root spelt C Db D Eb E F F# G Ab A Bb B. Lead-sheet
  names (`Cm7`, `F#maj7`, `Bbdim`) are understood.
- Vocabularies: `majmin` (N and 24 triads), `sevenths` (N and 12 roots x maj min 7 maj7 min7). A chord
  outside is trained as its triad where that is major or minor, and else left out of the loss, as are frames
  that no chord covers.
- Frame i spans i to i + 1 over frame_rate_hz; its chord is the one in its middle.
- Scores of a track are weighted by duration; of several tracks too (`majmin`, `root`, ...), `majmin_mean`
  is the plain mean of tracks. `seg` is mir_eval's agreement of boundaries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sordino.contracts import Observation, PlainBaseline, Prediction, Task
from sordino.rules import NotNegative
from sordino.tasks import _mir_eval as mir_eval
from sordino.tasks._chord_names import DEGREES, NO_CHORD, ROOTS, UNKNOWN, parse_chord, transpose_chord
from sordino.tasks._chord_scores import compare

QUALITIES = {"majmin": ("maj", "min"), "sevenths": ("maj", "min", "7", "maj7", "min7")}
N_BASS = 13  # 12 pitch classes, none
SCORES = ("majmin", "sevenths", "root", "thirds", "mirex")


@dataclass
class Chord(Task):
    """The chords of a recording.

    Attributes:
        vocabulary: which qualities are told apart.
        bass: whether the bass note is predicted too.
        smoothing_s: how long another chord must be e times as likely before the answer changes.
    """

    name: ClassVar[str] = "chord"
    title: ClassVar[str] = "Chords: root, quality, bass"
    level: ClassVar = "frame"
    label = "chord"
    segment_s = 20.0
    namespace = "chord"
    examples = (
        [[0.0, 2.0, "C:maj"], [2.0, 3.2, "Am"], [3.2, 8.0, "G"], [8.0, 10.0, "N"]],
        [[0.0, 5.0, "F#:min"], [5.0, 10.0, "B"]],
        [[0.0, 1.0, "N"], [1.0, 4.0, "Eb:maj"], [4.0, 6.0, "Bb:min"]],
    )

    vocabulary: Literal["majmin", "sevenths"] = "majmin"
    bass: bool = False
    smoothing_s: NotNegative = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        self.metric = self.vocabulary
        self.chords = [NO_CHORD, *(f"{root}:{q}" for q in QUALITIES[self.vocabulary] for root in ROOTS)]

    @property
    def n_outputs(self) -> int:
        """Chord classes, and with `bass` 13 more."""
        return len(self.chords) + N_BASS * self.bass

    def parse(self, label: Any) -> list[list[Any]]:
        """Read rows of start, end and chord.

        Raises:
            ValueError: a row is no interval, overlaps the one before, or names no chord.
        """
        rows = []
        if isinstance(label, (str, Mapping)) or not isinstance(label, Iterable):
            raise ValueError(f"chord {label!r} is not a list of start, end, chord")
        for number, row in enumerate(label):
            try:
                start_s, end_s, chord = float(row[0]), float(row[1]), str(row[2])
            except (TypeError, ValueError, IndexError):
                raise ValueError(f"chord {number + 1}: {row!r} is not start, end, chord") from None
            if not 0 <= start_s <= end_s or (rows and start_s < rows[-1][1] - 0.01):
                raise ValueError(f"chord {number + 1}: {start_s} to {end_s} s is reversed or overlaps the one before")
            start_s = max(start_s, rows[-1][1]) if rows else start_s
            if end_s > start_s:
                try:
                    rows.append([start_s, end_s, parse_chord(chord)])
                except ValueError as error:
                    raise ValueError(f"chord {number + 1} (at {start_s:g} s): {error}") from None
        return rows

    def encode(
        self, label: list[list[Any]], n_frames: int, frame_rate_hz: float, start_s: float = 0.0
    ) -> Float[Tensor, "frame label"]:
        """One at each frame's chord (and bass); frames without a chord of the vocabulary are zero."""
        target = torch.zeros(n_frames, self.n_outputs)
        middles = start_s + (np.arange(n_frames) + 0.5) / frame_rate_hz
        for begin, end, chord in label:
            frames = slice(*np.searchsorted(middles, (begin, end)))
            index, bass = _classes(chord, self.vocabulary)
            if index is not None:
                target[frames, index] = 1.0
            if self.bass and bass is not None:
                target[frames, len(self.chords) + bass] = 1.0
        return target

    def loss(
        self, logits: Tensor, target: Tensor, mask: Tensor | None = None, counts: Tensor | None = None
    ) -> Float[Tensor, ""]:
        """Cross-entropy over the frames with a known chord; of the bass likewise, added."""
        counts = self.counts(target, mask) if counts is None else counts
        total = logits.new_zeros(())
        for group, known, count in zip(self._groups(), self._known(target, mask), counts, strict=True):
            each = -(target[..., group] * logits[..., group].log_softmax(-1)).sum(-1)
            total = total + (each * known).sum() / count.clamp_min(1)
        return total

    @property
    def n_counts(self) -> int:
        """One of the chords, one of the bass."""
        return len(self._groups())

    def counts(self, target: Tensor, mask: Tensor | None = None) -> Float[Tensor, " count"]:
        """Frames with a known chord, and with a known bass."""
        return torch.stack([known.sum().float() for known in self._known(target, mask)])

    def _known(self, target: Tensor, mask: Tensor | None) -> list[Tensor]:
        """By group, which real frames have a class, [clip frame]."""
        known = [target[..., group].sum(-1) > 0 for group in self._groups()]
        return known if mask is None else [own & mask for own in known]

    def probabilities(self, logits: Tensor) -> Tensor:
        """Softmax over chords, and over bass notes."""
        return torch.cat([logits[..., group].softmax(-1) for group in self._groups()], -1)

    def decode(self, probabilities: np.ndarray, frame_rate_hz: float) -> Prediction:
        """The likeliest sequence when changes cost something; the confidence is its mean probability."""
        probabilities = np.asarray(probabilities, dtype=float)
        if len(probabilities) == 0 or not np.any(probabilities > 0):
            return Prediction([], 0.0)
        path = smooth(probabilities[:, : len(self.chords)], self.smoothing_s * frame_rate_hz)
        edges = [0, *(np.flatnonzero(np.diff(path)) + 1).tolist(), len(path)]
        rows = []
        for begin, end in pairwise(edges):
            chord = self.chords[path[begin]]
            if self.bass and chord != NO_CHORD:
                chord += self._bass_of(chord, probabilities[begin:end, len(self.chords) :].sum(0))
            rows.append([begin / frame_rate_hz, end / frame_rate_hz, chord])
        return Prediction(rows, float(probabilities[np.arange(len(path)), path].mean()))

    def score(self, reference: list[list[Any]], estimated: list[list[Any]]) -> dict[str, float]:
        """mir_eval's comparisons, weighted by duration; the estimate is cut or filled with N."""
        names = [*SCORES, *(("majmin_inv", "sevenths_inv") if self.bass else ()), "seg"]
        return compare(reference, estimated, names)

    def decide(self, references: Sequence[list[list[Any]]], predictions: Sequence[Prediction]) -> float:
        """The deciding comparison alone."""
        rows = [compare(r, p.value, [self.metric]) for r, p in zip(references, predictions, strict=True)]
        return self.summarise(rows)[self.metric]

    def track_weights(self, rows: Sequence[Mapping[str, float]]) -> np.ndarray:
        """The annotated durations."""
        return np.nan_to_num([row["duration_s"] for row in rows])

    def summarise(self, rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """Means weighted by the tracks' annotated durations, and the plain mean of the deciding metric."""
        means = super().summarise(rows)
        weight = self.track_weights(rows)
        result = {}
        for name in means.keys() - {"duration_s"}:
            value = np.array([row[name] for row in rows])
            known = np.isfinite(value)
            result[name] = float(np.average(value[known], weights=weight[known])) if known.any() else float("nan")
        return {
            **{name: result[name] for name in means if name in result},
            f"{self.metric}_mean": means[self.metric],
        }

    def observations(self, prediction: Prediction, duration_s: float) -> list[Observation]:
        """A row for each chord."""
        return [Observation(start, end - start, chord, prediction.confidence) for start, end, chord in prediction.value]

    def transpose(self, label: list[list[Any]], semitones: int) -> list[list[Any]]:
        """Every root so many semitones higher (a bass is an interval above its root)."""
        return [[start, end, transpose_chord(chord, semitones)] for start, end, chord in label]

    def stretch(self, label: list[list[Any]], rate: float) -> list[list[Any]]:
        """All times divided by `rate`."""
        return [[start / rate, end / rate, chord] for start, end, chord in label]

    def shift(self, label: list[list[Any]], by_s: float) -> list[list[Any]]:
        """All times later."""
        return [[start + by_s, end + by_s, chord] for start, end, chord in label]

    def pitch_classes(self, chord: str) -> list[int]:
        """The notes of a chord as semitones above C, its root first; none of `N` and `X`."""
        if chord in (NO_CHORD, UNKNOWN):
            return []
        root, bitmap, _ = mir_eval.chord.encode(chord)
        return [(int(root) + int(step)) % 12 for step in np.flatnonzero(bitmap)]

    def config(self) -> dict[str, Any]:
        """The options."""
        return asdict(self)

    @property
    def plain_baseline(self) -> PlainBaseline:
        """Chroma compared with binary chord templates, smoothed."""
        return PlainBaseline("chroma template", self._match_templates)

    def _match_templates(self, waveform: np.ndarray, sample_rate_hz: int) -> list[list[Any]]:
        from sordino.baselines.chroma_template import HOP_S, chroma, template_fit

        templates = np.stack([np.roll(mir_eval.chord.QUALITIES[q], root) for q in QUALITIES[self.vocabulary]
                              for root in range(12)]).astype(float)  # fmt: skip
        features = chroma(waveform, sample_rate_hz)
        silent = features.max(1, keepdims=True) == 0
        fit = np.exp(12 * np.concatenate([np.where(silent, 1.0, 0.0), template_fit(features, templates)], 1))
        plain = Chord(self.vocabulary, smoothing_s=self.smoothing_s)
        return plain.decode(fit / fit.sum(1, keepdims=True), 1 / HOP_S).value

    def _groups(self) -> list[slice]:
        n = len(self.chords)
        return [slice(0, n), slice(n, n + N_BASS)] if self.bass else [slice(0, n)]

    def _bass_of(self, chord: str, weights: np.ndarray) -> str:
        bass = int(np.argmax(weights))
        if bass == N_BASS - 1:
            return ""
        degree = (bass - ROOTS.index(chord.split(":")[0])) % 12
        return f"/{DEGREES[degree]}" if degree else ""


@lru_cache(4096)
def _classes(chord: str, vocabulary: str) -> tuple[int | None, int | None]:
    """The chord's class and its bass's, None where unknown."""
    if chord in (NO_CHORD, UNKNOWN):
        return (0, N_BASS - 1) if chord == NO_CHORD else (None, None)
    root, bitmap, bass = mir_eval.chord.encode(chord)
    qualities = QUALITIES[vocabulary]
    for quality in (*qualities[2:], *qualities[:2]):
        shape = mir_eval.chord.QUALITIES[quality]
        length = 12 if len(quality.strip("majin")) else 8
        if np.array_equal(bitmap[:length], shape[:length]):
            return 1 + 12 * qualities.index(quality) + root, (root + bass) % 12
    return None, (root + bass) % 12


def smooth(probabilities: Float[np.ndarray, "frame label"], change_cost: float) -> np.ndarray:
    """Viterbi: the classes with the highest sum of log probabilities less `change_cost` per change."""
    log = np.log(np.maximum(probabilities, 1e-8))
    score, scores = np.zeros(log.shape[1]), np.empty_like(log)
    for own, kept in zip(log, scores, strict=True):
        np.maximum(score, score.max() - change_cost, out=score)
        score += own
        kept[:] = score
    best = scores.argmax(1).tolist()
    stays = (scores >= scores.max(1, keepdims=True) - change_cost).tolist()
    path = [best[-1]]
    for frame in range(len(log) - 2, -1, -1):
        path.append(path[-1] if stays[frame][path[-1]] else best[frame])
    return np.array(path[::-1])
