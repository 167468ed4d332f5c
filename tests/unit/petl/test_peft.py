"""Our LoRA, DoRA, IA3 and VeRA against Hugging Face peft: outputs, gradients, training, files."""

import copy
import json
import sys

import pytest
import torch

from sordino.backbones.mini import Mini
from sordino.petl import make_method
from sordino.petl._peft_format import from_peft, to_peft
from sordino.registry import find

peft = pytest.importorskip("peft")

ROLES = ("attn.q", "attn.v", "ffn.in", "ffn.out", "conv.out")
LINEARS = ("attn.q", "attn.k", "ffn.out")
TRAINED = {
    "lora": ("lora", {"roles": ROLES, "r": {"attn.q": 3, "default": 2}, "alpha": 5.0}),
    "rslora": ("lora", {"roles": ROLES, "r": 4, "rslora": True, "layers": "2"}),
    "dora": ("dora", {"roles": ROLES, "r": 2, "alpha": 3.0}),
    "ia3": ("ia3", {}),
}


@pytest.fixture(scope="module")
def mini():
    return Mini.tiny().freeze()


@pytest.fixture(scope="module")
def frames(mini):
    return mini.frontend(0.1 * torch.randn(2, 12_000, generator=torch.Generator().manual_seed(0)))


def trained(method, backbone, seed=0):
    torch.manual_seed(seed)
    attachment = method.attach(backbone)
    with torch.no_grad():
        for value in attachment.parameters():
            value.add_(0.1 * torch.randn_like(value))
    return attachment


def answer(attachment, frames):
    return attachment.backbone.encode(frames)[-1]


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", TRAINED)
def test_peft_reads_what_we_write_and_trains_alike(case, mini, frames, tmp_path):
    name, options = TRAINED[case]
    method, ours = make_method(name, **options), copy.deepcopy(mini)
    attachment = trained(method, ours)
    to_peft(method, attachment, tmp_path)
    theirs = peft.PeftModel.from_pretrained(copy.deepcopy(mini), tmp_path, is_trainable=True)
    encode = theirs.base_model.model.encode
    close(encode(frames)[-1], answer(attachment, frames))
    # the same three steps of the same optimiser move both to the same place
    for module, output in ((attachment, lambda: answer(attachment, frames)), (theirs, lambda: encode(frames)[-1])):
        optimiser = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=0.1, momentum=0.9)
        for _ in range(3):
            optimiser.zero_grad()
            output().square().mean().backward()
            optimiser.step()
    close(encode(frames)[-1], answer(attachment, frames))
    assert not torch.allclose(answer(attachment, frames), mini.encode(frames)[-1], atol=1e-3)


