"""sordino: adapt large music foundation models to your own task by training a tiny attached part."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the same names as in _HOMES, for editors and type checkers
    from sordino.adapter_file import load_adapter
    from sordino.backbones import load_backbone
    from sordino.contracts import Attachment, Backbone, Dataset, Method, Prediction, Task, Track
    from sordino.datasets import load_dataset
    from sordino.inference import predict
    from sordino.loaded import load
    from sordino.model import Model
    from sordino.outside import use
    from sordino.petl import make_method
    from sordino.sites import Site
    from sordino.tasks import make_task
    from sordino.training import adapt

__version__ = "0.1.0"
__all__ = [
    "Attachment", "Backbone", "Dataset", "Method", "Model", "Prediction", "Site", "Task", "Track", "adapt",
    "load", "load_adapter", "load_backbone", "load_dataset", "make_method", "make_task", "predict", "use",
]  # fmt: skip
_HOMES = {
    **dict.fromkeys(("Attachment", "Backbone", "Dataset", "Method", "Prediction", "Task", "Track"), "contracts"),
    "Model": "model",
    "Site": "sites",
    "adapt": "training",
    "load": "loaded",
    "load_adapter": "adapter_file",
    "load_backbone": "backbones",
    "load_dataset": "datasets",
    "make_method": "petl",
    "make_task": "tasks",
    "predict": "inference",
    "use": "outside",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import sordino` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sordino' has no attribute {name!r}")
    return getattr(importlib.import_module(f"sordino.{_HOMES[name]}"), name)
