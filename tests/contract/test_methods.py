"""What every method keeps on every backbone, known or new: both come from the registry."""

import functools
import json

import jaxtyping
import pytest
import torch
from safetensors.torch import load, save
from torch.utils.checkpoint import checkpoint

from sordino import registry
from sordino.adapter_file import load_adapter, save_adapter
from sordino.contracts import Frames
from sordino.model import Model
from sordino.petl import make_method
from sordino.tasks import make_task

VARIANTS = [  # options that run through other code than the defaults do
    ("adapter", {"position": "before", "layer_norms": False}),
    ("adapter", {"position": "parallel", "roles": ("after.ffn",), "scale": 4.0}),
    ("prompt", {"deep": True, "n_tokens": 3}),
    ("prefix", {"mlp": 0, "n_tokens": 3}),
    ("lora", {"r": {"attn.q": 3, "default": 1}, "alpha": 4.0, "rslora": True, "layers": "last"}),
    ("finetune", {"layers": "last", "layer_decay": 0.5}),
    ("peft", {"config": {"peft_type": "VERA", "r": 8, "target_modules": ["attn.q", "ffn.out"]}}),
]
CASES = [(name, {}) for name in registry.names("method")] + VARIANTS
MIN_GRADIENT = 1e-12


@functools.cache
def prepared(name):
    """A tiny backbone, frames of two clips (the second padded), of the second alone, and the bare answers."""
    tiny = registry.find("backbone", name).tiny().freeze()
    waveform = 0.1 * torch.randn(2, int(0.5 * tiny.sample_rate_hz), generator=torch.Generator().manual_seed(1))
    n_samples = torch.tensor([waveform.shape[1], waveform.shape[1] * 3 // 5])
    waveform[1, n_samples[1] :] = 0
    frames, alone = tiny.frontend(waveform, n_samples), tiny.frontend(waveform[1:, : n_samples[1]])
    with torch.no_grad():
        return tiny, frames, alone, tiny.encode(frames), tiny.fingerprint()


class Case:
    """A method on a backbone whose weights all tests share."""

    def __init__(self, method, backbone, frames, alone, bare, fingerprint):
        self.method, self.backbone, self.frames, self.alone = method, backbone, frames, alone
        self.bare, self.fingerprint = bare, fingerprint

    def attach(self, trained=False, seed=0, backbone=None):
        """New parts on a share of the backbone; `trained`: as if some training had moved them."""
        torch.manual_seed(seed)
        attachment = self.method.attach(backbone or self.backbone.share()).eval()
        if trained:
            disturb(attachment.parameters())
        return attachment

    def states(self, attachment, frames=None):
        return attachment.backbone.encode(frames or self.frames)

    def model(self, **head):
        task = make_task("key")
        task.fit([])
        return Model(self.backbone, [task], [self.method], {"dropout": 0.0, **head})


@pytest.fixture(params=CASES, ids=lambda case: "-".join([case[0], *case[1]]))
def case(request, backbone_name):
    name, options = request.param
    if name == "peft":
        pytest.importorskip("peft")
    case = Case(make_method(name, **options), *prepared(backbone_name))
    roles = getattr(case.method, "roles", None)
    if roles and not set(roles) & {site.role for site in case.backbone.sites()}:
        pytest.skip("this backbone has no such sites")
    yield case
    assert case.backbone.fingerprint() == case.fingerprint


@pytest.fixture(params=registry.names("backbone"))
def backbone_name(request):
    return request.param


def disturb(parameters):
    with torch.no_grad():
        for value in parameters:
            value.add_(0.05 * torch.randn_like(value))


def equal(a, b):
    return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def only_attached(case):
    if case.method.trains_backbone:
        pytest.skip("attaches nothing")


def test_identity_as_claimed(case):
    only_attached(case)
    with torch.no_grad():
        found = case.states(case.attach())
    assert equal(found, case.bare) == case.method.identity
    assert [x.shape for x in found] == [x.shape for x in case.bare]


def test_names_and_number_of_trained_parameters(case):
    method, backbone = case.method, case.backbone
    attachment = case.attach()
    own = dict(backbone.named_parameters())
    trained = [p for p in attachment.parameters() if p.requires_grad] + [own[n] for n in method.unfrozen(backbone)]
    assert sum(p.numel() for p in trained) == method.n_parameters(backbone)
    assert not any(p.requires_grad for p in own.values())
    assert not {id(p) for p in attachment.parameters()} & {id(p) for p in own.values()}
    paths = {site.path for site in attachment.sites.values()}
    assert {name.split(".")[1].replace("/", ".") for name, _ in attachment.named_parameters()} <= paths
    assert bool(method.unfrozen(backbone)) == method.trains_backbone
    assert method.mergeable <= (not method.trains_backbone)


def test_the_layers_it_says(case):
    chosen = make_method(case.method.name, **{**case.method.options(), "layers": "last"})
    layers, last = {site.layer for site, _ in chosen.parts(case.backbone)}, case.backbone.n_layers
    assert layers <= {0, last, last + 1}


def test_gradient_reaches_each(case):
    only_attached(case)
    attachment = case.attach(trained=True)
    with torch.enable_grad():
        last = case.states(attachment)[-1]
        weights = torch.randn(last.shape, generator=torch.Generator().manual_seed(0))
        if last.requires_grad:
            (last * weights).sum().backward()
    for name, value in attachment.named_parameters():
        if value.requires_grad and value.numel():
            assert value.grad is not None, name
            assert value.grad.isfinite().all(), name
            assert value.grad.abs().max() > MIN_GRADIENT, name
    assert all(p.grad is None for p in case.backbone.parameters())


def test_no_gradient_through_the_backbone_unless_claimed(case):
    only_attached(case)
    attachment = case.attach(trained=True)
    assert (attachment.first_layer == case.backbone.n_layers + 1) == (not case.method.through_backbone)


def test_frozen_is_frozen(case):
    before = {name: value.clone() for name, value in case.backbone.state_dict().items()}
    model = case.model()
    start = model.trained_state()
    optimiser = torch.optim.SGD(model.parameter_groups(1e-2), momentum=0.9)
    model.train()
    constant, mask = model.constant_from(case.frames)
    for _ in range(2):
        loss = model(constant, mask)["key"].square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    own = model.backbone.state_dict()
    assert all(torch.equal(own[name], value) for name, value in before.items() if name not in model.unfrozen)
    assert all(torch.equal(value, before[name]) for name, value in case.backbone.state_dict().items())
    end = model.trained_state()
    moved = [name for name in start if not torch.equal(start[name], end[name])]
    assert any(name.startswith("heads.") for name in moved)
    assert any(not name.startswith("heads.") for name in moved) == (case.method.n_parameters(case.backbone) > 0)


def test_saved_and_loaded_it_answers_the_same(case, tmp_path):
    model = case.model()
    disturb(model.trained().values())
    with torch.no_grad():
        answer = model(*model.constant_from(case.frames))["key"]
    save_adapter(model, tmp_path / "x.adapter", {"name": case.backbone.name}, case.fingerprint, 1.0)
    loaded = load_adapter(tmp_path / "x.adapter", case.backbone)
    with torch.no_grad():
        torch.testing.assert_close(loaded(*loaded.constant_from(case.frames))["key"], answer, rtol=1e-6, atol=1e-6)
    assert loaded.methods == model.methods


def test_it_holds_only_its_own_tensors(case):
    only_attached(case)
    attachment = case.attach(trained=True)
    tensors = load(save({name: value.detach().clone() for name, value in attachment.tensors().items()}))
    assert {name.partition(":")[0] for name in tensors} <= set(attachment.sites)
    assert sum(value.numel() for value in tensors.values()) <= max(case.method.n_parameters(case.backbone), 0)
    with torch.no_grad():
        expected = case.states(attachment)
        again = case.attach(seed=9)
        again.load_tensors(tensors)
        assert equal(case.states(again), expected)
    if tensors:
        first = next(iter(tensors))
        with pytest.raises(ValueError, match="does not fit"):
            again.load_tensors({name: value for name, value in tensors.items() if name != first})
        with pytest.raises(ValueError, match="belongs to no part"):
            again.load_tensors({**tensors, "nowhere:A": tensors[first]})


def test_merge(case):
    only_attached(case)
    attachment = case.attach(trained=True)
    if not case.method.mergeable:
        if attachment.parts:
            with pytest.raises(TypeError, match="cannot be merged"):
                attachment.merge()
        return
    with torch.no_grad():
        apart = case.states(attachment)
        attachment.merge()
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in attachment.backbone.modules())
        merged = case.states(attachment)
        assert equal(case.backbone.encode(case.frames), case.bare)
    scale = max(float(x.abs().max()) for x in apart)
    for one, other in zip(merged, apart, strict=True):
        assert (one - other).abs().max() < 1e-5 * max(scale, 1.0)
    with pytest.raises(RuntimeError, match="merged already"):
        attachment.merge()
    assert (attachment.backbone.fingerprint() != case.fingerprint) == bool(attachment.parts)
    attachment.unmerge()
    assert attachment.backbone.fingerprint() == case.fingerprint
    with torch.no_grad():
        assert equal(case.states(attachment), apart)
    with pytest.raises(RuntimeError, match="is not merged"):
        attachment.unmerge()


@pytest.mark.parametrize("merge", [False, True], ids=["apart", "merged"])
def test_detached_nothing_is_left(case, merge):
    attachment = case.attach(trained=True)
    if merge and case.method.mergeable:
        attachment.merge()
    attachment.detach()
    with torch.no_grad():
        assert equal(case.states(attachment), case.bare)
    assert attachment.backbone.fingerprint() == case.fingerprint
    assert not attachment.backbone.attached and not attachment.backbone.merges
    for module in attachment.backbone.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_two_on_one_backbone_do_not_disturb_each_other(case):
    only_attached(case)
    with torch.no_grad():
        first = case.attach(trained=True, seed=1)
        expected = case.states(first)
        second = case.attach(trained=True, seed=2)
        assert equal(case.states(first), expected)
        other = case.states(second)
        assert equal(case.states(first), expected)
        assert equal(case.backbone.encode(case.frames), case.bare)
    assert equal(other, expected) == (not first.tensors())


def test_checkpointed_layers_give_the_same_gradients(case):
    """What a layer does when it is computed again during the backward pass is what it did at first."""
    only_attached(case)
    if not case.method.through_backbone:
        pytest.skip("no gradient goes through the backbone")
    gradients = []
    for checkpointed in (False, True):
        attachment = case.attach(trained=True)
        if checkpointed:
            for layer in attachment.backbone.layers:
                layer.forward = functools.partial(checkpoint, layer.forward, use_reentrant=False)
        case.states(attachment)[-1].square().sum().backward()
        gradients.append([p.grad for p in attachment.parameters() if p.requires_grad])
    assert all(gradient is not None for gradient in gradients[1])
    torch.testing.assert_close(*gradients)


def test_padding_changes_nothing(case):
    only_attached(case)
    attachment = case.attach(trained=True)
    with torch.no_grad():
        together, alone = case.states(attachment), case.states(attachment, frames=case.alone)
    for padded, plain in zip(together, alone, strict=True):
        torch.testing.assert_close(padded[1:, : plain.shape[1]], plain, rtol=1e-5, atol=1e-5)


def test_half_precision(case):
    only_attached(case)
    attachment = case.attach(trained=True)
    with torch.no_grad():
        full = case.states(attachment)[-1]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = case.states(attachment)[-1]
    real = case.frames.mask
    assert half[real].isfinite().all()
    assert (half[real].float() - full[real]).abs().mean() < 0.05 * full[real].abs().mean()


def test_what_is_constant_may_come_from_a_cache(case):
    model = case.model()
    disturb(model.trained().values())
    with torch.no_grad():
        states = model.backbone.encode(case.frames)
        answer = model(*model.constant_from(case.frames))["key"]
        torch.testing.assert_close(model.heads["key"](states, case.frames.mask), answer, rtol=1e-5, atol=1e-5)


def test_options_survive_a_file(case):
    written = json.loads(json.dumps(case.method.options()))
    assert make_method(case.method.name, **written) == case.method


def test_it_says_what_it_is(case):
    cls = type(case.method)
    assert cls.title
    assert cls.paper.startswith("https://")
    assert 1990 < cls.year < 2100
    assert case.method.learning_rate > 0


def test_a_layer_that_is_not_there(case):
    wrong = make_method(case.method.name, **{**case.method.options(), "layers": "99"})
    if case.method.n_parameters(case.backbone):
        with pytest.raises(ValueError, match="names layer"):
            wrong.n_parameters(case.backbone)


@pytest.fixture
def unchecked():
    """No checks of shapes and types: the compiler cannot look into them."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def alike(name):
    """The first backbone with the same kind of layers: compiling is slow, and once for each kind is enough."""
    kind = type(prepared(name)[0].layers[0])
    return next(other for other in registry.names("backbone") if type(prepared(other)[0].layers[0]) is kind)


@pytest.mark.compile
def test_it_compiles(case, unchecked):
    if alike(case.backbone.name) != case.backbone.name or case.method != make_method(case.method.name):
        pytest.skip("another one stands for it")
    attachment = case.attach(trained=True)

    def last(x, mask):
        return attachment.backbone.encode(Frames(x, mask))[-1]

    with torch.no_grad():
        expected = last(*case.frames)
        torch.compiler.reset()
        found = torch.compile(last, backend="aot_eager")(*case.frames)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
