"""Layers of Hugging Face peft around stand-ins that borrow the backbone's weights, and the part that each becomes.

The backbone itself is never wrapped, and its weights are never written to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from sordino.contracts import Backbone, Part, Site
from sordino.petl._maps import LinearMap, linear_module, n_groups


class Borrowed(nn.Module):
    """A module that has the weights of one of the backbone without owning them; `around` makes one.

    Until `settle` it has a copy of them, since some of peft's initialisations write to the weights they find. (peft
    makes modules of the class it finds, with weights of their own: these are plain ones.)
    """

    _owner: tuple[LinearMap, ...] = ()
    _copy: dict[str, nn.Parameter] = {}

    @classmethod
    def around(cls, module: LinearMap) -> Borrowed:
        """The stand-in for a module of the same shape."""
        made = cls.__new__(cls)
        nn.Module.__init__(made)
        for name, value in vars(module).items():  # stride, padding and so on, no tensor, module or hook
            if not name.startswith("_") and name != "training":
                setattr(made, name, value)
        made._owner = (module,)  # in a tuple, so that it is no submodule of this one
        made._copy = {name: nn.Parameter(value.detach().clone(), False) for name, value in made._owned().items()}
        return made

    def _owned(self) -> dict[str, Tensor]:
        return dict(self._owner[0].named_parameters())

    def __getattr__(self, name: str) -> Any:
        """`weight` and `bias`: the copy's, or the module's."""
        if self._owner and name in ("weight", "bias"):
            return (self._copy or self._owned()).get(name)
        return super().__getattr__(name)

    def settle(self) -> bool:
        """Drop the copy; whether it still is what the module has."""
        same = all(value.is_meta or torch.equal(value, self._copy[name]) for name, value in self._owned().items())
        self._copy = {}
        return same


class BorrowedLinear(Borrowed, nn.Linear):
    """A Linear, or a convolution of one frame as one: its weight is [out, in]."""

    @classmethod
    def around(cls, module: LinearMap) -> Borrowed:
        """The stand-in for a Linear or a convolution of one frame."""
        made: Any = super().around(module)
        made.out_features, made.in_features = module.weight.shape[:2]
        return made

    def _owned(self) -> dict[str, Tensor]:
        owned = super()._owned()
        return {**owned, "weight": owned["weight"].flatten(1)}


class BorrowedConv1d(Borrowed, nn.Conv1d):
    """A convolution over several frames."""


class BorrowedConv2d(Borrowed, nn.Conv2d):
    """A convolution over frames and bands."""


def is_linear(module: LinearMap) -> bool:
    """Whether it maps each frame by itself, so that peft's many methods for Linears serve it."""
    return isinstance(module, nn.Linear) or (isinstance(module, nn.Conv1d) and module.kernel_size == (1,))


def beyond_peft(module: LinearMap) -> str:
    """What peft leaves out when it wraps this module, so that the shapes would not fit; empty where it can do all."""
    if n_groups(module) > 1:
        return f"{n_groups(module)} groups"
    dilation = max(getattr(module, "dilation", (1,)))
    return f"a dilation of {dilation}" if dilation > 1 else ""


def borrow(module: LinearMap) -> Borrowed:
    """The stand-in for a module."""
    convolution = BorrowedConv2d if isinstance(module, nn.Conv2d) else BorrowedConv1d
    return (BorrowedLinear if is_linear(module) else convolution).around(module)


def layers_around(backbone: Backbone, sites: Sequence[Site], config: Mapping[str, Any]) -> dict[str, nn.Module]:
    """peft's layers around borrowed modules, by site path.

    Args:
        backbone: whose modules.
        sites: them.
        config: for peft, in which modules are named by their sites' keys.

    Raises:
        TypeError: a convolution has groups or a dilation.
        ValueError: peft refuses the configuration, or begins by changing the backbone's own weights.
    """
    import peft

    holder = nn.Module()
    holder.place = nn.Parameter(next(backbone.parameters()).detach()[:0])  # tells peft the device
    borrowed: dict[str, Borrowed] = {}
    for site in sites:
        module = linear_module(backbone, site)
        if beyond := beyond_peft(module):
            raise TypeError(f"peft: {site.path} is a convolution with {beyond}; lora can do that")
        borrowed[site.path] = borrow(module)
        holder.add_module(site.key, borrowed[site.path])
    wrap: Any = peft.get_peft_model
    wrap(holder, peft.get_peft_config(dict(config)))
    if changed := [path for path, module in borrowed.items() if not module.settle()]:
        start = config.get("init_lora_weights")
        how = f" with init_lora_weights = {start!r}" if start is not None else ""
        raise ValueError(
            f"peft: {config['peft_type']}{how} changes the backbone's own {changed[0]}; choose one that leaves it"
        )
    return {site.path: holder.get_submodule(site.key) for site in sites}


class PeftPart(Part):
    """One layer of peft.

    Args:
        layer: it, around a borrowed module.
    """

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer: Any = layer

    def after(self, module: LinearMap, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Add what it changes."""
        turned = is_linear(module) and not isinstance(module, nn.Linear)
        x = inputs[0].transpose(1, 2) if turned else inputs[0]
        change = (self.layer(x) - self.layer.get_base_layer()(x)).to(output.dtype)
        return output + (change.transpose(1, 2) if turned else change)

    def merged(self, module: LinearMap, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weight and bias that do the same.

        Raises:
            TypeError: the layer is not a linear map.
        """
        new = self._read_off(module) if isinstance(module, nn.Linear) or is_linear(module) else self._by_peft(module)
        return {name: values[name] + (value - module.get_parameter(name)) for name, value in new.items()}

    def _by_peft(self, module: nn.Conv1d | nn.Conv2d) -> dict[str, Tensor]:
        """What peft itself makes of a copy of the convolution, which its layer stands around for a moment."""
        kept, kind = self.layer.base_layer, cast(Any, type(module))
        own = kind(
            module.in_channels, module.out_channels, module.kernel_size, module.stride, module.padding,
            module.dilation, module.groups, module.bias is not None, device=module.weight.device,
        )  # fmt: skip
        own.load_state_dict(module.state_dict())
        try:
            self.layer.base_layer = own
            self.layer.merge()
            new = {name: value.detach().clone() for name, value in own.named_parameters()}
            self.layer.unmerge()
        finally:
            self.layer.base_layer = kept
        return new

    def _read_off(self, module: LinearMap) -> dict[str, Tensor]:
        """Read off the layer's answers to unit vectors."""
        training = self.layer.training
        self.layer.eval()
        n_in, device = module.weight.shape[1], module.weight.device
        zero = self.layer(torch.zeros(1, n_in, device=device))
        new = (self.layer(torch.eye(n_in, device=device)) - zero).T
        trial = torch.randn(4, n_in, device=device)
        same = torch.allclose(trial @ new.T + zero, self.layer(trial), atol=1e-3, rtol=1e-3)
        self.layer.train(training)
        if not same:
            raise TypeError(f"peft: {type(self.layer).__name__} is not a linear map and cannot be merged")
        weight = new.reshape(module.weight.shape)
        return {"weight": weight} if module.bias is None else {"weight": weight, "bias": zero[0]}

    def export(self) -> dict[str, Tensor]:
        """Its parameters; random matrices that peft draws again from a seed are left out."""
        return {name: value.detach() for name, value in self.named_parameters()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take its parameters back."""
        own = dict(self.named_parameters())
        if set(own) != set(tensors):
            raise KeyError(f"{sorted(own)} are wanted, not {sorted(tensors)}")
        with torch.no_grad():
            for name, value in tensors.items():
                own[name].copy_(value)
