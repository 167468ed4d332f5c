"""READ FIRST: the four nouns of sordino and what passes between them.

A **backbone** turns a waveform into hidden states and names sites. A **method** attaches parts at sites. A **task**
turns labels into targets and outputs into answers and scores. A **dataset** says where tracks, labels and splits come
from.
A `Model` (model.py) is backbone + attachments + heads. Each noun has a folder; one file there is one backbone, method,
task or dataset, found by its file name (registry.py) and held to the contract tests.

Axes in annotations: batch, time (samples), frame, layer, dim, head, token, mel, label.
"""

from __future__ import annotations

from sordino.contracts.attachment import Attachment, merge
from sordino.contracts.backbone import Backbone, Frames, States
from sordino.contracts.dataset import Archive, Dataset, Track
from sordino.contracts.method import Method
from sordino.contracts.task import Batch, Evaluation, Label, Observation, PlainBaseline, Prediction, Task
from sordino.layers import parse_layers
from sordino.sites import Part, Site, Tap

__all__ = [
    "Archive",
    "Attachment", "Backbone", "Batch", "Dataset", "Evaluation", "Frames", "Label", "Method", "Observation", "Part",
    "PlainBaseline", "Prediction", "Site", "States", "Tap", "Task", "Track", "merge", "parse_layers",
]  # fmt: skip
