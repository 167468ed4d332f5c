"""What a method keeps on a backbone; see `contracts/method.py` and docs/add_a_method.md."""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch.utils.checkpoint import checkpoint

from sordino.adapter_file import load_adapter, save_adapter
from sordino.checks.method_case import MethodCase, disturb
from sordino.checks.running import NotAsked, refused
from sordino.petl import make_method

MIN_GRADIENT = 1e-12


def _equal(a: list[Any], b: list[Any]) -> bool:
    return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def _only_attached(case: MethodCase) -> None:
    if case.method.trains_backbone:
        raise NotAsked("attaches nothing")


def says_what_it_is(case: MethodCase) -> None:
    """It has a title, a paper, a year and a usual learning rate."""
    cls = type(case.method)
    assert cls.title
    assert cls.paper.startswith("https://")
    assert 1990 < cls.year < 2100
    assert case.method.learning_rate > 0


def starts_as_claimed(case: MethodCase) -> None:
    """Before training the answers are exactly the bare backbone's, if and only if `identity` says so."""
    _only_attached(case)
    with torch.no_grad():
        found = case.states(case.attach())
    assert _equal(found, case.bare) == case.method.identity
    assert [x.shape for x in found] == [x.shape for x in case.bare]


def begins_from_data_as_claimed(case: MethodCase) -> None:
    """Started from data, the answers are still the bare backbone's if `identity` says so; once more, the same."""
    _only_attached(case)
    attachment = case.attach()
    case.method.begin(attachment, lambda: case.states(attachment))
    with torch.no_grad():
        assert _equal(case.states(attachment), case.bare) == case.method.identity
    once = [value.clone() for value in attachment.parameters()]
    case.method.begin(attachment, lambda: case.states(attachment))
    assert _equal(once, list(attachment.parameters()))


def names_and_number(case: MethodCase) -> None:
    """It trains as many parameters as its formula says, named by their sites, none the backbone's unless told."""
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


def layers_it_says(case: MethodCase) -> None:
    """With `layers = "last"` it touches the last layer alone."""
    layers, last = {site.layer for site, _ in case.again(layers="last").parts(case.backbone)}, case.backbone.n_layers
    assert layers <= {0, last, last + 1}


def refuses_a_layer_that_is_not_there(case: MethodCase) -> None:
    """A layer that the backbone has not is refused."""
    if case.method.n_parameters(case.backbone):
        with refused(ValueError, "there is no layer 99"):
            case.again(layers="99").n_parameters(case.backbone)


def gradient_reaches_each(case: MethodCase) -> None:
    """A gradient reaches each trained parameter, and none of the backbone's."""
    _only_attached(case)
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


def gradients_through_the_backbone_as_claimed(case: MethodCase) -> None:
    """Gradients go through the backbone if and only if `through_backbone` says so."""
    _only_attached(case)
    attachment = case.attach(trained=True)
    assert (attachment.first_layer == case.backbone.n_layers + 1) == (not case.method.through_backbone)


def frozen_is_frozen(case: MethodCase) -> None:
    """Two steps of training change what is declared and no bit else."""
    before = {name: value.clone() for name, value in case.backbone.state_dict().items()}
    model = case.model()
    start = model.trained_state()
    optimiser = torch.optim.SGD(model.parameter_groups(1e-2), momentum=0.9)
    model.train()
    constant, mask = model.constant_from(case.frames)
    for step in (1, 2):
        loss = model(constant, mask)["key"].square().mean() + model.penalty()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        model.after_step(step, 2)
    own = model.backbone.state_dict()
    assert all(torch.equal(own[name], value) for name, value in before.items() if name not in model.unfrozen)
    assert all(torch.equal(value, before[name]) for name, value in case.backbone.state_dict().items())
    end = model.trained_state()
    moved = [name for name in start if not torch.equal(start[name], end[name])]
    assert any(name.startswith("heads.") for name in moved)
    assert any(not name.startswith("heads.") for name in moved) == (case.method.n_parameters(case.backbone) > 0)


def saved_and_loaded_it_answers_the_same(case: MethodCase) -> None:
    """Written to an adapter file and read from it, the model answers the same."""
    model = case.model()
    disturb(model.trained().values())
    with torch.no_grad():
        answer = model(*model.constant_from(case.frames))["key"]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "x.adapter"
        save_adapter(model, folder, {"name": case.backbone.name}, case.fingerprint, 1.0)
        loaded = load_adapter(folder, case.backbone)
    with torch.no_grad():
        torch.testing.assert_close(loaded(*loaded.constant_from(case.frames))["key"], answer, rtol=1e-6, atol=1e-6)
    assert loaded.methods == model.methods


