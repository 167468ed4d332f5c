"""Ray: one connection to a cluster, or a cluster of this machine alone."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def connect(address: str) -> Any:
    """The module `ray`, connected.

    Args:
        address: of the cluster, as Ray writes it; `local` for one on this machine.

    Raises:
        ImportError: Ray is not installed.
    """
    try:
        ray: Any = import_module("ray")
    except ImportError as error:
        raise ImportError("--ray wants Ray: pip install 'sordino[ray]'") from error
    if not ray.is_initialized():
        ray.init(address=None if address == "local" else address, log_to_driver=False, logging_level="ERROR")
    return ray
