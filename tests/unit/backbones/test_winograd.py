"""Convolutions by tiles against the plain sum in double precision."""

import pytest
import torch
import torch.nn.functional as F

from sordino.backbones import _winograd
from sordino.backbones._winograd import conv3x3


@pytest.mark.parametrize(
    "shape", [(1, 64, 1, 1), (2, 64, 4, 4), (1, 64, 5, 7), (2, 128, 16, 67), (1, 192, 33, 90), (1, 256, 64, 70)]
)
def test_against_the_plain_sum(shape):
    torch.manual_seed(0)
    x, weight, bias = torch.randn(shape), torch.randn(96, shape[1], 3, 3), torch.randn(96)
    expected = F.conv2d(x.double(), weight.double(), bias.double(), padding=1)
    found = conv3x3(x, weight, bias)
    assert found.shape == expected.shape
    assert (found - expected).norm() < 4e-6 * expected.norm()
    assert (F.conv2d(x, weight, bias, padding=1) - found).abs().max() > 0  # the other way was taken


def test_tiles_are_worked_on_in_groups(monkeypatch):
    torch.manual_seed(0)
    x, weight, bias = torch.randn(2, 64, 22, 30), torch.randn(64, 64, 3, 3), torch.randn(64)
    whole = conv3x3(x, weight, bias)
    monkeypatch.setattr(_winograd, "TILES", 10)
    torch.testing.assert_close(conv3x3(x, weight, bias), whole)


def test_what_learns_or_is_small_is_summed_plainly():
    torch.manual_seed(0)
    x, weight, bias = torch.randn(1, 64, 6, 6), torch.randn(64, 64, 3, 3, requires_grad=True), torch.zeros(64)
    conv3x3(x, weight, bias).sum().backward()
    assert weight.grad is not None
    small = torch.randn(8, 8, 3, 3)
    assert torch.equal(conv3x3(x[:, :8], small, bias[:8]), F.conv2d(x[:, :8], small, bias[:8], padding=1))
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        assert conv3x3(x, weight, bias).dtype == torch.bfloat16
