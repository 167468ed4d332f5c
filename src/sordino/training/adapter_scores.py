"""An adapter's scores on a dataset, with a note where it was trained on some of the tracks."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sordino.adapter_file import load_adapter, read_card
from sordino.audio import AudioError
from sordino.compute import Compute
from sordino.config import Training
from sordino.datasets import load_dataset
from sordino.disturbances import DISTURBANCES
from sordino.known_files import Known
from sordino.rules import unknown
from sordino.training.evaluation import evaluate, evaluate_under
from sordino.training.examples import Examples
from sordino.training.recordings import bad_labels, tell_left_out
from sordino.training.sources import Source
from sordino.training.splits import Advance, cut_splits, look_at, make_source, silent
from sordino.training.trained_on import known_again, overlap_note
from sordino.training.trouble import MOST_BROKEN, check_broken, check_scorable, without_damaged


def evaluate_adapter(
    adapter: str | Path,
    data: str | Path = "demo",
    root: str | Path | None = None,
    split: str = "test",
    advance: Advance = silent,
    device: str = "auto",
    precision: str | None = None,
    most_broken: float = MOST_BROKEN,
    under: Sequence[str] = (),
) -> dict[str, Any]:
    """Score an adapter on a split of a dataset.

    Args:
        adapter: its folder.
        data: a named dataset or a path.
        root: where a named dataset lies.
        split: `train`, `validation`, `test`, or `all`.
        advance: progress.
        device: see `Compute.choose`.
        precision: see `Compute.choose`; None for the one it was trained and tested in.
        most_broken: the share of labelled tracks that may be missing or broken.
        under: changes of the sound (`disturbances.py`) to score once more with, one at a time.

    Returns:
        By task, its scores; `under` has those with the sound changed; `trained_on` counts the scored tracks that the
        adapter has learned from, which is a note too, and told on stderr.

    Raises:
        ValueError: no track of the split has a label for one of the adapter's tasks, too many are broken, or a change
            of the sound is unknown.
    """
    for name in under:
        if name not in DISTURBANCES:
            raise ValueError(unknown("change of the sound", name, list(DISTURBANCES)))
    card = read_card(adapter)
    protocol = card.get("protocol")
    trained_in = protocol.get("precision", "auto") if isinstance(protocol, dict) else "auto"
    compute = Compute.choose(device, precision or trained_in)
    model = load_adapter(adapter).to(compute.device)
    dataset = load_dataset(data, root)
    tracks = [track.with_split("test") for track in dataset.tracks() if split in ("all", track.split)]
    tell_left_out([*dataset.refused, *bad_labels(list(model.tasks.values()), tracks)])
    settings = Training(segment_s=card["segment_s"], cache="off")

    def scored_on(known: Mapping[str, Known | AudioError]) -> tuple[dict[str, Any], dict[str, str] | None]:
        splits = cut_splits(tracks, known, model, settings, splits=["test"])
        check_broken(splits, most_broken)
        examples = splits["test"]
        check_scorable(examples, model.tasks, split)

        def source(examples: Examples, name: str) -> Source:
            return make_source(model, examples, compute, card["backbone"]["fingerprint"], settings, advance, name)

        found = evaluate(model, examples, source(examples, split), compute)
        changed = evaluate_under(under, model, examples, source, compute)
        for name, row in found.items():
            row["under"] = {change: by_task[name] for change, by_task in changed.items()}
        return found, known_again(card, examples.recordings, dataset.name)

    known = look_at(tracks, list(model.tasks.values()), advance)
    scored, seen = without_damaged(known, tracks, scored_on)
    for name, row in scored.items():
        ids = [track["id"] for track in row["per_track"]]
        row["trained_on"] = None if seen is None else sum(one in seen for one in ids)
        if note := overlap_note(seen, ids):
            row["notes"].append(note)
            print(f"{adapter}, {name}: {note}", file=sys.stderr)
    return scored
