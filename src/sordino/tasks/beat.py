"""Beats and downbeats.

Paper: Foscarin, Schlueter and Widmer, Beat This! Accurate beat tracking without DBN postprocessing, 2024
(shift-tolerant loss, two outputs). Metrics: Davies, Degara and Plumbley, Evaluation methods for musical
audio beat tracking algorithms, 2009, through mir_eval.
Differs: the zone around a beat in which the peak may fall is written into the target, in seconds and not in
frames, and positives and negatives count alike in every batch.

Conventions:
- A label is `{"beats": [s, ...], "downbeats": [s, ...] or None}`; None: where the bars begin is not known.
  Every downbeat is a beat. Frame i lies at i / frame_rate_hz seconds.
- The target is a triangle around each beat: 1 at the beat, falling to 0 beyond 40 ms, so that the fraction
  of a frame is kept (one frame of MusicFM is 40 ms); -1 in the second column where the bars are not known.
- `f_measure`, `cmlt`, `amlt` leave out the first five seconds, as mir_eval does; `_full` ones do not. What
  has no reference beats is undefined (nan), an estimate without beats scores 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from sordino.contracts import Observation, PlainBaseline, Prediction, Task
from sordino.rules import Share
from sordino.tasks import _mir_eval as mir_eval
from sordino.tasks._beat_tracking import find_bars, pick_peaks, to_logit, track_beats

ZONE_S = 0.04
PEAK = 0.7  # a target's local maximum above this is a beat (half a frame off, it is 0.75 or more)
MAX_ZONE_FRAMES = 4
SKIPPED_S = 5.0


@dataclass
class Beat(Task):
    """Beat and downbeat times.

    Attributes:
        decoder: `dp`, a tracker with an even tempo and whole bars, or `peaks`, all peaks above `threshold`.
        threshold: for `peaks`.
    """

    name: ClassVar[str] = "beat"
    title: ClassVar[str] = "Beats and downbeats"
    level: ClassVar = "frame"
    label = "beat"
    metric = "f_measure"
    segment_s = 20.0
    namespace = "beat"
    examples = (
        {"beats": [0.5 * n for n in range(1, 40)], "downbeats": [0.5 * n for n in range(1, 40, 4)]},
        [[0.2 + 0.613 * n, n % 3 + 1] for n in range(30)],
        [0.1 + 0.41 * n for n in range(45)],
    )

    decoder: Literal["dp", "peaks"] = "dp"
    threshold: Share = 0.5

    def parse(self, label: Any) -> dict[str, Any]:
        """Read beats as a mapping, as times, or as (time, place in the bar) rows where place 1 is a downbeat.

        Raises:
            ValueError: a time is not a number or is negative, or a downbeat is far from every beat.
        """
        if isinstance(label, Mapping):
            beats, downbeats = label.get("beats"), label.get("downbeats")
        else:
            beats, downbeats = label, None
        try:
            beats = np.asarray([] if beats is None else beats, dtype=float)
            if beats.ndim == 2 and beats.shape[1] == 2:
                beats, downbeats = beats[:, 0], beats[beats[:, 1] == 1, 0]
            downbeats = np.asarray([] if downbeats is None else downbeats, dtype=float)
            times = np.concatenate([beats, downbeats])
        except (TypeError, ValueError) as error:
            raise ValueError(f"beat {str(label)[:60]!r} is not a list of times in seconds: {error}") from None
        if times.ndim != 1 or not np.all(np.isfinite(times) & (times >= 0)):
            raise ValueError(f"beat {str(label)[:60]!r}: times must be seconds, 0 or later")
        beats = np.unique(beats)
        far = [t for t in downbeats if len(beats) == 0 or np.abs(beats - t).min() > 0.1]
        if far:
            raise ValueError(f"beat: the downbeat at {far[0]:.3f} s is more than 0.1 s from every beat")
        nearest = np.unique([beats[np.abs(beats - t).argmin()] for t in downbeats])
        return {"beats": beats.tolist(), "downbeats": nearest.tolist() if len(nearest) else None}

    @property
    def n_outputs(self) -> int:
        """Beat and downbeat."""
        return 2

    def encode(
        self, label: dict[str, Any], n_frames: int, frame_rate_hz: float, start_s: float = 0.0
    ) -> Float[Tensor, "frame label"]:
        """Triangles around beats and downbeats."""
        target = np.full((n_frames, 2), -1.0)
        for column, name in enumerate(("beats", "downbeats")):
            if label[name] is not None:
                target[:, column] = _triangles(np.array(label[name]) - start_s, n_frames, frame_rate_hz)
        return torch.as_tensor(target, dtype=torch.float32)

    def loss(
        self, logits: Tensor, target: Tensor, mask: Tensor | None = None, counts: Tensor | None = None
    ) -> Float[Tensor, ""]:
        """Binary cross-entropy: for each beat the best frame of its zone, against all outside of zones."""
        zone, beat, outside = _regions(target, mask)
        counts = self.counts(target, mask) if counts is None else counts
        best = _neighbourhood(torch.where(zone, logits, torch.finfo(logits.dtype).min), MAX_ZONE_FRAMES)
        positive = functional.softplus(-torch.where(beat, best, 0.0)) * beat
        negative = functional.softplus(logits) * outside
        sums = torch.cat([positive.sum((0, 1)), negative.sum((0, 1))])
        return (sums / counts.clamp_min(1)).sum() / (2 * self.n_outputs)

    @property
    def n_counts(self) -> int:
        """Four, see `counts`."""
        return 4

    def counts(self, target: Tensor, mask: Tensor | None = None) -> Float[Tensor, " count"]:
        """Beats, downbeats; frames outside of the zones of the ones and of the others."""
        _, beat, outside = _regions(target, mask)
        return torch.cat([beat.sum((0, 1)), outside.sum((0, 1))]).float()

    def probabilities(self, logits: Tensor) -> Tensor:
        """Sigmoid: beat, downbeat."""
        return logits.sigmoid()

    def decode(self, probabilities: np.ndarray, frame_rate_hz: float) -> Prediction:
        """Beats with their downbeats; `tempo_bpm` of the median interval and `beats_per_bar` among the details."""
        beat, downbeat = np.asarray(probabilities, dtype=float).T
        if self.decoder == "dp":
            beats = track_beats(beat, frame_rate_hz)
        else:
            beats = pick_peaks(beat, frame_rate_hz, self.threshold)
        if len(beats) == 0:
            return Prediction({"beats": [], "downbeats": None}, 0.0)
        frames = np.clip(np.round(beats * frame_rate_hz).astype(int), 0, len(beat) - 1)
        near = _window_max(downbeat, max(1, round(ZONE_S * frame_rate_hz)))[frames]
        if self.decoder == "dp":
            bars = find_bars(near)
            downbeats = beats[bars & (to_logit(near[bars]).sum() > 0)]
        else:
            peaks = pick_peaks(downbeat, frame_rate_hz, self.threshold)
            downbeats = beats[np.unique([np.abs(beats - t).argmin() for t in peaks]).astype(int)]
        value = {"beats": beats.tolist(), "downbeats": downbeats.tolist() if len(downbeats) else None}
        details: dict[str, Any] = {"tempo_bpm": float(60 / np.median(np.diff(beats)))} if len(beats) > 1 else {}
        if len(downbeats) > 1:
            lengths = np.diff(np.searchsorted(beats, downbeats))
            details["beats_per_bar"] = int(np.bincount(lengths).argmax())
        return Prediction(value, float(beat[frames].mean()), details)

    def score(self, reference: dict[str, Any], estimated: dict[str, Any]) -> dict[str, float]:
        """F-measure (70 ms), CMLt, AMLt of the beats and F-measure of downbeats, after 5 s and in full."""
        result = {}
        for suffix, skipped_s in (("", SKIPPED_S), ("_full", 0.0)):
            beats: Any = [_after(label["beats"], skipped_s) for label in (reference, estimated)]
            downbeats = [_after(label["downbeats"], skipped_s) for label in (reference, estimated)]
            f_measure, cmlt, amlt = _beat_scores(*beats)
            result |= {f"f_measure{suffix}": f_measure, f"cmlt{suffix}": cmlt, f"amlt{suffix}": amlt}
            result[f"downbeat_f_measure{suffix}"] = _f_measure(*downbeats)
        return result

    def decide(self, references: Sequence[dict[str, Any]], predictions: Sequence[Prediction]) -> float:
        """The mean F-measure of the beats after 5 s."""
        pairs = [(r["beats"], p.value["beats"]) for r, p in zip(references, predictions, strict=True)]
        found = [_f_measure(*(_after(beats, SKIPPED_S) for beats in pair)) for pair in pairs]
        return self.summarise([{self.metric: value} for value in found])[self.metric]

    def observations(self, prediction: Prediction, duration_s: float) -> list[Observation]:
        """A row for each beat; its value is the place in the bar from 1, None if bars are not known."""
        downbeats = prediction.value["downbeats"]
        rows, place = [], None
        for time_s in prediction.value["beats"]:
            place = 1 if downbeats and time_s in downbeats else place and place + 1
            rows.append(Observation(time_s, 0.0, place, prediction.confidence))
        return rows

    def stretch(self, label: dict[str, Any], rate: float) -> dict[str, Any]:
        """All times divided by `rate`."""
        return {name: None if times is None else [t / rate for t in times] for name, times in label.items()}

    def shift(self, label: dict[str, Any], by_s: float) -> dict[str, Any]:
        """All times later."""
        return {name: None if times is None else [t + by_s for t in times] for name, times in label.items()}

    def config(self) -> dict[str, Any]:
        """The options."""
        return {"decoder": self.decoder, "threshold": self.threshold}

    @property
    def plain_baseline(self) -> PlainBaseline:
        """Ellis' tracker: onset strength, one tempo, dynamic programming; downbeats are not guessed."""
        return PlainBaseline("onset tracker", _track_onsets)


