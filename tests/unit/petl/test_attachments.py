"""Several methods on one network: merging any two, and many threads at once."""

import copy
import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from sordino import registry
from sordino.contracts import merge
from sordino.model import Model
from sordino.petl import make_method
from sordino.tasks import make_task

WIDE = {  # options that bring as many methods as possible to the same sites
    "bitfit": {"roles": ("attn.q", "attn.k", "attn.v", "attn.out", "ffn.in", "ffn.out", "norm")},
    "ssf": {"roles": ("attn.q", "attn.k", "attn.v", "attn.out", "ffn.in", "ffn.out", "norm")},
    "vera": {"d_initial": 1.0},
    "peft": {"config": {"peft_type": "LORA", "r": 2, "use_dora": True}},
}
MERGEABLE = [name for name in registry.names("method") if registry.find("method", name).mergeable]

PAIRS = list(itertools.permutations(MERGEABLE, 2))
ON_BOTH = [  # mert's layers are like mini's to a pair of methods, but for their convolutions
    pytest.param(backbone, names, id=f"{backbone}-{'>'.join(names)}", marks=pytest.mark.slow if other else [])
    for other, backbone in enumerate(("mini", "mert"))
    for names in PAIRS
]


@pytest.fixture(params=["mini", "mert"])
def backbone(request):
    return registry.find("backbone", request.param).tiny().freeze()


def frames_of(backbone):
    waveform = 0.1 * torch.randn(2, 12_000, generator=torch.Generator().manual_seed(0))
    return backbone.frontend(waveform, torch.tensor([12_000, 8_000]))


def attach(backbone, *names, **options):
    """Parts moved far from where they start."""
    torch.manual_seed(1)
    found = []
    for name in names:
        if name == "peft":
            pytest.importorskip("peft")
        attachment = make_method(name, **WIDE.get(name, {}), **options).attach(backbone).eval()
        with torch.no_grad():
            for value in attachment.parameters():
                value.add_(0.3 * torch.randn_like(value))
        found.append(attachment)
    return found


@torch.no_grad()
def answer(backbone):
    return backbone.encode(frames_of(backbone))[-1]


def alike(found, expected):
    return float((found - expected).abs().max()) < 2e-5 * max(1.0, float(expected.abs().max()))


@pytest.mark.parametrize(("backbone", "names"), ON_BOTH, indirect=["backbone"])
def test_any_two_merge_to_what_they_did_apart(backbone, names):
    before, bare = backbone.fingerprint(), answer(backbone)
    attached = attach(backbone, *names)
    apart = answer(backbone)
    merge(attached)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in backbone.modules())
    assert alike(answer(backbone), apart)
    assert not alike(apart, bare)
    attached[0].unmerge()
    assert torch.equal(answer(backbone), apart)
    merge(attached)
    for attachment in attached:  # taking one off undoes what they were merged to together
        attachment.detach()
    assert backbone.fingerprint() == before
    assert torch.equal(answer(backbone), bare)


@pytest.mark.parametrize(("backbone", "names"), ON_BOTH, indirect=["backbone"])
def test_one_of_two_merges_exactly_or_not_at_all(backbone, names):
    """Wherever both have parts at one site, one alone would become another function."""
    attached = attach(backbone, *names)
    apart, before = answer(backbone), backbone.fingerprint()
    together = set(attached[0].sites) & set(attached[1].sites)
    for one in attached:
        if together:
            with pytest.raises(RuntimeError, match=r"works at the same site; merge both at once"):
                one.merge()
        else:
            one.merge()
        assert alike(answer(backbone), apart)
    if not together:
        with pytest.raises(RuntimeError, match=f"{names[0]} was not merged last; unmerge {names[1]} first"):
            attached[0].unmerge()
        for one in reversed(attached):
            one.unmerge()
    assert backbone.fingerprint() == before


def test_many_at_once(backbone):
    attached = attach(backbone, "ia3", "lora", "ssf", "dora", "bitfit", "vera", "layernorm")
    apart = answer(backbone)
    merge(attached)
    assert alike(answer(backbone), apart)


