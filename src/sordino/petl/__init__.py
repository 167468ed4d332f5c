"""Methods: what is attached and trained, one file each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sordino import registry
from sordino.contracts import Method
from sordino.registry import specs

Spec = str | Mapping[str, Any] | Sequence[Any]  # one method or several, as configs and flags write them


def make_method(name: str, **options: Any) -> Method:
    """Build a method by its name.

    Args:
        name: `lora`, `adapter`, ... (`sordino list methods`).
        **options: the fields of its class.

    Returns:
        A `Method`.

    Raises:
        ValueError: no method has this name, or it has no such option; the message offers the nearest.
    """
    return registry.make("method", name, options)


def parse_methods(spec: Spec) -> list[Any]:
    """Build the methods that a config or a flag asks for.

    Args:
        spec: `lora`; `lora+prefix`; a table `{name = "lora", r = 4}`; or a list of any of these.

    Returns:
        The methods, in the order in which they are attached.

    Raises:
        ValueError: an unknown name or option, a table without `name`, or one method twice.

    Example:
        >>> [method.name for method in parse_methods(["lora+prefix", {"name": "adapter", "layers": "2"}])]
        ['lora', 'prefix', 'adapter']
    """
    return [make_method(**options) for options in specs(spec, "method")]


def whole_methods(specs: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Specs of methods with every option, as plain data: `lora` and `lora` with its usual `r` are one thing."""
    return json.loads(json.dumps([{"name": spec["name"], **make_method(**spec).options()} for spec in specs]))