@pytest.mark.parametrize("case", TRAINED)
def test_we_read_what_peft_writes(case, mini, frames, tmp_path):
    name, options = TRAINED[case]
    method, ours = make_method(name, **options), copy.deepcopy(mini)
    attachment = trained(method, ours)
    expected = answer(attachment, frames)
    to_peft(method, attachment, tmp_path / "ours")
    theirs = peft.PeftModel.from_pretrained(copy.deepcopy(mini), tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs")
    read, again = from_peft(tmp_path / "theirs", copy.deepcopy(mini))
    assert read.name == name
    assert torch.equal(answer(again, frames), expected)
    assert read.n_parameters(mini) == method.n_parameters(mini)


CONVOLUTIONAL = ["musicnn", "short_cnn", "tempo_cnn"]


def convolutional(name):
    """A tiny network of two-dimensional convolutions, and frames of two clips, the second padded."""
    backbone = find("backbone", name).tiny().freeze()
    waveform = 0.1 * torch.randn(2, backbone.sample_rate_hz // 2, generator=torch.Generator().manual_seed(0))
    return backbone, backbone.frontend(waveform, torch.tensor([waveform.shape[1], waveform.shape[1] // 2]))


@pytest.mark.parametrize("method", ["lora", "dora"])
@pytest.mark.parametrize("backbone_name", CONVOLUTIONAL)
def test_on_convolutions_of_two_dimensions_peft_answers_and_trains_alike(backbone_name, method, tmp_path):
    backbone, frames = convolutional(backbone_name)
    method = make_method(method, r=2, alpha=3.0)
    attachment = trained(method, backbone.share())
    assert any(isinstance(backbone.get_submodule(site.path), torch.nn.Conv2d) for site in attachment.sites.values())
    to_peft(method, attachment, tmp_path)
    theirs = peft.PeftModel.from_pretrained(copy.deepcopy(backbone), tmp_path, is_trainable=True)
    encode = theirs.base_model.model.encode
    for module, output in ((attachment, lambda: answer(attachment, frames)), (theirs, lambda: encode(frames)[-1])):
        optimiser = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=0.01)
        for _ in range(2):
            optimiser.zero_grad()
            output().square().mean().backward()
            optimiser.step()
    torch.testing.assert_close(encode(frames)[-1], answer(attachment, frames), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(answer(attachment, frames), backbone.encode(frames)[-1], atol=1e-3)
    read, again = from_peft(tmp_path, backbone.share())
    assert read.n_parameters(backbone) == method.n_parameters(backbone)
    assert not torch.equal(answer(again, frames), backbone.encode(frames)[-1])


@pytest.mark.parametrize("config", [{"peft_type": "LORA", "r": 2, "use_dora": True}, {"peft_type": "LOHA", "r": 2}])
@pytest.mark.parametrize("backbone_name", CONVOLUTIONAL)
def test_the_bridge_merges_convolutions(backbone_name, config):
    backbone, frames = convolutional(backbone_name)
    attachment = trained(make_method("peft", config=config), backbone.share())
    with torch.no_grad():
        expected = answer(attachment, frames)
        attachment.merge()
        torch.testing.assert_close(answer(attachment, frames), expected, rtol=1e-4, atol=1e-4)
        attachment.unmerge()
    assert attachment.backbone.fingerprint() == backbone.fingerprint()
    assert not torch.allclose(expected, backbone.encode(frames)[-1], atol=1e-3)


def test_vera_equals_peft_with_the_same_seed(mini, frames):
    sites = [site for site in mini.sites() if site.role in LINEARS]
    ours = copy.deepcopy(mini)
    attachment = trained(make_method("vera", roles=LINEARS, r=8, seed=3), ours)
    config = peft.VeraConfig(r=8, projection_prng_key=3, target_modules=[site.path for site in sites])
    theirs = peft.get_peft_model(copy.deepcopy(mini), config)
    for site in sites:
        layer, part = theirs.base_model.model.get_submodule(site.path), attachment.parts[site.key]
        assert torch.equal(layer.vera_A["default"], part.projection.A)
        assert torch.equal(layer.vera_B["default"], part.projection.B)
        with torch.no_grad():
            layer.vera_lambda_b["default"].copy_(part.b)
            layer.vera_lambda_d["default"].copy_(part.d)
    close(theirs.base_model.model.encode(frames)[-1], answer(attachment, frames))


BRIDGED = [
    {"peft_type": "LORA", "r": 4, "rank_pattern": {"attn.q": 3}, "target_modules": ["attn.q", "output_dense"]},
    {"peft_type": "LORA", "r": 2, "use_dora": True},
    {"peft_type": "IA3", "target_modules": ["attn.k", "ffn.out"], "feedforward_modules": ["ffn.out"]},
    {"peft_type": "LOHA", "r": 2, "target_modules": ["ffn.in", "conv.in"]},
    {"peft_type": "LOKR", "r": 2, "target_modules": ["ffn.in"]},
    {"peft_type": "OFT", "oft_block_size": 4, "target_modules": ["attn.out"]},
]


@pytest.mark.parametrize("config", BRIDGED, ids=lambda config: config["peft_type"])
def test_the_bridge_merges_any_linear_method(config, mini, frames):
    ours = mini.share()
    before = ours.fingerprint()
    attachment = make_method("peft", config=config).attach(ours)
    with torch.no_grad():
        assert torch.equal(answer(attachment, frames), mini.encode(frames)[-1])
        for value in attachment.parameters():
            value.add_(0.1 * torch.randn_like(value))
        expected = answer(attachment, frames)
        attachment.merge()
        close(ours.encode(frames)[-1], expected)
        attachment.unmerge()
    assert ours.fingerprint() == before
    assert not torch.allclose(expected, mini.encode(frames)[-1], atol=1e-3)


STARTS = {  # every initialisation of LoRA in peft, and whether it can be had here
    True: None, False: None, "gaussian": None, "orthogonal": None, "mica": None,
    "pissa": "changes the backbone's own layers.0.self_attn.linear_q",
    "pissa_niter_2": "changes the backbone's own layers.0.self_attn.linear_q",
    "olora": "changes the backbone's own layers.0.self_attn.linear_q",
    "loftq": "changes the backbone's own layers.0.self_attn.linear_q",
    "eva": "needs data to start from", "corda": "needs data to start from", "lora_ga": "needs data to start from",
}  # fmt: skip


@pytest.mark.parametrize("start", STARTS)
def test_no_start_of_the_bridge_changes_the_backbone(start, mini, frames, monkeypatch):
    if start == "loftq":  # needs a library that quantises, and then writes to the weights
        monkeypatch.setattr("peft.tuners.lora.layer.loftq_init", lambda w, **_: (w.round(), w[:2] * 0, w[:, :2] * 0))
    backbone, before = mini.share(), mini.fingerprint()
    bare = mini.encode(frames)[-1]
    extra = {"loftq_config": {"loftq_bits": 4, "loftq_iter": 1}} if start == "loftq" else {}
    method = make_method("peft", config={"peft_type": "LORA", "r": 2, "init_lora_weights": start, **extra})
    if STARTS[start]:
        with pytest.raises(ValueError, match=STARTS[start]):
            method.attach(backbone)
        assert torch.equal(backbone.encode(frames)[-1], bare)
    else:
        attachment = method.attach(backbone)
        optimiser = torch.optim.SGD([p for p in attachment.parameters() if p.requires_grad], lr=0.1)
        answer(attachment, frames).square().sum().backward()
        optimiser.step()
        assert not torch.equal(answer(attachment, frames), bare)
    assert backbone.fingerprint() == mini.fingerprint() == before


def test_the_bridge_equals_our_lora(mini, frames):
    lora, bridge = make_method("lora", r=2).attach(mini.share()), make_method("peft").attach(mini.share())
    with torch.no_grad():
        for key, part in lora.parts.items():
            part.B.normal_(generator=torch.Generator().manual_seed(1))
            layer = bridge.parts[key].layer
            layer.lora_A["default"].weight.copy_(part.A.flatten(1))
            layer.lora_B["default"].weight.copy_(part.B)
        close(answer(bridge, frames), answer(lora, frames))


def test_what_the_bridge_refuses(mini):
    with pytest.raises(ValueError, match='unknown peft_type "LORAA"; did you mean "LORA"'):
        make_method("peft", config={"peft_type": "LORAA"}).attach(mini)
    with pytest.raises(ValueError, match=r"nothing\.here, as a role or the end of a name, matches nothing on mini"):
        make_method("peft", config={"peft_type": "LORA", "target_modules": ["nothing.here"]}).attach(mini)
    with pytest.raises(ValueError, match="use our prompt or prefix"):
        make_method("peft", config={"peft_type": "PREFIX_TUNING", "num_virtual_tokens": 2}).attach(mini)
    with pytest.raises(TypeError, match="groups; lora can do that"):
        make_method("peft", config={"peft_type": "LORA", "target_modules": ["depthwise_conv"]}).attach(mini)


def test_what_the_format_refuses(mini, tmp_path):
    backbone = copy.deepcopy(mini)
    adapter, ia3 = make_method("adapter"), make_method("ia3", roles=("conv.in",))
    with pytest.raises(TypeError, match="adapter has no form in peft's format"):
        to_peft(adapter, adapter.attach(backbone), tmp_path)
    with pytest.raises(TypeError, match="is a convolution"):
        to_peft(ia3, ia3.attach(backbone), tmp_path)
    with pytest.raises(FileNotFoundError, match="holds no adapter_config"):
        from_peft(tmp_path / "nothing", backbone)
    lora = make_method("lora", roles=("attn.q",))
    to_peft(lora, lora.attach(backbone), tmp_path)
    path = tmp_path / "adapter_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "modules_to_save": ["head"]}))
    with pytest.raises(ValueError, match="modules_to_save cannot be taken over"):
        from_peft(tmp_path, backbone)
    path.write_text(json.dumps(config))
    short = copy.deepcopy(mini)
    short.layers = short.layers[:1]
    with pytest.raises(ValueError, match="belongs to no site of mini"):
        from_peft(tmp_path, short)


@pytest.mark.parametrize(
    "entry",
    ["megatron_core", "megatron_config", "auto_mapping", "base_model_name_or_path", "peft_version", "modules_to_save",
     "eva_config", "corda_config", "runtime_config", "layer_replication", "target_parameters", "revision", "anything"],
)  # fmt: skip
def test_only_known_entries_of_a_config_reach_peft(entry, mini, tmp_path, monkeypatch):
    """A config may come from a stranger's adapter; `megatron_core` of peft before 0.20 named a module to import."""
    (tmp_path / "trap_of_a_stranger.py").write_text("raise SystemExit('ran')")
    monkeypatch.syspath_prepend(tmp_path)
    config = {"peft_type": "LORA", "r": 2, "megatron_config": {}, entry: "trap_of_a_stranger"}
    with pytest.raises(ValueError, match=rf"peft: (megatron_config|{entry}) in its config is not passed on"):
        make_method("peft", config=config).attach(mini.share())
    assert "trap_of_a_stranger" not in sys.modules
