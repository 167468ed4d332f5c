"""What is known of every method, for `sordino list methods`, the README and docs/methods.md.

Parameters are counted on MusicFM and MERT-95M with six layers, as in Ding and Lerch, 2024, on models without
storage.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from sordino import registry
from sordino.contracts import Backbone, Method
from sordino.settings import options_table, settings

REFERENCES = {"MusicFM-6": "musicfm", "MERT-6": "mert"}

HEAD = """# Methods

Every method is one file in `src/sordino/petl/`, written against the roles of a backbone's sites, so that it
runs on every backbone. This page is generated: `python tools/build_docs.py`.

Choose one by its name (`method = "lora"`), with options (`method = {name = "lora", r = 4, layers = "4-6"}`),
or several for one model (`method = "lora+prefix"`, or a list of tables). Most numbers can be given for each
role: `r = {"attn.q" = 4, default = 2}`. The same in Python: `make_method("lora", r={"attn.q": 4})` and
`parse_methods("lora+prefix")`.

"""

LEGEND = """
*Trained*: parameters without the head, with the options' defaults. *File*: those that the adapter file holds,
where they are fewer or more. *Merge*: the trained part can be written into the backbone's weights, and then costs
nothing. *Starts as the backbone*: before training, the answers are exactly those of the bare backbone.
*Gradients*: training goes back through the backbone; where it does not, every step runs on stored states.
"""


@dataclass(frozen=True)
class Facts:
    """One method.

    Attributes:
        name: its name in configs.
        title: its name in papers.
        year: of its paper.
        paper: link.
        trained: parameters trained, by reference backbone.
        stored: parameters in the adapter file, by reference backbone.
        mergeable: can be written into the weights.
        identity: starts as the bare backbone.
        through_backbone: needs gradients through the backbone.
    """

    name: str
    title: str
    year: int
    paper: str
    trained: dict[str, int]
    stored: dict[str, int]
    mergeable: bool
    identity: bool
    through_backbone: bool


@cache
def reference_backbones() -> dict[str, Backbone]:
    """MusicFM and MERT with six layers on the meta device: shapes without numbers."""
    with torch.device("meta"):
        return {title: registry.find("backbone", name).load("random", depth=6) for title, name in REFERENCES.items()}


def rows() -> tuple[Facts, ...]:
    """The package's own methods, by year and name."""
    return tuple(sorted(map(facts, registry.own_names("method")), key=lambda row: (row.year, row.name)))


@cache
def facts(name: str) -> Facts:
    """One method; `peft` counts as its default, LoRA, and only where it is installed."""
    method = registry.find("method", name)()
    trained, stored = {}, {}
    for title, backbone in reference_backbones().items():
        try:
            trained[title], stored[title] = _count(method, backbone)
        except ImportError:
            continue
    flags = (method.mergeable, method.identity, method.through_backbone)
    return Facts(name, method.title, method.year, method.paper, trained, stored, *flags)


def _count(method: Method, backbone: Backbone) -> tuple[int, int]:
    """Parameters trained, and parameters in the file."""
    trained = method.n_parameters(backbone)
    if method.trains_backbone:
        return trained, trained
    attachment = method.attach(backbone)
    stored = sum(value.numel() for value in attachment.tensors().values())
    attachment.detach()
    return trained, stored


def table() -> str:
    """All methods as a Markdown table."""
    lines = [
        f"| method | paper | {' | '.join(f'trained on {title}' for title in REFERENCES)} | merge "
        "| starts as the backbone | gradients through the backbone |",
        f"|---|---|{'---:|' * len(REFERENCES)}---|---|---|",
    ]
    for row in rows():
        numbers = " | ".join(_number(row, title) for title in REFERENCES)
        flags = " | ".join("yes" if flag else "no" for flag in (row.mergeable, row.identity, row.through_backbone))
        lines.append(f"| `{row.name}` | [{row.title}, {row.year}]({row.paper}) | {numbers} | {flags} |")
    return "\n".join(lines) + "\n"


def _number(row: Facts, title: str) -> str:
    if title not in row.trained:
        return ""
    trained, stored = row.trained[title], row.stored[title]
    return f"{trained:,}" + (f" (file {stored:,})" if stored != trained else "")


def page(capabilities: str = "") -> str:
    """docs/methods.md: the table, what each can do (`tools/build_capabilities.py`), and the options of each method."""
    parts = [HEAD, table(), LEGEND, capabilities, "\n## Options\n"]
    for name in registry.own_names("method"):
        cls = registry.find("method", name)
        parts.append(f"\n### {name}\n\n{_description(cls)}\n" + options_table(settings(cls).values()))
    return "".join(parts)


def _description(cls: type[Any]) -> str:
    """What the head of a method's file says, its papers left out, and its usual rate."""
    module = inspect.getmodule(cls)
    blocks = re.split(r"\n(?=\S*: )|\n\n", inspect.cleandoc((module and module.__doc__) or ""))
    said = [blocks[0]]
    for block in blocks[1:]:
        if block.startswith("    "):
            said.append(f"```\n{inspect.cleandoc(block)}\n```")
        elif block.startswith(("Differs:", "Parameters:")):
            said.append(f"*{block.replace(':', ':*', 1)}")
    return "\n\n".join([*said, f"*Usual learning rate:* {cls.learning_rate:g}."]) + "\n"