def holds_only_its_own_tensors(case: MethodCase) -> None:
    """What it stores is its own, at most what it trains and where that began; tensors that do not fit are refused."""
    _only_attached(case)
    attachment = case.attach(trained=True)
    tensors = load(save({name: value.detach().clone() for name, value in attachment.tensors().items()}))
    assert {name.partition(":")[0] for name in tensors} <= set(attachment.sites)
    assert sum(value.numel() for value in tensors.values()) <= 2 * case.method.n_parameters(case.backbone)
    with torch.no_grad():
        expected = case.states(attachment)
        again = case.attach(seed=9)
        again.load_tensors(tensors)
        assert _equal(case.states(again), expected)
    if tensors:
        first = next(iter(tensors))
        with refused(ValueError, "does not fit"):
            again.load_tensors({name: value for name, value in tensors.items() if name != first})
        with refused(ValueError, "belongs to no part"):
            again.load_tensors({**tensors, "nowhere:A": tensors[first]})


def merges_as_claimed(case: MethodCase) -> None:
    """Merged into the weights it answers the same without hooks, and unmerging gives the same bits back."""
    _only_attached(case)
    attachment = case.attach(trained=True)
    if not case.method.mergeable:
        if attachment.parts:
            with refused(TypeError, "cannot be merged"):
                attachment.merge()
        raise NotAsked("cannot be merged, and says so")
    with torch.no_grad():
        apart = case.states(attachment)
        attachment.merge()
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in attachment.backbone.modules())
        merged = case.states(attachment)
        assert _equal(case.backbone.encode(case.frames), case.bare)
    scale = max(float(x.abs().max()) for x in apart)
    for one, other in zip(merged, apart, strict=True):
        assert (one - other).abs().max() < 1e-5 * max(scale, 1.0)
    with refused(RuntimeError, "merged already"):
        attachment.merge()
    assert (attachment.backbone.fingerprint() != case.fingerprint) == bool(attachment.parts)
    attachment.unmerge()
    assert attachment.backbone.fingerprint() == case.fingerprint
    with torch.no_grad():
        assert _equal(case.states(attachment), apart)
    with refused(RuntimeError, "is not merged"):
        attachment.unmerge()


def detached_nothing_is_left(case: MethodCase) -> None:
    """Detached, also where it was merged, it leaves the backbone as it was, without a hook."""
    for merge in (False, True)[: 1 + case.method.mergeable]:
        attachment = case.attach(trained=True)
        if merge:
            attachment.merge()
        attachment.detach()
        with torch.no_grad():
            assert _equal(case.states(attachment), case.bare)
        assert attachment.backbone.fingerprint() == case.fingerprint
        assert not attachment.backbone.attached and not attachment.backbone.merges
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in attachment.backbone.modules())


def two_do_not_disturb_each_other(case: MethodCase) -> None:
    """Two of it around the same weights answer as each does alone."""
    _only_attached(case)
    with torch.no_grad():
        first = case.attach(trained=True, seed=1)
        expected = case.states(first)
        second = case.attach(trained=True, seed=2)
        assert _equal(case.states(first), expected)
        other = case.states(second)
        assert _equal(case.states(first), expected)
        assert _equal(case.backbone.encode(case.frames), case.bare)
    assert _equal(other, expected) == (not first.tensors())


def checkpointed_layers_give_the_same_gradients(case: MethodCase) -> None:
    """A layer that is computed again during the backward pass does what it did at first."""
    _only_attached(case)
    if not case.method.through_backbone:
        raise NotAsked("no gradient goes through the backbone")
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


def padding_changes_nothing(case: MethodCase) -> None:
    """A clip in a padded batch gives what it gives alone."""
    _only_attached(case)
    attachment = case.attach(trained=True)
    with torch.no_grad():
        together, alone = case.states(attachment), case.states(attachment, frames=case.alone)
    for padded, plain in zip(together, alone, strict=True):
        torch.testing.assert_close(padded[1:, : plain.shape[1]], plain, rtol=1e-5, atol=1e-5)


def half_precision_stays_close(case: MethodCase) -> None:
    """In bfloat16 the states are within 5 % of those in float32."""
    _only_attached(case)
    attachment = case.attach(trained=True)
    with torch.no_grad():
        full = case.states(attachment)[-1]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = case.states(attachment)[-1]
    real = case.frames.mask
    assert half[real].isfinite().all()
    assert (half[real].float() - full[real]).abs().mean() < 0.05 * full[real].abs().mean()


def constant_states_may_come_from_a_cache(case: MethodCase) -> None:
    """From stored states the model answers as from the frontend."""
    model = case.model()
    disturb(model.trained().values())
    with torch.no_grad():
        states = model.backbone.encode(case.frames)
        answer = model(*model.constant_from(case.frames))["key"]
        torch.testing.assert_close(model.heads["key"](states, case.frames.mask), answer, rtol=1e-5, atol=1e-5)


def options_survive_a_file(case: MethodCase) -> None:
    """Its options, written as JSON and read, make the same method."""
    written = json.loads(json.dumps(case.method.options()))
    assert make_method(case.method.name, **written) == case.method
