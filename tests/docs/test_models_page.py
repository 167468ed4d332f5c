"""The table of docs/models.md is true."""

import re
from pathlib import Path

import pytest
import torch

from sordino import registry
from sordino.backbones import mert

PAGE = Path("docs/models.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\| `.*\|$", PAGE, re.MULTILINE)]


def build(name, what, depth=None):
    cls = registry.find("backbone", name)
    if "variant=330m" in what:
        return cls(mert.SIZES["330m"], depth)
    return cls() if depth is None else cls(depth=depth)


def count(backbone):
    return f"{sum(p.numel() for p in backbone.parameters()):,}"


def test_every_backbone_has_a_row():
    assert {row[0].strip("`") for row in ROWS} == set(registry.names("backbone"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[4]}")
def test_row(row):
    name, what, rate_in, rate, size, parameters, with_six, licence = (cell.strip("`") for cell in row)
    cls = registry.find("backbone", name)
    backbone = cls.load() if name == "mini" else None  # as it ships
    with torch.device("meta"):
        backbone = backbone or build(name, what)
        assert count(backbone) == parameters
        if with_six:
            assert count(build(name, what, 6)) == with_six
    assert f"{backbone.sample_rate_hz / 1000:g} kHz" == rate_in
    assert f"{round(backbone.frame_rate_hz, 1):g} Hz" == rate
    assert f"{backbone.n_layers} x {backbone.dim}" == size
    assert cls.licence == licence


def test_revisions_are_the_pinned_ones():
    from sordino.backbones import mert, muq, musicfm

    for module in (mert, muq, musicfm):
        for published in module.VARIANTS.values():
            assert f"| `{published.repository}` | `{published.revision[:8]}` |" in PAGE