def _track_onsets(waveform: np.ndarray, sample_rate_hz: int) -> dict[str, Any]:
    from sordino.baselines.onset_autocorrelation import ENVELOPE_HZ, estimate_tempo, onset_envelope

    bpm = estimate_tempo(waveform, sample_rate_hz)
    if bpm is None:
        return {"beats": [], "downbeats": None}
    envelope = onset_envelope(waveform, sample_rate_hz)
    top = float(np.quantile(envelope, 0.98)) or float(envelope.max())  # of a few onsets in much silence the strongest
    strength = np.minimum(envelope / top, 1.0) * 0.9
    beats = track_beats(0.2 + 0.75 * strength, ENVELOPE_HZ, bpm / 1.1, bpm * 1.1)
    return {"beats": beats.tolist(), "downbeats": None}


def _triangles(times_s: np.ndarray, n_frames: int, frame_rate_hz: float) -> np.ndarray:
    """The height above each frame of the highest triangle, which ends one frame outside its zone."""
    reach = min(max(1, round(ZONE_S * frame_rate_hz)), MAX_ZONE_FRAMES) + 1
    result = np.zeros(n_frames)
    position = times_s * frame_rate_hz
    for shift in range(-reach, reach + 2):
        frame = np.floor(position).astype(int) + shift
        height = 1.0 - np.abs(frame - position) / reach
        inside = (frame >= 0) & (frame < n_frames) & (height > 1e-6)
        np.maximum.at(result, frame[inside], height[inside])
    return result


