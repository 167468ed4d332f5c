"""Choosing, combining and rating methods."""

import pytest
import torch

from sordino.backbones.mini import Mini
from sordino.contracts import Frames
from sordino.model import Model
from sordino.petl import make_method, parse_methods
from sordino.petl._table import rows, table
from sordino.petl.finetune import layers_of
from sordino.petl.prefix import Prefix
from sordino.registry import find, names
from sordino.tasks import make_task


@pytest.fixture
def mini():
    return Mini.tiny().freeze()


@pytest.fixture
def frames(mini):
    return mini.frontend(0.1 * torch.randn(2, 12_000, generator=torch.Generator().manual_seed(0)))


def test_specs():
    assert [m.name for m in parse_methods("lora + prefix")] == ["lora", "prefix"]
    assert parse_methods({"name": "lora", "r": 4}) == [make_method("lora", r=4)]
    both = parse_methods([{"name": "lora", "layers": "2"}, "prefix+bitfit"])
    assert [(m.name, m.layers) for m in both] == [("lora", "2"), ("prefix", "all"), ("bitfit", "all")]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("lorra", 'unknown method "lorra"; did you mean "lora"'),
        ({"name": "lora", "rank": 4}, 'unknown setting "lora.rank"'),
        ({"r": 4}, "has no name"),
        ("lora+lora", "named twice"),
        ([], "no method is named"),
        ({"name": "lora", "r": {"atn.q": 4}}, 'unknown role in lora.r "atn.q"; did you mean "attn.q"'),
        ({"name": "adapter", "position": "under"}, "it wants after, before or parallel"),
        ({"name": "conv_adapter", "kernel_size": 4}, "kernel_size = 4; it wants an odd whole number"),
    ],
)
def test_wrong_specs(spec, message):
    with pytest.raises(ValueError, match=message):
        parse_methods(spec)


@pytest.mark.parametrize("name", ["lora", "dora", "vera", "ia3", "ssf", "bitfit", "adapter", "conv_adapter"])
def test_a_role_that_matches_nothing(mini, name):
    with pytest.raises(ValueError, match=f"{name}: role conv.middle matches nothing on mini"):
        make_method(name, roles=["conv.middle"]).attach(mini)


@pytest.mark.parametrize("name", ["lora", "bitfit", "adapter", "prefix", "layernorm", "peft"])
def test_a_backbone_with_none_of_the_usual_roles(name, monkeypatch):
    bare = find("backbone", "short_cnn").tiny()
    monkeypatch.setattr(bare, "layer_sites", lambda layer: [])
    with pytest.raises(ValueError, match="matches nothing on short_cnn"):
        make_method(name).attach(bare)


def test_a_role_of_the_wrong_kind(mini):
    with pytest.raises(TypeError, match="needs a Linear"):
        make_method("lora", roles="norm").attach(mini)
    with pytest.raises(TypeError, match="has no bias; leave this role out"):
        make_method("bitfit", roles="conv.in").attach(mini)


def test_settings_by_role(mini):
    method = make_method("lora", roles=("attn.q", "attn.v"), r={"attn.q": 5}, alpha={"attn.q": 1.0, "default": 3.0})
    parts = {site.role: part for site, part in method.parts(mini)}
    assert (parts["attn.q"].A.shape[0], parts["attn.v"].A.shape[0]) == (5, 2)
    assert (parts["attn.q"].scale, parts["attn.v"].scale) == (1 / 5, 3 / 2)
    assert make_method("lora", r=4, alpha=8.0, rslora=True).scale("attn.q") == 4.0


def test_layers(mini):
    for method in (make_method("lora", layers="2"), make_method("adapter", layers="2")):
        assert method.attach(mini).first_layer == 2


def test_two_methods_on_one_model_work_together(mini, frames):
    lora, prefix = (m.attach(mini) for m in parse_methods([{"name": "lora", "r": 3}, {"name": "prefix", "mlp": 0}]))
    torch.nn.init.normal_(lora.parts["layers/0/self_attn/linear_q"].B)
    both = mini.encode(frames)[-1]
    prefix.disconnect()
    one = mini.encode(frames)[-1]
    prefix.connect()
    lora.disconnect()
    other = mini.encode(frames)[-1]
    assert not torch.equal(one, both) and not torch.equal(both, other) and not torch.equal(one, other)
    assert torch.equal(mini.share().encode(frames)[-1], Mini.tiny().encode(frames)[-1])
    both.sum().backward()
    assert all(p.grad is not None for p in [*lora.parameters(), *prefix.parameters()])


