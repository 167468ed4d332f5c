"""sordino: adapt large music foundation models to your own task by training a tiny attached part."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Attachment": "contracts",
    "Backbone": "contracts",
    "Batch": "contracts",
    "Dataset": "contracts",
    "Method": "contracts",
    "Model": "model",
    "Prediction": "contracts",
    "Site": "sites",
    "Task": "contracts",
    "Track": "contracts",
    "adapt": "training",
    "load_adapter": "adapter_file",
    "load_backbone": "backbones",
    "load_dataset": "datasets",
    "make_method": "petl",
    "make_task": "tasks",
    "predict": "inference",
}
__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import sordino` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sordino' has no attribute {name!r}")
    return getattr(importlib.import_module(f"sordino.{_HOMES[name]}"), name)
