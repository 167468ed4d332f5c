"""The states that several runs will read, computed in one pass, so that the frontend hears every row once."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sordino.audio import AudioError
from sordino.compute import Compute
from sordino.model import WAVEFORM, Model
from sordino.training.run import Plan, probe_config, untrained, with_config
from sordino.training.splits import Advance, cut_splits, make_source, silent

ROWS = ("segment_s", "augment", "crops", "cache", "precision", "accelerator")  # settings that decide rows and states


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
        if plan.config.training.cache not in ("off", "waveform") and plan.finished() is None:
            settings = plan.config.resolved()["training"]
            groups[json.dumps([settings[name] for name in ROWS])].append(plan)
    for group in groups.values():
        if len(group) > 1:
            try:
                _fill(group, advance)
            except AudioError as error:  # the runs leave it out, and compute what is missing
                print(f"not computed ahead for all runs: {error}", file=sys.stderr)


def probe_before(plan: Plan) -> Plan | None:
    """The probe whose head a run begins with (`head_first`), opened; None for a run without."""
    if not plan.config.training.head_first:
        return None
    with _model(plan) as model:
        return with_config(plan, probe_config(plan.config, model))


def _fill(plans: Sequence[Plan], advance: Advance) -> None:
    states: set[int] = set()
    readers = []
    for plan in plans:
        with _model(plan) as model:
            if model.start != WAVEFORM:
                states |= set(model.constant_states)
                readers.append(plan)
    if not readers:
        return
    first, settings = readers[0], readers[0].config.training
    compute = Compute.choose(settings.accelerator, settings.precision)
    with _model(first) as model:
        model.to(compute.device)
        for name, examples in cut_splits(first.tracks, first.known, model, settings, first.config.seed).items():
            make_source(model, examples, compute, first.fingerprint, settings, advance, name, states)


@contextmanager
def _model(plan: Plan) -> Iterator[Model]:
    """The model of a run, on a share of its backbone, for a while."""
    model = untrained(plan)
    try:
        yield model
    finally:
        model.detach()
