"""Parts against their papers' equations, written out in NumPy."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from sordino.backbones._attention import SelfAttention
from sordino.petl import make_method
from sordino.petl._norms import NormDelta
from sordino.petl.adapter import AfterSum, BeforeSum, Parallel
from sordino.petl.bitfit import BiasDelta
from sordino.petl.conformer_adapter import ConvolutionModule
from sordino.petl.conv_adapter import ConvBottleneck
from sordino.petl.ia3 import InputScale, OutputScale
from sordino.petl.lora import LowRank
from sordino.petl.miss import Shard
from sordino.petl.mix import Weights
from sordino.petl.oft import Rotation
from sordino.petl.prefix import Prefix
from sordino.petl.prompt import InputTokens, LayerTokens
from sordino.petl.shira import SparseChange
from sordino.petl.soft_moa import Mixture
from sordino.petl.ssf import ScaleShift
from sordino.sites import Join, Norm

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def disturbed(part):
    with torch.no_grad():
        for value in part.parameters():
            value.add_(0.3 * torch.randn_like(value))
    return part.eval()


def array(x):
    return x.detach().double().numpy()


def close(found, expected):
    np.testing.assert_allclose(array(found), expected, rtol=1e-4, atol=1e-5)


def linear(layer, x):
    return x @ array(layer.weight).T + array(layer.bias)


def test_ssf():
    module, x = nn.Linear(5, 3), torch.randn(2, 4, 5)
    part = disturbed(ScaleShift(module))
    expected = linear(module, array(x)) * array(part.scale) + array(part.shift)
    close(part.after(module, (x,), module(x)), expected)


def test_ssf_of_a_convolution_without_bias():
    module, x = nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2, bias=False), torch.randn(2, 4, 9)
    part = disturbed(ScaleShift(module))
    assert part.shift is None
    close(part.after(module, (x,), module(x)), array(module(x)) * array(part.scale)[:, None])


def test_bitfit():
    module, x = nn.Linear(5, 3), torch.randn(2, 4, 5)
    part = disturbed(BiasDelta(module))
    close(part.after(module, (x,), module(x)), linear(module, array(x)) + array(part.bias))


def test_layernorm():
    module, x = disturbed(nn.LayerNorm(6)), torch.randn(2, 4, 6)
    part = disturbed(NormDelta(module))
    rows = array(x)
    normed = (rows - rows.mean(-1, keepdims=True)) / np.sqrt(rows.var(-1, keepdims=True) + module.eps)
    weight, bias = array(module.weight) + array(part.weight), array(module.bias) + array(part.bias)
    close(part.after(module, (x,), module(x)), normed * weight + bias)


def channels(values, n_axes):
    return array(values).reshape(-1, *[1] * n_axes)


@pytest.mark.parametrize("n_axes", [1, 2])
def test_norms_of_a_convolution(n_axes):
    """A BatchNorm by its stored statistics, in training too: layernorm, bitfit and ssf."""
    module = disturbed((nn.BatchNorm1d, nn.BatchNorm2d)[n_axes - 1](4, eps=1e-3))
    module.running_mean.normal_()
    module.running_var.uniform_(0.5, 2)
    x = torch.randn(3, 4, *[5, 6][:n_axes])
    mean, variance = channels(module.running_mean, n_axes), channels(module.running_var, n_axes)
    normed = (array(x) - mean) / np.sqrt(variance + 1e-3)
    weight, bias = channels(module.weight, n_axes), channels(module.bias, n_axes)
    close(module(x), normed * weight + bias)
    delta, shift, scale = disturbed(NormDelta(module)), disturbed(BiasDelta(module)), disturbed(ScaleShift(module))
    changed = normed * (weight + channels(delta.weight, n_axes)) + bias + channels(delta.bias, n_axes)
    close(delta.train().after(module, (x,), module(x)), changed)
    close(shift.after(module, (x,), module(x)), normed * weight + bias + channels(shift.bias, n_axes))
    scaled = (normed * weight + bias) * channels(scale.scale, n_axes) + channels(scale.shift, n_axes)
    close(scale.after(module, (x,), module(x)), scaled)


def test_a_norm_of_a_backbones_own():
    class Halved(Norm):
        def __init__(self):
            super().__init__()
            self.weight, self.bias = nn.Parameter(torch.randn(4)), nn.Parameter(torch.randn(4))

        def normed(self, x):
            return x / 2

        def forward(self, x):
            return self.normed(x) * self.weight[:, None] + self.bias[:, None]

    module, x = Halved(), torch.randn(2, 4, 5)
    part = disturbed(NormDelta(module))
    weight, bias = channels(module.weight + part.weight, 1), channels(module.bias + part.bias, 1)
    close(part.after(module, (x,), module(x)), array(x) / 2 * weight + bias)


def test_parts_on_a_convolution_of_two_dimensions():
    module, x = nn.Conv2d(2, 4, (3, 2), padding=(1, 0)), torch.randn(2, 2, 7, 5)
    plain = array(module(x))
    part = disturbed(BiasDelta(module))
    close(part.after(module, (x,), module(x)), plain + channels(part.bias, 2))
    part = disturbed(ScaleShift(module))
    close(part.after(module, (x,), module(x)), plain * channels(part.scale, 2) + channels(part.shift, 2))


def test_ia3():
    module, x = nn.Linear(5, 3), torch.randn(2, 4, 5)
    part = disturbed(OutputScale(module))
    close(part.after(module, (x,), module(x)), linear(module, array(x)) * array(part.scale))
    part = disturbed(InputScale(module))
    close(module(*part.before(module, (x,))), linear(module, array(x) * array(part.scale)))


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def bottleneck(part, x, activation):
    return part.scale * linear(part.up, activation(linear(part.down, x)))


@pytest.mark.parametrize(
    ("name", "activation"), [("gelu", gelu), ("relu", lambda x: np.maximum(x, 0))], ids=["gelu", "relu"]
)
@pytest.mark.parametrize("position", [AfterSum, BeforeSum, Parallel])
def test_adapter(position, name, activation):
    part = disturbed(position(6, 3, 2.0, 0.0, CPU, name))
    join, (residual, update, source) = Join(0.5), torch.randn(3, 2, 4, 6)
    inputs = part.before(join, (residual, update, source)) if part.before else (residual, update, source)
    found = join(*inputs)
    found = part.after(join, inputs, found) if part.after else found
    h, u, s = array(residual), array(update), array(source)
    expected = {
        AfterSum: (h + 0.5 * u) + bottleneck(part, h + 0.5 * u, activation),
        BeforeSum: h + 0.5 * (u + bottleneck(part, u, activation)),
        Parallel: h + 0.5 * (u + bottleneck(part, s, activation)),
    }[position]
    close(found, expected)


def test_an_adapter_starts_as_the_papers_public_code_does():
    """GELU, both biases and the way up zero; a Linear's usual bias on request."""
    usual, random = AfterSum(6, 3, 1.0, 0.0, CPU), AfterSum(6, 3, 1.0, 0.0, CPU, "relu", zero_bias=False)
    for part in (usual, random):
        assert not part.up.weight.any() and not part.up.bias.any() and part.down.weight.all()
    assert not usual.down.bias.any() and random.down.bias.all()
    method = make_method("adapter")
    assert (method.activation, method.down_bias) == ("gelu", "zero")


