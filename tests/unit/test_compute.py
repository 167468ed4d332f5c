"""Where bfloat16 would convolve wrongly, those convolutions are computed in float32, and nothing else is."""

import pytest
import torch
import torch.nn.functional as F

from sordino import compute
from sordino.compute import Compute

SHAPES = [(8, 8, 8), (16, 12, 16), (8, 2, 64), (16, 8, 1, 8), (8, 2, 3, 32)]  # of weights, all of which AMX gets wrong


@pytest.fixture(autouse=True)
def _afresh():
    compute._convolves_rightly.cache_clear()
    yield
    compute._convolves_rightly.cache_clear()


def operands(shape):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, shape[1], *[5] * (len(shape) - 3), 80, generator=generator)
    return (F.conv1d if len(shape) == 3 else F.conv2d), x, torch.randn(shape, generator=generator)


@pytest.mark.parametrize("shape", [*SHAPES, (8, 8, 3), (64, 64, 1)])
def test_every_convolution_is_right_in_bf16(shape):
    convolve, x, weight = operands(shape)
    with Compute.choose("cpu", "bf16").context():
        found = convolve(x, weight).float()
    exact = convolve(x, weight)
    assert float((found - exact).norm() / exact.norm()) < compute.MOST_ERROR


@pytest.fixture
def wrong(monkeypatch):
    """A processor that convolves wrongly in bfloat16."""
    monkeypatch.setattr(compute, "_has_amx", lambda: True)
    monkeypatch.setattr(compute, "_convolves_rightly", lambda: False)


@pytest.mark.parametrize("shape", SHAPES)
def test_wide_kernels_stay_in_float32_and_keep_their_gradient(shape, wrong):
    convolve, x, weight = operands(shape)
    weight.requires_grad_()
    with Compute.choose("cpu", "bf16").context():
        found = convolve(x.bfloat16(), weight=weight, padding=1)
    exact = convolve(x.bfloat16().float(), weight, padding=1)
    assert found.dtype == torch.float32 and torch.equal(found, exact)
    found.sum().backward()
    gradient, weight.grad = weight.grad, None
    exact.sum().backward()
    assert torch.equal(gradient, weight.grad)


def test_the_rest_is_computed_in_bf16(wrong):
    with Compute.choose("cpu", "bf16").context():
        assert torch.nn.Linear(4, 4)(torch.ones(1, 4)).dtype == torch.bfloat16
        assert torch.nn.Conv1d(4, 4, 3)(torch.ones(1, 4, 9)).dtype == torch.bfloat16
        assert torch.nn.Conv1d(4, 4, 31, groups=4)(torch.ones(1, 4, 50)).dtype == torch.bfloat16
        assert torch.nn.Conv1d(4, 4, 31)(torch.ones(1, 4, 50)).dtype == torch.float32
    with Compute.choose("cpu", "float32").context():
        assert torch.nn.Linear(4, 4)(torch.ones(1, 4)).dtype == torch.float32


def test_a_processor_that_convolves_rightly_is_left_alone(monkeypatch):
    monkeypatch.setattr(compute, "_convolves_rightly", lambda: True)
    with Compute.choose("cpu", "bf16").context():
        assert torch.nn.Conv1d(1, 4, 31)(torch.ones(1, 1, 50)).dtype == torch.bfloat16


def test_nothing_is_tried_without_amx(monkeypatch):
    monkeypatch.setattr(compute, "_has_amx", lambda: False)
    monkeypatch.setattr(compute.F, "conv1d", None)
    assert compute._convolves_rightly()


def test_amx_is_known_by_torch_or_by_the_system(monkeypatch):
    assert isinstance(compute._has_amx(), bool)
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported", raising=False)
    assert isinstance(compute._has_amx(), bool)
