"""The numbers of trained parameters in Ding and Lerch, 2024, and in its public code, on six layers."""

import pytest

from sordino.petl import make_method
from sordino.petl._table import reference_backbones

LINEARS = ("attn.q", "attn.k", "attn.v", "attn.out", "ffn.in", "ffn.out")
PUBLISHED = [
    ("lora", {"r": 2}, {"MusicFM-6": 405_504, "MERT-6": 165_888}),
    ("adapter", {"bottleneck": 16, "layer_norms": False}, {"MusicFM-6": 608_544}),
    ("adapter", {"bottleneck": 16}, {"MusicFM-6": 657_696, "MERT-6": 322_752}),
    ("bitfit", {}, {"MusicFM-6": 110_592, "MERT-6": 50_688}),
    ("ssf", {"roles": LINEARS}, {"MusicFM-6": 172_032, "MERT-6": 82_944}),
    ("ssf", {}, {"MusicFM-6": 190_464, "MERT-6": 82_944}),
    ("prefix", {"mlp": 0}, {"MusicFM-6": 393_216}),
    ("probe", {}, {"MusicFM-6": 0, "MERT-6": 0}),
]


@pytest.fixture(scope="module")
def backbones():
    return reference_backbones()


@pytest.mark.parametrize(("name", "options", "counts"), PUBLISHED)
def test_published_counts(backbones, name, options, counts):
    method = make_method(name, **options)
    assert {title: method.n_parameters(backbones[title]) for title in counts} == counts


def test_the_file_of_a_prefix_is_smaller_than_what_is_trained(backbones):
    attachment = make_method("prefix").attach(backbones["MusicFM-6"])
    assert sum(value.numel() for value in attachment.tensors().values()) == 393_216
    assert sum(value.numel() for value in attachment.parameters()) == 9_649_152
