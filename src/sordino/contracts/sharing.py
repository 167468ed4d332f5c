"""Modules around the same weights: what is attached to one does not touch the other."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any


def twin_of(module: Any, done: dict[int, Any]) -> Any:
    """A copy of a module and of what it is made of; parameters and buffers are kept in the same two dictionaries."""
    if id(module) not in done:
        twin = done[id(module)] = copy.copy(module)
        twin._modules = {name: child and twin_of(child, done) for name, child in module._modules.items()}
        hooks = [name for name in vars(twin) if name.startswith(("_forward_", "_backward_"))]
        vars(twin).update({name: OrderedDict() for name in hooks})
        twin._compiled_call_impl = None  # compiled around the other's hooks
    return done[id(module)]
