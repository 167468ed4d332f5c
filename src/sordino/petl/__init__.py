"""Methods: what is attached and trained, one file each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from sordino import registry

Spec = str | Mapping[str, Any] | Sequence[Any]  # one method or several, as configs and flags write them


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
    if isinstance(spec, str):
        found = [make_method(name.strip()) for name in spec.split("+")]
    elif isinstance(spec, Mapping):
        options = dict(spec)
        if "name" not in options:
            raise ValueError(f'the method table {options} has no name; write name = "lora" or another method')
        found = [make_method(options.pop("name"), **options)]
    else:
        found = [method for item in spec for method in parse_methods(item)]
    names = [method.name for method in found]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"method {twice[0]} is named twice; one model can hold it once")
    if not found:
        raise ValueError('no method is named; write "probe" to train the head alone')
    return found