def test_conv_adapter():
    part = disturbed(ConvBottleneck(6, 3, 5, CPU))
    x, mask = torch.randn(1, 7, 6), torch.tensor([[True] * 5 + [False] * 2])
    inner = np.maximum(linear(part.down, array(x)), 0)[0]
    inner[5:] = 0
    padded, kernel = np.pad(inner, ((2, 2), (0, 0))), array(part.conv.weight)[:, 0]
    smoothed = np.stack([(padded[t : t + 5] * kernel.T).sum(0) for t in range(7)]) + array(part.conv.bias)
    expected = array(x) + linear(part.up, np.maximum(smoothed, 0))
    close(part.after(Join(), (x, x, x, mask), x), expected)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_prefix():
    attention, n_heads, x = SelfAttention(8, 2, rotary="none"), 2, torch.randn(1, 5, 8)
    part = disturbed(Prefix(3, 8, 4, CPU))
    attention.kv.register_forward_pre_hook(part.before)
    up, down = part.mlp[0], part.mlp[2]
    prefix = linear(down, np.tanh(linear(up, array(part.table))))
    q, k, v = (linear(attention.get_submodule(name), array(x)[0]) for name in attention.names[:3])
    k, v = np.concatenate([prefix[:, :8], k]), np.concatenate([prefix[:, 8:], v])
    heads = [
        softmax(q[:, i : i + 4] @ k[:, i : i + 4].T / math.sqrt(4)) @ v[:, i : i + 4] for i in range(0, 8, 8 // n_heads)
    ]
    close(attention(x)[0], linear(attention.linear_out, np.concatenate(heads, axis=1)))
    mask = torch.tensor([[True, True, True, False, False]])
    close(attention(x, mask)[0, :3], array(attention(x[:, :3])[0]))


def test_prompt():
    first, deep = InputTokens(2, 4, CPU), LayerTokens(2, 4, CPU)
    x, mask = torch.randn(3, 5, 4), torch.tensor([[True] * 5, [True] * 3 + [False] * 2, [True] * 5])
    longer, longer_mask, n_prompt = first.before(Join(), (x, mask, 1))
    assert n_prompt == 3
    close(longer, np.concatenate([np.broadcast_to(array(first.tokens), (3, 2, 4)), array(x)], axis=1))
    assert longer_mask.tolist() == [[True] * 7, [True] * 5 + [False] * 2, [True] * 7]
    replaced, _ = deep.before(Join(), (longer, 2))
    close(replaced, np.concatenate([np.broadcast_to(array(deep.tokens), (3, 2, 4)), array(x)], axis=1))


def test_mix():
    part = Weights([0, 2], CPU)
    with torch.no_grad():
        part.weights.copy_(torch.tensor([0.0, math.log(3.0)]))
    states = list(torch.randn(3, 1, 4, 6))
    (*kept, mixed), _ = part.before(Join(), (states, None))

    def normed(x):
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)

    close(mixed, 0.25 * normed(array(states[0])) + 0.75 * normed(array(states[2])))
    assert all(torch.equal(x, y) for x, y in zip(kept, states[:2], strict=True))


