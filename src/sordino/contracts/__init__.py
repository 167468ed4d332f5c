"""READ FIRST: the four nouns of sordino and what passes between them.

A **backbone** turns a waveform into hidden states and names sites. A **method** attaches parts at sites. A **task**
turns labels into targets and outputs into answers and scores. A **dataset** says where tracks, labels and splits come
from.
A `Model` (model.py) is backbone + attachments + heads. Each noun has a folder; one file there is one backbone, method,
task or dataset, found by its file name (registry.py) and held to the contract tests.

Axes in annotations: batch, time (samples), frame, layer, dim, head, token, mel, label.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the same names as in _HOMES, for editors and type checkers
    from sordino.contracts.attachment import Attachment, merge
    from sordino.contracts.backbone import Backbone, Frames, States
    from sordino.contracts.dataset import Archive, Dataset, Track, Unreadable
    from sordino.contracts.method import Method
    from sordino.contracts.task import Evaluation, Label, Observation, PlainBaseline, Prediction, Task
    from sordino.contracts.weights import OwnHead
    from sordino.layers import parse_layers
    from sordino.sites import Part, Site, Tap

__all__ = [
    "Archive", "Attachment", "Backbone", "Dataset", "Evaluation", "Frames", "Label", "Method", "Observation",
    "OwnHead", "Part", "PlainBaseline", "Prediction", "Site", "States", "Tap", "Task", "Track", "Unreadable",
    "merge", "parse_layers",
]  # fmt: skip
_HOMES = {
    **dict.fromkeys(("Attachment", "merge"), "contracts.attachment"),
    **dict.fromkeys(("Backbone", "Frames", "States"), "contracts.backbone"),
    **dict.fromkeys(("Archive", "Dataset", "Track", "Unreadable"), "contracts.dataset"),
    "Method": "contracts.method",
    **dict.fromkeys(("Evaluation", "Label", "Observation", "PlainBaseline", "Prediction", "Task"), "contracts.task"),
    "OwnHead": "contracts.weights",
    "parse_layers": "layers",
    **dict.fromkeys(("Part", "Site", "Tap"), "sites"),
}


def __getattr__(name: str) -> Any:
    """Import a contract when it is first used: a dataset needs no network, and so no PyTorch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sordino.contracts' has no attribute {name!r}")
    return getattr(importlib.import_module(f"sordino.{_HOMES[name]}"), name)
