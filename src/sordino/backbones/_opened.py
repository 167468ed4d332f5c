"""A network of somebody else's code, opened: which of its parts are the layers, what comes before and behind them.

Nothing is known of the code but how it behaves: it is run on noise and watched. The layers are the longest list of
modules of one type that hold linear layers; the frontend is all that runs before the first of them; a norm that reads
what the last one gives is the final norm; sites are the modules inside the layers whose names say what they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from sordino.sites import Site

NORMS = (nn.LayerNorm, nn.BatchNorm1d)
MAPS = (nn.Linear, nn.Conv1d)
ROLES = {  # what a module's name ends with; the first that fits
    "attn.q": r"(q_proj|query|query_proj|linear_q|to_q|wq|q_lin|q)",
    "attn.k": r"(k_proj|key|key_proj|linear_k|to_k|wk|k_lin|k)",
    "attn.v": r"(v_proj|value|value_proj|linear_v|to_v|wv|v_lin|v)",
    "attn.out": r"(out_proj|o_proj|linear_out|to_out(\.0)?|out_lin|(attn|attention)\.(wo|proj|output\.dense))",
    "ffn.in": r"(intermediate_dense|intermediate\.dense|fc1|linear1|w_1|w1|up_proj|lin1|wi)",
    "ffn.out": r"(output_dense|output\.dense|fc2|linear2|w_2|w2|down_proj|lin2|wo)",
    "conv.in": r"pointwise_conv1",
    "conv.out": r"pointwise_conv2",
}


class Reached(Exception):
    """The first layer was called; the call travels with it."""

    def __init__(self, call: dict[int | str, Any]):
        super().__init__("the first layer was reached")
        self.call = call


class Mark(nn.Module):
    """Stands where the layers stood."""

    def forward(self, *args: Any, **options: Any) -> Any:
        """Leave the network."""
        raise Reached({**dict(enumerate(args)), **options})


@dataclass
class Call:
    """How a layer is called: with the states at one place, and with what does not depend on them.

    Attributes:
        args: by position; None where the states stand.
        options: by name; likewise.
        place: of the states, a position or a name.
        order: the modules inside the layer, as they were passed.
    """

    args: list[Any]
    options: dict[str, Any]
    place: int | str
    order: list[str] = field(default_factory=list)

    @classmethod
    def watched(cls, args: tuple[Any, ...], options: dict[str, Any]) -> Call:
        """The call from one that was made.

        Raises:
            ValueError: it holds no states, or tensors that say more than that all is real.
        """
        held: dict[int | str, Any] = {**dict(enumerate(args)), **options}
        place = next((key for key, value in held.items() if is_states(value)), None)
        if place is None:
            raise ValueError("its layers are not called with states [batch frame dim]")
        for key, value in held.items():
            if isinstance(value, Tensor) and key != place and not says_nothing(value):
                raise ValueError(f"its layers want more than the states (argument {key})")
        kept = {key: None if isinstance(value, Tensor) else value for key, value in held.items()}
        return cls([kept[n] for n in range(len(args))], {key: kept[key] for key in options}, place)

    def __call__(self, layer: nn.Module, x: Tensor) -> Tensor:
        """Run the layer on states."""
        args, options = list(self.args), dict(self.options)
        if isinstance(self.place, int):
            args[self.place] = x
        else:
            options[self.place] = x
        return first_of(layer(*args, **options))


def is_states(value: Any) -> bool:
    """Whether this is [batch frame dim]."""
    return isinstance(value, Tensor) and value.is_floating_point() and value.dim() == 3


def says_nothing(mask: Tensor) -> bool:
    """Whether a mask hides nothing: all true, all ones, or (added to products) all zeros."""
    return bool((mask == 0).all()) if mask.is_floating_point() else bool((mask == 1).all())


def first_of(output: Any) -> Tensor:
    """The states in what a layer gives, which may be a tuple."""
    return output if isinstance(output, Tensor) else output[0]


def find_layers(network: nn.Module) -> str:
    """The path of the layers.

    Raises:
        ValueError: there are none.
    """
    found: dict[str, int] = {}
    for path, module in network.named_modules():
        if isinstance(module, nn.ModuleList) and len({type(layer) for layer in module}) == 1:
            n_linear = sum(isinstance(part, nn.Linear) for part in module[0].modules())
            if n_linear > 1 and not any(path.startswith(f"{other}.") for other in found):
                found[path] = len(module)
    if not found:
        raise ValueError("it has no list of layers of one type")
    return max(found, key=lambda path: found[path])


@dataclass
class Watched:
    """What one run showed.

    Attributes:
        calls: of each layer.
        states: that entered the first layer, and that left each.
        final: the path of the norm behind the last layer, which the last state has passed; None where there is none.
    """

    calls: list[Call]
    states: list[Tensor]
    final: str | None = None


@torch.no_grad()
def watch(network: nn.Module, waveform: Tensor, path: str) -> Watched:
    """Run the network and note how its layers, at `path`, are called.

    Raises:
        ValueError: they are called in a way that cannot be repeated, not each once, or not one behind the other.
    """
    layers = list(network.get_submodule(path).children())
    seen, handles = Watched([], []), []
    last: list[Tensor] = []  # as it left the last layer that ran

    def entered(layer: nn.Module, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        if len(seen.calls) == len(layers) or layer is not layers[len(seen.calls)]:
            raise ValueError("its layers do not run one behind the other")
        seen.calls.append(Call.watched(args, options))
        if not seen.states:
            seen.states.append({**dict(enumerate(args)), **options}[seen.calls[0].place].clone())

    def left(layer: nn.Module, args: Any, output: Any) -> None:
        seen.states.append(first_of(output).clone())
        last[:] = [first_of(output)]

    def noted(name: str) -> Any:
        return lambda *_: seen.calls[-1].order.append(name)

    def normed(name: str) -> Any:
        def note(norm: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            behind = len(seen.states) == len(layers) + 1 and seen.final is None
            if behind and args and args[0].data_ptr() == last[0].data_ptr():
                seen.final, seen.states[-1] = name, output

        return note

    for layer in layers:
        handles += [layer.register_forward_pre_hook(entered, with_kwargs=True), layer.register_forward_hook(left)]
        handles += [part.register_forward_hook(noted(name)) for name, part in layer.named_modules() if name]
    for name, module in network.named_modules():
        if "Norm" in type(module).__name__ and not name.startswith(f"{path}."):
            handles.append(module.register_forward_hook(normed(name)))
    try:
        network(waveform)
    finally:
        for handle in handles:
            handle.remove()
    if len(seen.states) != len(layers) + 1:
        raise ValueError("its layers do not all run")
    return seen


def sites_of(layer: nn.Module, order: list[str], path: str, number: int) -> Iterator[Site]:
    """The sites inside a layer, in the order in which they were passed, each once."""
    for name in order:
        part: Any = layer.get_submodule(name)
        if order.count(name) > 1:
            continue
        if isinstance(part, NORMS) and part.weight is not None:
            yield Site(f"{path}.{name}", "norm", number, len(part.weight), len(part.weight))
        elif isinstance(part, MAPS):
            role = next((role for role, ends in ROLES.items() if re.search(rf"(^|\.){ends}$", name)), None)
            sizes = ("in_features", "out_features") if isinstance(part, nn.Linear) else ("in_channels", "out_channels")
            if role:
                dim_in, dim_out = (getattr(part, size) for size in sizes)
                yield Site(f"{path}.{name}", role, number, dim_in, dim_out)
