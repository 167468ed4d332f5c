"""What a model computes, trains and keeps still: no more than is read."""

import pytest
import torch
from torch import nn

from sordino import registry
from sordino.adapter_file import load_adapter, save_adapter
from sordino.backbones.mert import MERT, Size
from sordino.backbones.mini import Mini
from sordino.model import FRONTEND, WAVEFORM, Model
from sordino.petl import make_method
from sordino.tasks import make_task
from sordino.together import Together

SMALL = {"prefix": {"mlp": 4}, "prompt": {"deep": True}, "side": {"layers": "1-2"}}


def mini(n_layers=3):
    return Mini.load("random", n_layers=n_layers, dim=32, n_heads=2)


def mert(norm_first=False):
    size = Size(16, 2, 2, 32, (8,) * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4,
                do_stable_layer_norm=norm_first, hidden_dropout=0.3)  # fmt: skip
    return MERT.load("random", size=size)


def model_of(backbone, *methods, **head):
    task = make_task("key")
    task.fit([])
    return Model(backbone, [task], list(methods), {"dropout": 0.0, **head})


def frames_of(backbone, seed=0):
    return backbone.frontend(0.1 * torch.randn(2, 12_000, generator=torch.Generator().manual_seed(seed)))


def fail(*args):
    raise AssertionError("this need not be computed")


def learners():
    return [name for name in registry.names("method") if name not in ("probe", "mix", "side")]


@pytest.mark.parametrize("name", learners())
def test_every_trained_parameter_gets_a_gradient(name):
    """Where the head reads a lower state, nothing above it is attached, trained, counted or computed."""
    if name == "peft":
        pytest.importorskip("peft")
    method = make_method(name, **SMALL.get(name, {}))
    model = model_of(mini(), method, layers="1-2")
    model.backbone.layers[2].forward = fail
    with torch.no_grad():
        for value in model.attachments.parameters():
            value.add_(0.1 * torch.randn_like(value))
    model.train()
    model(*model.constant_from(frames_of(model.backbone)))["key"].square().sum().backward()
    trained = model.trained()
    missing = [name for name, value in trained.items() if value.requires_grad and value.grad is None]
    assert not missing
    above = ("attachments.0.parts.layers/2", "backbone.layers.2", "backbone.layer_norm")
    assert not any(name.startswith(above) for name in trained)
    assert any("layers/1" in n or "layers.1" in n for n in trained)
    lower = make_method(name, **{**method.options(), "layers": "1-2"})
    whole = model_of(mini(), lower)
    assert model.count()["method"] == method.n_parameters(model.backbone)
    final_norm = 2 * 32 if name == "finetune" else 0
    assert whole.count()["method"] == model.count()["method"] + final_norm


@pytest.mark.parametrize("name", learners())
def test_layers_that_nobody_reads_are_refused(name):
    if name == "peft":
        pytest.importorskip("peft")
    method = make_method(name, **{**SMALL.get(name, {}), "layers": "2-3"})
    with pytest.raises(ValueError, match=rf'{name}: layers = "2-3" names 2, 3, but no hidden state above 1 is read'):
        model_of(mini(), method, layers="1")
    with pytest.raises(ValueError, match="no hidden state above 0 is read"):
        model_of(mini(), make_method(name), layers="0")


def test_a_probe_computes_no_more_than_it_reads():
    model = model_of(mini(), make_method("probe"), layers="1")
    for layer in model.backbone.layers[1:]:
        layer.forward = fail
    frames = frames_of(model.backbone)
    constant, mask = model.constant_from(frames)
    assert list(constant) == model.constant_states == [1]
    torch.testing.assert_close(model(constant, mask)["key"], model.heads["key"](mini().encode(frames, stop=1)))


READING = [
    ("mix", {}, [0, 1, 2, 3]),
    ("mix", {"layers": "1-2"}, [1, 2]),
    ("side", {}, [1, 2, 3]),
    ("side", {"layers": "1"}, [1, 3]),
]


