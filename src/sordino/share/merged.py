"""An adapter merged into its backbone: a plain checkpoint, and a head on it that attaches nothing.

OUT/
    backbone.safetensors   the backbone's own parameter names, the adapter's work in their values
    adapter.safetensors    the heads
    adapter.json           as of any adapter; its backbone is the file above
    README.md
"""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file

from sordino.adapter_file import MERGED, load_adapter, read_card, save_adapter
from sordino.contracts import Backbone
from sordino.files import write_with
from sordino.model import Model
from sordino.petl import make_method


def merge_adapter(adapter: str | Path, out: str | Path) -> Path:
    """Write the merged model.

    Args:
        adapter: its folder.
        out: the new folder.

    Returns:
        `out`.

    Raises:
        TypeError: a method cannot be merged into weights; says which part and where.
        ValueError: there is nothing to merge, or something else is at `out`.
    """
    card = read_card(adapter)
    model = load_adapter(adapter)
    if not any(attachment.sites for attachment in model.backbone.attached) and not model.unfrozen:
        raise ValueError(f"{adapter}: trains nothing but its head, so there is nothing to merge")
    model.merge()
    methods = " + ".join(method["name"] for method in card["methods"])
    plain = model.backbone.share().freeze()
    plain.weights = f"{card['backbone']['weights_from']}, {methods} merged"
    head = Model(plain, list(model.tasks.values()), [make_method("probe")], vars(model.head_config))
    head.heads.load_state_dict(model.heads.state_dict())
    spec = {k: v for k, v in card["backbone"].items() if k not in ("fingerprint", "weights_from")}
    kept = {name: card[name] for name in ("metrics", "data", "protocol", "config") if name in card}
    origin = f"{methods} of {Path(adapter).name}, merged into the weights of {card['backbone']['name']}"
    about = {**kept, "origin": origin}
    return save_adapter(head, out, spec, plain.fingerprint(), card["segment_s"], about,
                        beside=lambda folder: write_plain(plain, folder / MERGED))  # fmt: skip


def write_plain(backbone: Backbone, path: Path) -> None:
    """Write a backbone's tensors under its own names, as they are."""
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in backbone.state_dict().items()}
    write_with(path, lambda part: save_file(tensors, part, metadata={"format": "pt", "backbone": backbone.name}))