def test_methods_at_the_same_site_add_up(mini, frames):
    """BitFit's and LayerNorm tuning's changes of one bias are summed, whichever comes first."""
    answers = []
    for order in (("bitfit", "layernorm"), ("layernorm", "bitfit")):
        backbone = mini.share()
        attachments = [
            make_method(name, **({"roles": "norm"} if name == "bitfit" else {})).attach(backbone) for name in order
        ]
        for attachment in attachments:
            for part in attachment.parts.values():
                torch.nn.init.constant_(part.bias, 0.5)
        answers.append(backbone.encode(frames)[-1])
    twice = make_method("bitfit", roles="norm").attach(mini)
    for part in twice.parts.values():
        torch.nn.init.constant_(part.bias, 1.0)
    expected = mini.encode(frames)[-1]
    for found in answers:
        torch.testing.assert_close(found, expected)


def test_fine_tuning_knows_what_the_encoder_is(mini):
    layers = layers_of(mini)
    inside = {name for name, _ in mini.named_parameters() if name.startswith("layers.")}
    assert {name for name, layer in layers.items() if layer in (1, 2)} == inside
    assert {name for name, layer in layers.items() if layer == 3} == {"layer_norm.weight", "layer_norm.bias"}
    assert not any(name.startswith("project") for name in layers)
    assert not any(p.requires_grad for p in mini.parameters())


def test_fine_tuning_rates(mini):
    task = make_task("key")
    task.fit([])
    method = make_method("finetune", backbone_learning_rate=1e-3, layer_decay=0.5)
    model = Model(mini, [task], [method])
    assert model.backbone is not mini
    groups = method.parameter_groups(model, 1.0)
    named = {id(p): name for name, p in model.backbone.named_parameters()}
    rates = {named[id(p)]: group["lr"] for group in groups for p in group["params"]}
    assert rates["layer_norm.weight"] == rates["layers.1.ffn1.output_dense.weight"] == 1e-3
    assert rates["layers.0.ffn1.output_dense.weight"] == 5e-4
    assert set(rates) == set(method.unfrozen(mini))
    assert method.parameter_groups(model, 1.0)[0]["params"][0].requires_grad
    plain = make_method("finetune", backbone_learning_rate=None, layers="2")
    assert {group["lr"] for group in plain.parameter_groups(Model(mini, [task], [plain]), 0.25)} == {0.25}
    assert not any(name.startswith("layers.0.") for name in plain.unfrozen(mini))


def test_a_rate_of_zero_is_zero_and_none_is_the_usual_one(mini):
    model = Model(mini, [make_task("key")], parse_methods("lora+ia3"))
    assert [group["lr"] for group in model.parameter_groups(0.0)] == [0.0, 0.0, 0.0]
    assert [group["lr"] for group in model.parameter_groups(None)] == [1e-3, 1e-3, 3e-3]


def test_a_prefix_without_its_network_goes_on_learning():
    part = Prefix(3, 8, 4, torch.device("cpu"))
    saved = part.export()
    part.restore(saved)
    assert [name for name, _ in part.named_parameters()] == ["table"]
    assert torch.equal(part.export()["keys"], saved["keys"])
    with pytest.raises(RuntimeError, match=r"shape \(2, 8\), not \(3, 8\)"):
        part.restore({name: value[:2] for name, value in saved.items()})


def test_side_says_which_state_is_missing(mini, frames):
    states = mini.encode(frames)
    make_method("side").attach(mini)
    with pytest.raises(ValueError, match="hidden state 1 is not there"):
        mini.encode(Frames(states[2]), known={2: states[2]})


def test_side_and_mix_never_reach_the_backbone(mini, frames):
    states = [state.detach() for state in mini.encode(frames)]
    for name in ("side", "mix"):
        backbone = mini.share()
        make_method(name).attach(backbone)
        whole = backbone.encode(frames)[-1]
        stored = backbone.encode(Frames(states[-1]), known=dict(enumerate(states)))[-1]
        assert torch.equal(whole, stored)


def test_every_method_is_in_the_table():
    assert {row.name for row in rows()} == set(names("method"))
    text = table()
    assert "| `lora` | [LoRA, 2021](https://arxiv.org/abs/2106.09685) | 405,504 | 165,888 | yes | yes | yes |" in text
    assert "9,649,152 (file 393,216)" in text