@pytest.mark.parametrize(("name", "options", "states"), READING)
def test_states_that_a_method_reads_behind_the_layers(name, options, states):
    model = model_of(mini(), make_method(name, **options))
    assert model.constant_states == states and model.backbone.top == max(states)
    constant, mask = model.constant_from(frames_of(model.backbone))
    model(constant, mask)["key"].square().sum().backward()
    assert all(value.grad is not None for value in model.trained().values())
    for layer in model.backbone.layers[max(states) :]:
        layer.forward = fail
    model(constant, mask)
    with pytest.raises(ValueError, match=f"{name} works on hidden state 3, but .* are read; set head.layers = last"):
        model_of(mini(), make_method(name, **options), layers="1")


def test_a_method_below_a_mix_stays_below_what_is_mixed():
    model = model_of(mini(), make_method("lora"), make_method("mix", layers="1-2"))
    assert {site.layer for site in model.backbone.attached[0].sites.values()} == {1, 2}


def test_the_final_norm_does_not_pull_training_down():
    for backbone, norm in ((mini(2), "layer_norm.weight"), (mert(norm_first=True), "layer_norm.weight")):
        model = model_of(backbone, make_method("finetune", layers="2"))
        assert norm in model.unfrozen and model.start == 1
    assert model_of(mert(), make_method("finetune", layers="1")).start == FRONTEND
    assert model_of(mini(2), make_method("finetune", layers="1")).start == 0


def modes(model):
    return [layer.training for layer in model.backbone.layers]


def test_frozen_layers_keep_still_while_others_train():
    """With dropout in every layer, stored states and states computed while training are the same."""
    for layers, training in (("2", [False, True]), ("1", [True, False]), ("all", [True, True])):
        model = model_of(mert(), make_method("finetune", layers=layers))
        frames = frames_of(model.backbone)
        stored, mask = model.constant_from(frames)
        model.train()
        assert modes(model) == training
        assert all(torch.equal(x, stored[k]) for k, x in model.constant_from(frames)[0].items())
        torch.manual_seed(0)
        answer = model(stored, mask)["key"]
        torch.manual_seed(0)
        assert torch.equal(model.heads["key"](model.backbone.encode(frames)), answer)
        torch.manual_seed(1)
        assert not torch.equal(model(stored, mask)["key"], answer)  # dropout is on
        assert model.backbone.dropout.training == (model.start == FRONTEND)
        assert not model.backbone.feature_extractor.training
        model.eval()
        assert not any(module.training for module in model.modules())


def test_batch_norms_keep_still_too():
    backbone = registry.find("backbone", "musicfm").tiny()
    model = model_of(backbone, make_method("finetune"))
    model.train()
    assert modes(model) == [True, True]
    assert not any(m.training for m in model.backbone.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d))


def test_modes_are_set_when_they_change_and_only_then(monkeypatch):
    model = model_of(mini(), make_method("adapter", dropout=0.5))
    set_to = []
    monkeypatch.setattr(nn.Module, "train", lambda module, mode=True: set_to.append(mode) or module)
    model.train()
    assert set(set_to) == {True}
    set_to.clear()
    model.train()
    assert not set_to
    model.eval()
    assert set(set_to) == {False}


def test_an_adapter_file_holds_what_is_trained(tmp_path):
    backbone = mini()
    model = model_of(backbone, make_method("lora"), layers="2")
    fingerprint = backbone.fingerprint()
    save_adapter(model, tmp_path / "x.adapter", {"name": "mini"}, fingerprint, 10.0)
    loaded = load_adapter(tmp_path / "x.adapter", backbone)
    constant = model.constant_from(frames_of(backbone))
    assert torch.equal(loaded(*constant)["key"], model(*constant)["key"])
    assert loaded.count() == model.count()
    assert {site.layer for site in loaded.backbone.attached[0].sites.values()} == {1, 2}


