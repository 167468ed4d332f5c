"""LoRA, DoRA and IA3 to and from the folder that Hugging Face peft saves: its configuration and its tensors.

The folder fits the bare backbone: `PeftModel.from_pretrained(backbone, folder)` loads it where peft is.
Nothing here needs peft.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sordino.contracts import Attachment, Backbone, Method, Site
from sordino.files import write_json, write_with
from sordino.petl._maps import LinearMap, linear_module, n_groups
from sordino.petl.dora import DoRA
from sordino.petl.ia3 import IA3, INPUT_ROLE
from sordino.petl.lora import LoRA
from sordino.petl.pissa import PiSSA

PREFIX = "base_model.model."
Reshape = Callable[[Tensor, Tensor], Tensor]
# our name: peft's name behind the module's path, our tensor in peft's shape, and back (w: the weight)
LOW_RANK: dict[str, tuple[str, Reshape, Reshape]] = {
    "A": ("lora_A.weight", lambda x, w: x, lambda x, w: x),
    "B": ("lora_B.weight", lambda x, w: x.reshape(*x.shape, *[1] * (w.dim() - 2)), lambda x, w: x.flatten(1)),
    "magnitude": (
        "lora_magnitude_vector",
        lambda x, w: x if w.dim() == 2 else x.reshape(1, -1, *[1] * (w.dim() - 2)),
        lambda x, w: x.flatten(),
    ),
}
UNSUPPORTED = ("modules_to_save", "layer_replication", "trainable_token_indices", "lora_bias",
               "fan_in_fan_out", "megatron_config", "arrow_config", "alora_invocation_tokens")  # fmt: skip


def to_peft(method: Method, attachment: Attachment, folder: str | Path) -> Path:
    """Write an attachment of `lora`, `dora` or `ia3` as an adapter of peft.

    Args:
        method: the method that made it.
        attachment: the trained parts.
        folder: where the two files go.

    Returns:
        The folder.

    Raises:
        TypeError: another method, or a convolution that peft has no such layer for.
    """
    folder, sites = Path(folder), list(attachment.sites.values())
    if isinstance(method, LoRA) and not isinstance(method, PiSSA):  # which changes the weight itself there
        config = _lora_config(method, sites)
    elif isinstance(method, IA3):
        config = _ia3_config(sites)
    else:
        raise TypeError(f"{method.name} has no form in peft's format; lora, dora and ia3 have")
    tensors = {}
    for full, value in attachment.tensors().items():
        key, _, ours = full.partition(":")
        site = attachment.sites[key]
        theirs, shaped = _their_tensor(site, linear_module(attachment.backbone, site), ours, value)
        tensors[f"{PREFIX}{site.path}.{theirs}"] = shaped.detach().cpu().contiguous().clone()
    write_with(folder / "adapter_model.safetensors", lambda part: save_file(tensors, part, metadata={"format": "pt"}))
    write_json(folder / "adapter_config.json", config)
    return folder


def _their_tensor(site: Site, module: LinearMap, ours: str, value: Tensor) -> tuple[str, Tensor]:
    """peft's name and shape for one of our tensors."""
    if n_groups(module) > 1:
        raise TypeError(f"{site.path} has groups, whose ranks peft counts otherwise")
    if ours in LOW_RANK:
        theirs, forth, _ = LOW_RANK[ours]
        return theirs, forth(value, module.weight)
    if not isinstance(module, nn.Linear):
        raise TypeError(f"{site.path} is a convolution, and peft's IA3 has none of its kind")
    return "ia3_l", value.reshape(1, -1) if site.role == INPUT_ROLE else value.reshape(-1, 1)


def _plain_config(sites: list[Site]) -> dict[str, Any]:
    return {
        "base_model_name_or_path": None,  # a name would make peft look for it on the network
        "task_type": None,
        "inference_mode": True,
        "target_modules": [site.path for site in sites],
    }


def _lora_config(method: LoRA, sites: list[Site]) -> dict[str, Any]:
    ranks = {site.path: method.at("r", site.role) for site in sites}
    alphas = {site.path: method.at("alpha", site.role) or ranks[site.path] for site in sites}
    first = sites[0].path
    return {
        **_plain_config(sites),
        "peft_type": "LORA",
        "r": ranks[first],
        "lora_alpha": alphas[first],
        "rank_pattern": {path: r for path, r in ranks.items() if r != ranks[first]},
        "alpha_pattern": {path: alpha for path, alpha in alphas.items() if alpha != alphas[first]},
        "lora_dropout": method.dropout,
        "use_rslora": method.rslora,
        "use_dora": isinstance(method, DoRA),
        "bias": "none",
    }


