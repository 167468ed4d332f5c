import pytest
import torch

from sordino.heads import Head, HeadConfig, Pool
from sordino.settings import build

DIM, N_LAYERS = 6, 4


def states(batch=3, frames=9, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, frames, DIM, generator=generator) for _ in range(N_LAYERS + 1)]


def padded(x, mask, n=4):
    junk = [torch.cat([s, torch.full_like(s[:, :n], 1e3)], 1) for s in x]
    return junk, torch.cat([mask, torch.zeros(len(mask), n, dtype=torch.bool)], 1)


@pytest.mark.parametrize("pool", ["mean", "attention", "mean_std", "mean_max"])
@pytest.mark.parametrize("layers", ["last", "all", "2-3", "mean:0-2"])
def test_padding_changes_nothing(pool, layers):
    torch.manual_seed(0)
    head = Head(DIM, 5, N_LAYERS, "clip", HeadConfig(layers, pool)).eval()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    x, mask = states(), torch.ones(3, 9, dtype=torch.bool)
    expected = head(x, None)
    assert expected.shape == (3, 5)
    torch.testing.assert_close(head(x, mask), expected)
    torch.testing.assert_close(head(*padded(x, mask)), expected, rtol=1e-4, atol=1e-5)


def test_pooling_by_hand():
    x = torch.tensor([[[1.0, 0.0], [3.0, 4.0], [9.0, 9.0]]])
    mask = torch.tensor([[True, True, False]])
    torch.testing.assert_close(Pool("mean", 2)(x, mask), torch.tensor([[2.0, 2.0]]))
    torch.testing.assert_close(Pool("mean_std", 2)(x, mask), torch.tensor([[2.0, 2.0, 1.0, 2.0]]))
    torch.testing.assert_close(Pool("attention", 2)(x, mask), torch.tensor([[2.0, 2.0]]))  # begins as the mean
    attention = Pool("attention", 2)
    with torch.no_grad():
        attention.score.weight.copy_(torch.tensor([[100.0, 0.0]]))
    torch.testing.assert_close(attention(x, mask), torch.tensor([[3.0, 4.0]]))
    assert torch.equal(Pool("mean_std", 2)(x, ~mask & mask)[:, :2], torch.zeros(1, 2))
    below = torch.tensor([[[-3.0, -1.0], [-1.0, -5.0], [9.0, 9.0]]])
    mask = torch.tensor([[True, True, False]])
    torch.testing.assert_close(Pool("mean_max", 2)(below, mask), torch.tensor([[-2.0, -3.0, -1.0, -1.0]]))
    assert torch.equal(Pool("mean_max", 2)(below, ~mask & mask), torch.zeros(1, 4))


def test_only_the_needed_states_are_read():
    for layers, needed in (
        ("last", [4]),
        ("2", [2]),
        ("0,3", [0, 3]),
        ("all", [1, 2, 3, 4]),
        ("mean:2-3", [2, 3]),
    ):
        head = Head(DIM, 2, N_LAYERS, "frame", HeadConfig(layers))
        assert head.needed_states == HeadConfig(layers).needed_states(N_LAYERS) == needed
        sparse = [state if number in needed else None for number, state in enumerate(states())]
        assert head(sparse).shape == (3, 9, 2)


def test_a_learned_mix_begins_as_the_mean_and_learns():
    torch.manual_seed(0)
    learned = Head(DIM, 2, N_LAYERS, "clip", HeadConfig("1-3", dropout=0.0))
    plain = Head(DIM, 2, N_LAYERS, "clip", HeadConfig("mean:1-3", dropout=0.0))
    plain.load_state_dict(learned.state_dict())
    torch.testing.assert_close(learned(states()), plain(states()))
    learned(states()).sum().backward()
    assert learned.mix.weight.grad.abs().sum() > 0
    assert not plain.mix.weight.requires_grad


def test_the_network_is_the_papers_or_linear():
    layers = [type(layer).__name__ for layer in Head(DIM, 5, N_LAYERS, "clip").mlp]
    assert layers == ["Linear", "Dropout", "ReLU", "Linear"]
    count = sum(p.numel() for p in Head(DIM, 5, N_LAYERS, "clip").parameters())
    assert count == DIM * DIM + DIM + 5 * DIM + 5
    linear = Head(DIM, 5, N_LAYERS, "clip", HeadConfig(hidden=0))
    assert sum(p.numel() for p in linear.parameters()) == 5 * DIM + 5


@pytest.mark.parametrize("options", [{"pool": "max"}, {"hidden": -2}, {"dropout": 1.0}])
def test_wrong_options_are_refused(options):
    with pytest.raises(ValueError, match=r"head\.\w+ = .*; it wants"):
        build(HeadConfig, options, "head")