def test_the_backbone_given_stays_as_it_was():
    backbone = mini()
    bare = backbone.encode(frames_of(backbone))[-1]
    models = [model_of(backbone, make_method(name)) for name in ("adapter", "finetune")]
    with torch.no_grad():
        for model in models:
            model.train()
            for value in model.trained().values():
                value.add_(1.0)
    assert torch.equal(backbone.encode(frames_of(backbone))[-1], bare)
    assert not any(p.requires_grad for p in backbone.parameters())
    assert not any(module.training for module in backbone.modules())


@pytest.mark.parametrize("name", ["mert", "musicfm", "mini"])
def test_a_trained_frontend_begins_with_the_sound(name, tmp_path):
    """Everything learns; the answers are those of the whole network, padded, after a file, and together."""
    bare = registry.find("backbone", name).tiny()
    model = model_of(bare, make_method("finetune", frontend=True))
    assert model.start == WAVEFORM and model.constant_states == [WAVEFORM]
    assert set(model.unfrozen) == {name for name, _ in bare.named_parameters()}
    wave, n_samples = 0.1 * torch.randn(2, 24_000, generator=torch.Generator().manual_seed(3)), [24_000, 15_000]
    wave[1, n_samples[1] :] = 0
    model.train()
    model.predict(wave, torch.tensor(n_samples))["key"].square().sum().backward()
    silent = [n for n, value in model.trained().items() if value.grad is None or not value.grad.abs().sum() > 0]
    assert not [
        n for n in silent if "k_proj.bias" not in n and "linear_k.bias" not in n
    ]  # a softmax does not hear these
    assert not any(p.grad is not None for p in bare.parameters())
    model.eval()
    with torch.no_grad():
        for value in model.trained().values():
            value += 0.02 * torch.randn(value.shape, generator=torch.Generator().manual_seed(4))
        answer = model.predict(wave, torch.tensor(n_samples))["key"]
        expected = model.heads["key"](*_heard(model, wave, torch.tensor(n_samples)))
        torch.testing.assert_close(answer, expected)
        alone = model.predict(wave[1:, : n_samples[1]])["key"]
        torch.testing.assert_close(answer[1:], alone, rtol=1e-4, atol=1e-4)
        folder = save_adapter(model, tmp_path / "a.adapter", {"name": name}, bare.fingerprint(), 1.0)
        assert torch.equal(load_adapter(folder, bare).predict(wave)["key"], model.predict(wave)["key"])
        other = model_of(bare, make_method("lora"))
        found = Together(bare, [other, model], 8)(wave, torch.tensor(n_samples))
        assert torch.equal(found[1]["key"], answer)
        torch.testing.assert_close(found[0]["key"], other.predict(wave, torch.tensor(n_samples))["key"])


def _heard(model, wave, n_samples):
    frames = model.backbone.frontend(wave, n_samples)
    return model.backbone.encode(frames), frames.mask


def test_one_rate_for_everything_or_one_for_each_part():
    paper = model_of(mert(), make_method("finetune", frontend=True))
    assert {group["lr"] for group in paper.parameter_groups(1e-5)} == {1e-5}
    scratch, published = mert(), mert()
    published.weights = "MERT-v1-95M"
    rates = [{group["lr"] for group in model_of(backbone, make_method("finetune")).parameter_groups(1e-4)}
             for backbone in (scratch, published)]  # fmt: skip
    assert rates == [{1e-4}, {1e-4, 1e-5}]  # what knows nothing learns as fast as the head
    falling = model_of(mert(), make_method("finetune", frontend=True, layer_decay=0.5, backbone_learning_rate=None))
    assert [group["lr"] for group in falling.parameter_groups(8.0)] == [8.0, 1.0, 2.0, 4.0, 8.0]
    assert model_of(mert(), make_method("finetune", frontend=True, layers="2")).start == 1