def _regions(target: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Where frames belong to a beat, where beats peak, and which real frames are outside, each [clip frame label]."""
    real = target >= 0 if mask is None else (target >= 0) & mask[..., None]
    target = torch.where(real, target, -1.0)
    zone = target > 0
    beat = zone & (target >= PEAK) & (target >= _neighbourhood(target, 1))
    return zone, beat, real & ~zone


def _neighbourhood(x: Tensor, reach: int) -> Tensor:
    """The maximum within `reach` frames, [batch frame label]."""
    return functional.max_pool1d(x.mT, 2 * reach + 1, 1, reach).mT


def _window_max(x: np.ndarray, reach: int) -> np.ndarray:
    padded = np.pad(x, reach)
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(1)


def _after(times: Sequence[float] | None, skipped_s: float) -> np.ndarray | None:
    return None if times is None else np.array([t for t in times if t >= skipped_s], dtype=float)


def _f_measure(reference: np.ndarray | None, estimated: np.ndarray | None) -> float:
    if reference is None or len(reference) == 0:
        return float("nan")
    if estimated is None or len(estimated) == 0:
        return 0.0
    return float(mir_eval.beat.f_measure(reference, estimated))


def _beat_scores(reference: np.ndarray, estimated: np.ndarray) -> tuple[float, float, float]:
    f_measure = _f_measure(reference, estimated)
    if len(reference) < 2:
        return f_measure, float("nan"), float("nan")
    if len(estimated) < 2:
        return f_measure, 0.0, 0.0
    _, cmlt, _, amlt = mir_eval.beat.continuity(reference, estimated)
    return f_measure, float(cmlt), float(amlt)
