"""The bridge to Hugging Face peft: any of its methods that replace linear layers or convolutions (LoRA and many more).

peft's layers are built around stand-ins that borrow the backbone's weights, and what they change is added at
the site; the backbone itself is never wrapped, and its weights are never written to. Needs the extra `sordino[peft]`.

Paper: Mangrulkar et al., PEFT: State-of-the-art Parameter-Efficient Fine-Tuning methods, 2022
https://github.com/huggingface/peft
Differs: modules are named by our roles, or by the ends of their names as in peft; only what lies inside the
layers.
Parameters: whatever peft builds, counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from sordino.contracts import Backbone, Method, Part, Site
from sordino.petl._maps import LinearMap, linear_module, n_groups
from sordino.petl.lora import LINEARS
from sordino.rules import unknown

DEFAULT = {"peft_type": "LORA", "r": 2, "lora_alpha": 2}
NEEDS_DATA = ("eva", "corda", "lora_ga")  # initialisations that look at a data set first
MODULE_LISTS = ("target_modules", "feedforward_modules")  # entries of a config that name modules in a list
MODULE_TABLES = ("rank_pattern", "alpha_pattern")  # and in a table


# Entries of configs that are passed on: numbers, switches and names of ours; none is imported or opened.
ALLOWED = frozenset((
    "alpha", "alpha_pattern", "bias", "block_share", "block_size", "block_size_pattern", "boft_block_num",
    "boft_block_size", "boft_dropout", "boft_n_butterfly_factor", "cayley_neumann_eps", "coft", "config_A_B",
    "config_C", "config_D_E", "d_initial", "decompose_both", "decompose_factor", "decomposition_method",
    "deft_dropout", "delora_lambda", "depth", "eps", "fan_in_fan_out", "feedforward_modules", "frod_dropout",
    "generator_seed", "gralora_dropout", "gralora_k", "group_size", "hira_dropout", "hybrid_r", "inference_mode",
    "init_ia3_weights", "init_lora_weights", "init_r", "init_scale", "init_weights", "lambda_pattern",
    "loftq_config", "lora_alpha", "lora_bias", "lora_dropout", "mini_r", "miss_dropout", "module_dropout",
    "n_frequency", "n_frequency_pattern", "num_B", "num_cayley_neumann_terms", "num_vectors", "oft_block_size",
    "para", "peft_type", "projection_prng_key", "proportional_parameters", "psoft_alpha", "psoft_dropout",
    "psoft_mag_a", "psoft_mag_b", "psoft_orth", "pvera_dropout", "qalora_group_size", "r", "random_loc_seed",
    "random_seed", "randlora_alpha", "randlora_dropout", "rank_dropout", "rank_dropout_scale", "rank_pattern",
    "scaling", "sparse", "sparsity", "stride_A", "target_modules", "tinylora_dropout", "topk", "u",
    "unilora_dropout", "use_cayley_neumann", "use_dora", "use_effective_conv2d", "use_idwt", "use_qalora",
    "use_rslora", "variant", "vblora_dropout", "vector_length", "vera_dropout", "very_sparse", "wavelet_family",
    "weight_tying",
))  # fmt: skip


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


@dataclass(kw_only=True)
class Peft(Method):
    """A method of peft.

    Attributes:
        config: its configuration as peft takes it, with `peft_type`; `target_modules` (and the other entries
            that name modules) hold our roles or the ends of module names; left out: every linear map that peft
            can change (it knows neither groups nor dilation of a convolution).
    """

    name: ClassVar[str] = "peft"
    title: ClassVar[str] = "Hugging Face peft"
    paper: ClassVar[str] = "https://github.com/huggingface/peft"
    year: ClassVar[int] = 2022
    roles: ClassVar[tuple[str, ...]] = LINEARS
    mergeable: ClassVar[bool] = True

    config: dict[str, Any] = field(default_factory=lambda: dict(DEFAULT))

    def sites(self, backbone: Backbone, names: list[str]) -> list[Site]:
        """The sites of these roles or module names in the chosen layers.

        Raises:
            ValueError: a name matches nothing.
        """
        chosen = self.chosen_layers(backbone)
        known = {site.path: site for site in backbone.sites()}
        found: dict[str, Site] = {}
        for name in names:
            if name in {site.role for site in known.values()}:
                found.update({site.path: site for site in self.choose(backbone, (name,))})
                continue
            before = len(found)
            for number in chosen:
                for inside, module in backbone.layers[number - 1].named_modules():
                    path = f"layers.{number - 1}.{inside}"
                    if f".{path}".endswith(f".{name}") and isinstance(module, LinearMap):
                        plain = Site(path, "", number, module.weight.shape[1], module.weight.shape[0])
                        found[path] = known.get(path, plain)
            if len(found) == before:
                raise ValueError(f"peft: {name}, as a role or the end of a name, matches nothing on {backbone.name}")
        return list(found.values())

    def targets(self, backbone: Backbone) -> list[Site]:
        """The sites it is attached to."""
        names = self.config.get("target_modules")
        if names is None:
            present = {site.role for site in backbone.sites()}
            usual = self.sites(backbone, [role for role in self.roles if role in present] or list(self.roles[:1]))
            return [site for site in usual if not beyond_peft(linear_module(backbone, site))]
        return self.sites(backbone, [names] if isinstance(names, str) else list(names))

    def layers_of_peft(self, backbone: Backbone) -> dict[str, nn.Module]:
        """peft's layers by site path.

        Raises:
            ImportError: peft is not installed.
            TypeError: a convolution has groups or a dilation.
            ValueError: an entry is not one of `ALLOWED`, a name matches nothing, peft has no such method or no layers
                for it, or it begins by changing the backbone's own weights.
        """
        try:
            import peft
        except ImportError as error:
            raise ImportError('method "peft" needs peft; install it with: pip install "sordino[peft]"') from error
        kinds = {kind.value: cls for kind, cls in peft.PEFT_TYPE_TO_CONFIG_MAPPING.items()}
        kind = self.config.get("peft_type")
        if kind not in kinds:
            raise ValueError(unknown("peft_type", str(kind), sorted(kinds)))
        if issubclass(kinds[kind], peft.PromptLearningConfig):
            raise ValueError(f"peft: {kind} makes no layers; use our prompt or prefix")
        if refused := sorted(str(entry) for entry in self.config if entry not in ALLOWED):
            told = "what may stand there is a number, a switch, or names of modules (docs/methods.md)"
            raise ValueError(f"peft: {refused[0][:60]} in its config is not passed on; {told}")
        start = self.config.get("init_lora_weights")
        if start in NEEDS_DATA:
            raise ValueError(f'peft: init_lora_weights = "{start}" needs data to start from; use true or "orthogonal"')
        sites = self.targets(backbone)
        config = dict(self.config)
        for entry in MODULE_LISTS:
            if config.get(entry) is not None:
                config[entry] = [site.key for site in self.sites(backbone, list(config[entry]))]
        config["target_modules"] = [site.key for site in sites]
        for entry in MODULE_TABLES:
            if isinstance(config.get(entry), Mapping):
                table = config[entry]
                config[entry] = {site.key: table[name] for name in table for site in self.sites(backbone, [name])}
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
        wrap(holder, peft.get_peft_config(config))
        if changed := [path for path, linear in borrowed.items() if not linear.settle()]:
            how = f" with init_lora_weights = {start!r}" if start is not None else ""
            raise ValueError(f"peft: {kind}{how} changes the backbone's own {changed[0]}; choose one that leaves it")
        return {site.path: holder.get_submodule(site.key) for site in sites}

    def parts(self, backbone: Backbone) -> list[tuple[Site, Part]]:
        """One layer of peft for each site."""
        layers = self.layers_of_peft(backbone)
        return [(site, PeftPart(layers[site.path])) for site in self.targets(backbone)]

    def n_parameters(self, backbone: Backbone) -> int:
        """What peft builds, counted."""
        with torch.random.fork_rng(devices=[]):
            parts = nn.ModuleList(self.layers_of_peft(backbone).values())
        return sum(value.numel() for value in parts.parameters() if value.requires_grad)
