"""Dropout leaves out what it says, as torch does, whatever the type and the number of values."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from sordino.dropout import Dropout, attention, dropout

N = 200_001  # no multiple of four


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("p", [0.1, 0.25, 0.5])
def test_the_share_and_the_scale_are_those_of_torch(p, dtype):
    torch.manual_seed(0)
    x = torch.ones(3, N // 3, dtype=dtype)
    y = dropout(x, p)
    assert y.dtype == dtype and y.shape == x.shape
    torch.testing.assert_close(
        y.unique(), F.dropout(x, p).unique(), rtol=1e-4 if dtype != torch.bfloat16 else 1e-2, atol=0
    )
    assert abs((y == 0).double().mean().item() - p) < 4 * (p * (1 - p) / x.numel()) ** 0.5


def test_neighbours_are_left_out_independently():
    torch.manual_seed(0)
    left_out = (dropout(torch.ones(N), 0.5) == 0).double() - 0.5
    for lag in (1, 2, 3, 4, 8):
        assert abs((left_out[lag:] * left_out[:-lag]).mean().item() * 4) < 4 / N**0.5


def test_the_gradient_goes_where_the_value_went():
    x = torch.randn(4, 33, requires_grad=True)
    y = dropout(x, 0.3)
    y.sum().backward()
    torch.testing.assert_close(x.grad * x.detach(), y.detach())


def test_a_seed_repeats_it():
    first, second = (torch.manual_seed(3) and dropout(torch.ones(N), 0.1) for _ in range(2))
    torch.testing.assert_close(first, second)
    assert not torch.equal(second, dropout(torch.ones(N), 0.1))


@pytest.mark.parametrize(("p", "training"), [(0.5, False), (0.0, True)])
def test_nothing_is_left_out_where_nothing_is_asked(p, training):
    x = torch.randn(5)
    torch.testing.assert_close(Dropout(p).train(training)(x), x)
    assert not dropout(x, 1.0).any()


@pytest.mark.parametrize("added", ["nothing", "mask", "bias"])
def test_attention_is_that_of_torch_and_in_the_mean_also_with_dropout(added):
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 4, 6, 8).unbind()
    mask = torch.arange(6) < 4
    what = {"nothing": None, "mask": mask[None, None, None], "bias": torch.randn(2, 4, 6, 6)}[added]
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=what)
    torch.testing.assert_close(attention(q, k, v, what, 0.0), expected)
    torch.testing.assert_close(attention(q, k, v, what, 1e-6), expected)  # nothing is left out, by the other way
    many = torch.stack([attention(q, k, v, what, 0.2) for _ in range(2000)])
    assert not torch.allclose(many[0], expected)
    error = (many.mean(0) - expected).abs() / (many.std(0) / len(many) ** 0.5 + 1e-6)
    assert error.max() < 5
