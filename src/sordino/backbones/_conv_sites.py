"""The sites of convolutional layers, the same for every convolutional network."""

from __future__ import annotations

from typing import Any

from sordino.contracts import Site


def conv_site(path: str, layer: int, conv: Any, role: str = "conv.in") -> Site:
    """A convolution: `conv.in` where it reads what enters the layer, `conv.out` behind others."""
    return Site(path, role, layer, conv.in_channels, conv.out_channels)


def norm_site(path: str, layer: int, norm: Any) -> Site:
    """A norm of channels."""
    return Site(path, "norm", layer, len(norm.weight), len(norm.weight))


def conv_norm_sites(path: str, layer: int, convs: Any, norms: Any) -> list[Site]:
    """Convolutions `convs` in a row below `path`, the norm of `norms` behind each."""
    found = []
    for number, (conv, norm) in enumerate(zip(convs, norms, strict=True)):
        role = "conv.out" if number else "conv.in"
        found.append(conv_site(f"{path}.convs.{number}", layer, conv, role))
        found.append(norm_site(f"{path}.norms.{number}", layer, norm))
    return found


def after_site(path: str, layer: int, dim: int) -> Site:
    """The stream behind a layer."""
    return Site(path, "after.conv", layer, dim, dim)
