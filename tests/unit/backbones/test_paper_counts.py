"""Trained parameters on the paper's two models at depth 6, to the digit; nothing is allocated."""

import pytest
import torch

from sordino import registry
from sordino.petl import make_method

PAPER = {  # name, options: MusicFM, MERT 95M
    ("lora", "r=2"): ({"r": 2}, 405_504, 165_888),
    ("adapter", "with norms"): ({"bottleneck": 16, "layer_norms": True}, 657_696, 322_752),
    ("adapter", "without norms"): (
        {"bottleneck": 16, "layer_norms": False},
        608_544,
        322_752 - 6 * 2 * 2 * 768,
    ),
    ("bitfit", ""): ({}, 110_592, 50_688),
    ("probe", ""): ({}, 0, 0),
    ("finetune", "with frontend"): ({"frontend": True}, 171_289_600, 51_843_584),  # all that is built
}


@pytest.fixture(scope="module")
def backbones():
    with torch.device("meta"):
        return {name: registry.find("backbone", name)(depth=6).to("meta") for name in ("musicfm", "mert")}


@pytest.mark.parametrize("case", PAPER, ids="-".join)
@pytest.mark.parametrize(("name", "column"), [("musicfm", 1), ("mert", 2)])
def test_trained_parameters_equal_the_papers(backbones, name, column, case):
    method = make_method(case[0], **PAPER[case][0])
    attachment = method.attach(backbones[name])
    attached = sum(p.numel() for p in attachment.parameters() if p.requires_grad)
    assert attached == (0 if method.trains_backbone else PAPER[case][column])
    assert method.n_parameters(backbones[name]) == PAPER[case][column]
    attachment.detach()
