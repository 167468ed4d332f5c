"""What a run says of itself: scores with intervals, the protocol they depend on, versions; as plain data."""

from __future__ import annotations

import hashlib
import math
import platform
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch

import sordino
from sordino.compute import Compute
from sordino.contracts import Dataset, Task
from sordino.model import Model
from sordino.training.examples import Examples
from sordino.training.statistics import N_RESAMPLES, interval, resampled, share_interval


def report(task: Task, ids: Sequence[str], references: Sequence[Any], predictions: Sequence[Any]) -> dict[str, Any]:
    """One task's scores as plain data: metrics, the main one's interval and resamples, per-track scores and answers."""
    scored = task.evaluate(references, predictions)
    per_track = [
        {"id": name, "reference": reference, "estimated": prediction.value, **scores}
        for name, reference, prediction, scores in zip(ids, references, predictions, scored.per_track, strict=True)
    ]
    scores = resampled(task, references, predictions, scored.per_track)
    low, high, n_undefined = interval(scores)
    own = [row.get(task.metric, math.nan) for row in scored.per_track]
    if own and set(own) <= {0.0, 1.0} and math.isclose(sum(own) / len(own), scored.metrics[task.metric]):
        low, high = share_interval(round(sum(own)), len(own))
    left_out = f"{task.metric} is undefined in {n_undefined} of {N_RESAMPLES} resamples: left out of its interval"
    return {
        "metric": task.metric,
        "metrics": scored.metrics,
        "beside": list(task.beside),
        "interval": (low, high),
        "undefined_resamples": n_undefined,
        "resamples": [float(score) for score in scores.round(5)],
        "n_tracks": len(references),
        "notes": [*scored.notes, *([left_out] if n_undefined else [])],
        "tables": scored.tables,
        "per_track": per_track,
    }


def protocol(dataset: Dataset, splits: Mapping[str, Examples], model: Model, compute: Compute) -> dict[str, Any]:
    """What the numbers depend on: the exact tracks (by hash) and how they were cut."""
    hashes = {
        name: hashlib.sha256("\n".join(track.id for track in examples.recordings.tracks).encode()).hexdigest()[:12]
        for name, examples in splits.items()
    }
    return {
        "dataset": dataset.name,
        "licence": dataset.licence,
        "tracks": {name: len(examples.recordings) for name, examples in splits.items()},
        "track_list_sha256": hashes,
        "segment_s": splits["test"].grid.length_samples / model.backbone.sample_rate_hz,
        "hop_s": splits["test"].grid.hop_samples / model.backbone.sample_rate_hz,
        "crops": "random" if splits["train"].rows.random else "grid",
        "precision": compute.precision,
        "device": compute.device.type,
        "joined_by": {name: "overlap-add" if task.level == "frame" else "mean of probabilities"
                      for name, task in model.tasks.items()},
        "interval": f"95 %, bootstrap over tracks, {N_RESAMPLES} resamples; Wilson's where all scores are 0 or 1",
    }  # fmt: skip


def versions() -> dict[str, str]:
    """Of what computed the numbers."""
    return {"sordino": sordino.__version__, "torch": torch.__version__, "python": platform.python_version(),
            "threads": str(torch.get_num_threads()), "machine": platform.machine(), "system": sys.platform}  # fmt: skip
