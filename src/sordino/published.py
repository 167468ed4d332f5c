"""What was published with a backbone: its weights brought onto this machine, its output layers as ready adapters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sordino import registry
from sordino.adapter_file import save_adapter
from sordino.backbones._published import cache_folder
from sordino.contracts import Backbone, OwnHead
from sordino.model import Model
from sordino.petl import make_method
from sordino.settings import fit_keys


def fetch(name: str, options: Mapping[str, Any], out: str | Path | None = None) -> tuple[str, list[Path]]:
    """Bring a backbone's weights onto this machine, and write its own output layers as adapters.

    Args:
        name: the backbone's.
        options: those of its `load` (`variant`, `weights`, ...).
        out: where adapters are written; None for `adapters` in sordino's cache.

    Returns:
        Where its weights are, one line for each set of them, and the adapters' folders.

    Raises:
        FileNotFoundError: the weights cannot be had; says how to get them by hand.
        ValueError: unknown backbone or option, or files that are not the published ones.
    """
    cls = registry.find("backbone", name)
    options = fit_keys(cls.load, options, name)
    cls.fetch(**options)
    folder = Path(out) if out is not None else cache_folder() / "adapters"
    return cls.where(), [write_head(own, cls.load(**options), options, folder) for own in cls.own_heads(**options)]


def write_head(own: OwnHead, backbone: Backbone, options: Mapping[str, Any], folder: Path) -> Path:
    """Write an output layer as an adapter that trains nothing but its head.

    Args:
        own: the layer.
        backbone: what it stands behind.
        options: what the backbone was loaded with.
        folder: where the adapter's folder is written.
    """
    task = registry.find("task", own.task).restore(own.task_config)
    model = Model(backbone, [task], [make_method("probe")], own.head)
    model.heads[own.task].load_state_dict(dict(own.tensors))
    spec = {"name": backbone.name, **options}
    about = {"origin": f"output layers published with {backbone.weights}", "notice": own.notice}
    return save_adapter(
        model, folder / f"{backbone.name}-{own.name}.adapter", spec, backbone.fingerprint(), own.segment_s, about
    )