def _ia3_config(sites: list[Site]) -> dict[str, Any]:
    inner = [site.path for site in sites if site.role == INPUT_ROLE]
    return {**_plain_config(sites), "peft_type": "IA3", "feedforward_modules": inner}


def from_peft(folder: str | Path, backbone: Backbone) -> tuple[Method, Attachment]:
    """Attach an adapter of peft (LoRA, DoRA or IA3) to the backbone it was trained on.

    Returns:
        Our method with the same options, and its attachment with the adapter's tensors.

    Raises:
        FileNotFoundError: the folder holds no adapter of peft.
        ValueError: it uses something that our method does not have, or modules this backbone does not have.
    """
    folder = Path(folder)
    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "adapter_model.safetensors")
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{folder} holds no adapter_config.json and adapter_model.safetensors") from error
    used = [name for name in UNSUPPORTED if config.get(name)]
    if used or config.get("bias", "none") != "none" or config.get("peft_type") not in ("LORA", "IA3"):
        what = used or [f"peft_type {config.get('peft_type')}, bias {config.get('bias')}"]
        raise ValueError(f"{folder}: {', '.join(what)} cannot be taken over; LORA and IA3 without them can")
    ours = _our_names(tensors, backbone, str(folder))
    sites = [site for site in backbone.sites() if any(site.path == path for path, _ in ours)]
    method = _method(config, sites, {path: a.shape[0] for (path, name), a in ours.items() if name == "A"})
    attachment = method.attach(backbone)
    if set(attachment.sites) != {site.key for site in sites}:
        attachment.detach()
        raise ValueError(f"{folder}: its modules are not the same in every layer, which no choice of roles gives")
    attachment.load_tensors({f"{path.replace('.', '/')}:{name}": value for (path, name), value in ours.items()})
    return method, attachment


def _our_names(tensors: dict[str, Tensor], backbone: Backbone, where: str) -> dict[tuple[str, str], Tensor]:
    """The tensors by site path and our name, in our shapes."""
    sites = {site.path: site for site in backbone.sites()}
    theirs = {name: (ours, back) for ours, (name, _, back) in LOW_RANK.items()}
    theirs["lora_magnitude_vector.weight"] = theirs["lora_magnitude_vector"]
    theirs["ia3_l"] = ("scale", lambda x, w: x.flatten())
    found = {}
    for full, value in tensors.items():
        match = re.fullmatch(rf"{re.escape(PREFIX)}(.+?)\.({'|'.join(map(re.escape, theirs))})", full)
        if match is None or match[1] not in sites:
            raise ValueError(f"{where}: tensor {full} belongs to no site of {backbone.name}")
        ours, back = theirs[match[2]]
        found[match[1], ours] = back(value, linear_module(backbone, sites[match[1]]).weight)
    return found


def _method(config: dict[str, Any], sites: list[Site], ranks: dict[str, int]) -> Method:
    roles = tuple(dict.fromkeys(site.role for site in sites))
    layers = ",".join(str(layer) for layer in sorted({site.layer for site in sites}))
    if config["peft_type"] == "IA3":
        return IA3(roles=roles, layers=layers)
    patterns, usual = config.get("alpha_pattern"), config["lora_alpha"]
    alphas = {site.path: float(_pattern(patterns, site.path, usual)) for site in sites}
    r, alpha = {}, {}
    for site in sites:
        for table, values in ((r, ranks), (alpha, alphas)):
            if table.setdefault(site.role, values[site.path]) != values[site.path]:
                raise ValueError(f"{site.path}: rank or alpha differs between modules of the role {site.role}")
    cls = DoRA if config.get("use_dora") else LoRA
    return cls(
        roles=roles,
        layers=layers,
        r=r,
        alpha=alpha,
        rslora=bool(config.get("use_rslora")),
        dropout=config.get("lora_dropout", 0.0),
    )


def _pattern(patterns: dict[str, Any] | None, path: str, otherwise: Any) -> Any:
    """The value of the first pattern that matches the end of a path, as peft reads them."""
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", path):
            return value
    return otherwise
