"""The states that several runs will read, computed in one pass, so that the frontend hears every row once."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Sequence

from sordino.audio import AudioError
from sordino.compute import Compute
from sordino.model import WAVEFORM
from sordino.training.plan import Plan, briefly
from sordino.training.splits import Advance, cut_splits, make_source, silent

ROWS = ("segment_s", "augment", "crops", "cache", "precision", "accelerator")  # alike, runs read the same states


def fill(plans: Sequence[Plan], advance: Advance = silent) -> None:
    """Store what the runs that are not finished will read of the frozen part.

    Args:
        plans: opened on the same tracks, tasks and backbone.
        advance: progress.

    Raises:
        StoreFull: there is no room.
    """
    groups: dict[str, list[Plan]] = defaultdict(list)
    for plan in plans:
        own = plan.beneath or plan.config.training.cache in ("off", "waveform")  # states that no other run reads
        if not own and plan.finished() is None:
            settings = plan.config.resolved()["training"]
            groups[json.dumps([settings[name] for name in ROWS])].append(plan)
    for group in groups.values():
        if len(group) > 1:
            try:
                _fill(group, advance)
            except AudioError as error:  # the runs leave it out, and compute what is missing
                print(f"not computed ahead for all runs: {error}", file=sys.stderr)


def _fill(plans: Sequence[Plan], advance: Advance) -> None:
    states: set[int] = set()
    readers = []
    for plan in plans:
        with briefly(plan) as model:
            if model.start != WAVEFORM:
                states |= set(model.constant_states)
                readers.append(plan)
    if not readers:
        return
    first, settings = readers[0], readers[0].config.training
    compute = Compute.choose(settings.accelerator, settings.precision)
    with briefly(first) as model:
        model.to(compute.device)
        for name, examples in cut_splits(first.tracks, first.known, model, settings, first.config.seed).items():
            make_source(model, examples, compute, first.fingerprint, settings, advance, name, states)