def test_what_is_attached_to_merged_weights_comes_off_first(backbone):
    before = backbone.fingerprint()
    (first,) = attach(backbone, "lora")
    first.merge()
    with pytest.raises(RuntimeError, match=r"lora is merged already; call unmerge\(\) first"):
        first.merge()
    (second,) = attach(backbone, "dora")
    apart = answer(backbone)
    with pytest.raises(RuntimeError, match=r"lora: dora at .* was attached to the merged weights; detach it first"):
        first.unmerge()
    second.merge()
    assert alike(answer(backbone), apart)
    with pytest.raises(RuntimeError, match="lora was not merged last; unmerge dora first"):
        first.detach()
    second.detach()
    first.detach()
    assert backbone.fingerprint() == before


def test_others_that_share_the_weights_do_not_notice(backbone):
    before, bare = backbone.fingerprint(), answer(backbone)
    (one,), (other,) = attach(backbone.share(), "lora"), attach(backbone.share(), "ssf")
    expected = answer(other.backbone)
    one.merge()
    assert torch.equal(answer(other.backbone), expected)
    assert torch.equal(answer(backbone), bare) and backbone.fingerprint() == before
    weight = "layers.0.tokens"
    assert one.backbone.get_submodule(weight) is not backbone.get_submodule(weight)


def test_a_share_is_the_same_network_in_memory(backbone):
    twin = backbone.share()
    assert {id(p) for p in twin.parameters()} == {id(p) for p in backbone.parameters()}
    twin.double()
    assert {v.dtype for v in backbone.state_dict().values() if v.is_floating_point()} == {torch.float64}
    twin.train()
    assert not backbone.training and not backbone.layers[0].training


def model_of(backbone, *methods, seed=0, **head):
    task = make_task("key")
    task.fit([])
    model = Model(backbone, [task], list(methods), {"dropout": 0.0, **head}, seed)
    torch.manual_seed(seed)
    with torch.no_grad():
        for value in model.attachments.parameters():
            value.add_(0.3 * torch.randn_like(value))
    return model


def test_threads_do_not_disturb_each_other(backbone):
    """Two models on one network, clips of many lengths, some of which fail, in eight threads."""
    models = [model_of(backbone, make_method(name), seed=seed) for seed, name in enumerate(("lora", "conv_adapter"))]
    waveform = 0.1 * torch.randn(2, 16_000, generator=torch.Generator().manual_seed(0))
    jobs = [(i % 3, 4_000 + 250 * i) for i in range(48)]

    @torch.no_grad()
    def job(which, n_samples):
        if which == 2:
            frames = backbone.frontend(waveform)
            with pytest.raises(RuntimeError):
                models[0](*models[0].constant_from(frames._replace(x=frames.x[..., :-1])))
            return backbone.encode(frames)[-1]
        return models[which].predict(waveform, torch.tensor([n_samples, 16_000]))["key"]

    expected = [job(*each) for each in jobs]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda each: job(*each), jobs * 3))
    assert all(torch.equal(x, y) for x, y in zip(found, expected * 3, strict=True))


def test_a_copy_of_a_model_has_parts_of_its_own(backbone):
    model = model_of(backbone, make_method("lora"), make_method("prefix", mlp=0))
    constant = model.constant_from(frames_of(backbone))
    expected = model(*constant)["key"]
    twin = copy.deepcopy(model)
    assert torch.equal(twin(*constant)["key"], expected)
    with torch.no_grad():
        for value in twin.attachments.parameters():
            value.zero_()
    assert torch.equal(model(*constant)["key"], expected)
    assert not torch.equal(twin(*constant)["key"], expected)


def test_a_model_merges_and_unmerges(backbone):
    model = model_of(backbone, make_method("ia3"), make_method("lora"))
    constant = model.constant_from(frames_of(backbone))
    before = backbone.fingerprint()
    with torch.no_grad():
        apart = model(*constant)["key"]
        model.merge()
        assert alike(model(*constant)["key"], apart)
        model.unmerge()
        assert torch.equal(model(*constant)["key"], apart)
        model.merge()
        model.detach()
    assert model.backbone.fingerprint() == backbone.fingerprint() == before
    with pytest.raises(TypeError, match="cannot be merged"):
        model_of(backbone, make_method("lora"), make_method("prefix")).merge()
