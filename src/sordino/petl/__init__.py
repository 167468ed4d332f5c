"""Methods: what is attached and trained, one file each."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from sordino import registry


def make_method(name: str, **options: Any):
    """Build a method by its name.

    Args:
        name: `lora`, `adapter`, ... (`sordino list methods`).
        **options: the fields of its class.

    Returns:
        A `Method`.

    Raises:
        ValueError: no method has this name, or it has no such option; the message offers the nearest.
    """
    cls = registry.find("method", name)
    known = [item.name for item in fields(cls)]
    for option in options:
        if option not in known:
            raise ValueError(registry.unknown(f"option of {name}", option, known))
    return cls(**options)