CONVOLUTIONS = [
    {"kernel_size": 1},
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 5, "stride": 2, "padding": 2, "dilation": 2},
    {"kernel_size": 3, "stride": 3, "groups": 2},
    {"kernel_size": 3, "padding": "same", "groups": 4},
]


@pytest.mark.parametrize("options", CONVOLUTIONS)
def test_lora_of_a_convolution_is_the_convolution_of_the_product(options):
    module, x = nn.Conv1d(8, 12, bias=False, **options), torch.randn(2, 8, 21)
    part = disturbed(LowRank(module, 3, 0.7))
    groups, weight = module.groups, array(module.weight)
    a = array(part.A).reshape(groups, 3, -1)
    b = array(part.B).reshape(groups, 12 // groups, 3)
    changed = nn.Conv1d(8, 12, bias=False, **options)
    with torch.no_grad():
        changed.weight.copy_(torch.tensor(weight + 0.7 * (b @ a).reshape(weight.shape)))
    close(part.after(module, (x,), module(x)), array(changed(x)))
    close(part.merged(module, dict(module.named_parameters()))["weight"], array(changed.weight))


@pytest.mark.parametrize("module", [nn.Linear(5, 4), nn.Conv1d(5, 4, 1)])
def test_lora_has_the_gradients_that_autograd_finds(module):
    module, part = module.double().requires_grad_(False), disturbed(LowRank(module, 2, 1.5)).double()
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    x = (x if isinstance(module, nn.Conv1d) else x.transpose(1, 2).contiguous()).requires_grad_(True)

    def changed(x, a, b):
        part.A, part.B = a, b
        return part.after(module, (x,), module(x))

    a, b = part.A, part.B
    del part.A, part.B
    assert torch.autograd.gradcheck(changed, (x, a, b))
    weight = module.weight.squeeze(-1) + 1.5 * b @ a.reshape(2, -1)
    expected = torch.func.functional_call(module, {"weight": weight.view_as(module.weight)}, (x,))
    torch.testing.assert_close(changed(x, a, b), expected)


def test_lora_of_a_picture():
    module, x = nn.Conv2d(4, 6, (3, 1), stride=(2, 1), groups=2), torch.randn(2, 4, 9, 5)
    part = disturbed(LowRank(module, 2, 1.0))
    changed = nn.Conv2d(4, 6, (3, 1), stride=(2, 1), groups=2)
    changed.load_state_dict({"bias": module.bias, **part.merged(module, dict(module.named_parameters()))})
    close(part.after(module, (x,), module(x)), array(changed(x)))


def test_lora_drops_out_only_while_training():
    module, x = nn.Linear(5, 3), torch.randn(2, 4, 5)
    part = disturbed(LowRank(module, 2, 1.0, dropout=0.5))
    still = part.after(module, (x,), module(x))
    assert torch.equal(still, part.after(module, (x,), module(x)))
    part.train()
    assert not torch.equal(part.after(module, (x,), module(x)), still)


def test_shira_and_miss_on_a_convolution():
    module, x = nn.Conv1d(4, 6, 3, padding=1, groups=2), torch.randn(2, 4, 9)
    sparse = disturbed(SparseChange(module, torch.tensor([3, 17, 35])))
    weight = np.zeros(36)
    weight[[3, 17, 35]] = array(sparse.values)
    shard = disturbed(Shard(module, 4))
    repeated = np.concatenate([array(shard.D), array(shard.D)])[:6].T
    for part, change in ((sparse, weight), (shard, repeated)):
        changed = nn.functional.conv1d(x, torch.tensor(change.reshape(6, 2, 3), dtype=x.dtype), padding=1, groups=2)
        close(part.after(module, (x,), module(x)), array(module(x)) + array(changed))


def test_oft_turns_and_keeps_lengths():
    module, x = nn.Conv2d(6, 4, 3), torch.randn(2, 6, 5, 5)
    part = disturbed(Rotation(module, 3))
    (turned,) = part.before(module, (x,))
    expected = np.zeros((6, 6))
    for block in range(2):
        q = np.zeros((3, 3))
        q[np.triu_indices(3, 1)] = array(part.skew[block])
        q = q - q.T
        expected[block * 3 : block * 3 + 3, block * 3 : block * 3 + 3] = (np.eye(3) - q) @ np.linalg.inv(np.eye(3) + q)
    close(turned, np.einsum("nihw,io->nohw", array(x), expected))
    np.testing.assert_allclose(array(turned.norm(dim=1)), array(x.norm(dim=1)), rtol=1e-5)


def test_conformer_adapter():
    part = disturbed(ConvolutionModule(6, 3, 5, CPU))
    residual, update, source = torch.randn(3, 1, 7, 6)
    mask = torch.tensor([[True] * 5 + [False] * 2])
    rows = array(source)[0]
    normed = (rows - rows.mean(-1, keepdims=True)) / np.sqrt(rows.var(-1, keepdims=True) + part.norm.eps)
    gated = linear(part.down, normed * array(part.norm.weight) + array(part.norm.bias))
    inner = gated[:, :3] / (1 + np.exp(-gated[:, 3:]))
    inner[5:] = 0
    padded, kernel = np.pad(inner, ((2, 2), (0, 0))), array(part.conv.weight)[:, 0]
    inner = np.stack([(padded[t : t + 5] * kernel.T).sum(0) for t in range(7)]) + array(part.conv.bias)
    expected = array(update)[0] + linear(part.up, inner / (1 + np.exp(-inner)))
    close(part.before(Join(), (residual, update, source, mask))[1][0], expected)


def test_soft_mixture_of_adapters():
    part = disturbed(Mixture(6, 2, 3, 4, CPU))
    residual, update, source = torch.randn(3, 1, 7, 6)
    mask = torch.tensor([[True] * 5 + [False] * 2])
    x, slots = array(source)[0], array(source)[0] @ array(part.P)
    real, over = np.exp(slots[:5]), np.exp(slots)
    mixed = (real / real.sum(0)).T @ x[:5]
    weights = [[array(each) for each in (part.U[n], part.V[n], part.b[n], part.c[n])] for n in (0, 0, 0, 1, 1, 1)]
    given = [u @ gelu(v @ mixed[s] + b) + c for s, (u, v, b, c) in enumerate(weights)]
    expected = array(update)[0] + (over / over.sum(1, keepdims=True)) @ np.stack(given)
    close(part.before(Join(), (residual, update, source, mask))[1][0], expected)
