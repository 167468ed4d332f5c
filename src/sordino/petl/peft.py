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
from typing import Any, ClassVar

import torch
from torch import nn

from sordino.contracts import Backbone, Method, Part, Site
from sordino.petl._maps import LinearMap, linear_module
from sordino.petl._peft_layers import PeftPart, beyond_peft, layers_around
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


def check(config: Mapping[str, Any]) -> None:
    """Check what of a configuration can be told before layers are built.

    Raises:
        ImportError: peft is not installed.
        ValueError: peft has no such method, it makes no layers, or an entry is not one of `ALLOWED` or needs data.
    """
    try:
        import peft
    except ImportError as error:
        raise ImportError('method "peft" needs peft; install it with: pip install "sordino[peft]"') from error
    kinds = {kind.value: cls for kind, cls in peft.PEFT_TYPE_TO_CONFIG_MAPPING.items()}
    kind = config.get("peft_type")
    if kind not in kinds:
        raise ValueError(unknown("peft_type", str(kind), sorted(kinds)))
    if issubclass(kinds[kind], peft.PromptLearningConfig):
        raise ValueError(f"peft: {kind} makes no layers; use our prompt or prefix")
    if refused := sorted(str(entry) for entry in config if entry not in ALLOWED):
        told = "what may stand there is a number, a switch, or names of modules (docs/methods.md)"
        raise ValueError(f"peft: {refused[0][:60]} in its config is not passed on; {told}")
    start = config.get("init_lora_weights")
    if start in NEEDS_DATA:
        raise ValueError(f'peft: init_lora_weights = "{start}" needs data to start from; use true or "orthogonal"')


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
            ValueError: see `check`, `layers_around`, or a name matches nothing.
        """
        check(self.config)
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
        return layers_around(backbone, sites, config)

    def parts(self, backbone: Backbone) -> list[tuple[Site, Part]]:
        """One layer of peft for each site."""
        layers = self.layers_of_peft(backbone)
        return [(site, PeftPart(layers[site.path])) for site in self.targets(backbone)]

    def n_parameters(self, backbone: Backbone) -> int:
        """What peft builds, counted."""
        with torch.random.fork_rng(devices=[]):
            parts = nn.ModuleList(self.layers_of_peft(backbone).values())
        return sum(value.numel() for value in parts.parameters() if value.requires_grad)
