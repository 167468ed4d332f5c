"""SHiRA, MiSS, HiRA, OFT and PiSSA against Hugging Face peft: the same parameters answer and train alike."""

import copy

import pytest
import torch

from sordino.backbones.mini import Mini
from sordino.petl import make_method

peft = pytest.importorskip("peft")

ROLES = ("attn.q", "attn.k", "ffn.in", "ffn.out")


@pytest.fixture(scope="module")
def mini():
    return Mini.tiny().freeze()


@pytest.fixture(scope="module")
def frames(mini):
    return mini.frontend(0.1 * torch.randn(2, 12_000, generator=torch.Generator().manual_seed(0)))


def shira(part, layer):
    places = torch.stack(torch.unravel_index(part.places, layer.get_base_layer().weight.shape))
    layer.shira_indices["default"] = places.to(torch.int)
    return [(part.values, layer.shira_weight["default"])]


def miss(part, layer):
    return [(part.D, layer.miss_block["default"])]


def hira(part, layer):
    return [(part.A, layer.hira_A["default"]), (part.B, layer.hira_B["default"])]


def oft(part, layer):
    return [(part.skew, layer.oft_R["default"].weight)]


CASES = {  # our options, peft's configuration, which of our parameters is which of theirs
    "shira": ({"r": 2}, ("ShiraConfig", {"r": 2, "random_seed": 0}), shira),
    "miss": ({"r": 5}, ("MissConfig", {"r": 5, "init_weights": True}), miss),
    "hira": ({"r": 3}, ("HiraConfig", {"r": 3}), hira),
    "oft": ({"block": 8}, ("OFTConfig", {"oft_block_size": 8, "use_cayley_neumann": False}), oft),
}


def in_peft(backbone, attachment, config, **options):
    paths = [site.path for site in attachment.sites.values()]
    model = peft.get_peft_model(
        copy.deepcopy(backbone), getattr(peft, config)(target_modules=paths, **options)
    ).base_model.model
    return model, [(part, model.get_submodule(site.path)) for site, part in attachment.placed()]


def train(parameters, answer, lr=0.05):
    optimiser = torch.optim.SGD(parameters, lr=lr, momentum=0.9)
    for _ in range(3):
        optimiser.zero_grad()
        answer()[..., ::2].square().mean().backward()
        optimiser.step()


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
@pytest.mark.parametrize("name", CASES)
def test_the_same_parameters_answer_and_train_alike(name, mini, frames):
    options, (config, theirs), pairs = CASES[name]
    method = make_method(name, roles=ROLES, **options)
    attachment = method.attach(mini.share())
    model, placed = in_peft(mini, attachment, config, **theirs)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == method.n_parameters(mini)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for part, layer in placed:
            for ours, other in pairs(part, layer):
                ours.add_(0.1 * torch.randn(ours.shape, generator=generator))
                other.copy_(ours.reshape(other.shape))
    own, other = (lambda: attachment.backbone.encode(frames)[-1]), (lambda: model.encode(frames)[-1])
    torch.testing.assert_close(own(), other(), rtol=1e-5, atol=1e-5)
    train(list(attachment.parameters()), own)
    train([p for p in model.parameters() if p.requires_grad], other)
    torch.testing.assert_close(own(), other(), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(own(), mini.encode(frames)[-1], atol=1e-3)


def test_pissa_starts_and_trains_as_in_peft(mini, frames):
    """There the weight becomes what is left of it; here it stays, and what was taken is subtracted beside it."""
    method = make_method("pissa", roles=ROLES, r=3, alpha=6.0)
    attachment = method.attach(mini.share())
    model, placed = in_peft(mini, attachment, "LoraConfig", r=3, lora_alpha=6, init_lora_weights="pissa")
    for part, layer in placed:
        a, b = (getattr(layer, name)["default"].weight for name in ("lora_A", "lora_B"))
        torch.testing.assert_close(part.B @ part.A, b @ a, rtol=1e-4, atol=1e-5)
        left = layer.get_base_layer().weight + 2.0 * b @ a
        torch.testing.assert_close(left, dict(mini.named_parameters())[site_of(attachment, part)], rtol=1e-4, atol=1e-5)
        with torch.no_grad():  # singular vectors have no sign of their own
            for ours, other in ((part.A, a), (part.B, b), (part.A0, a), (part.B0, b)):
                ours.copy_(other)
    own, other = (lambda: attachment.backbone.encode(frames)[-1]), (lambda: model.encode(frames)[-1])
    torch.testing.assert_close(own(), other(), rtol=1e-4, atol=1e-5)
    train(list(attachment.parameters()), own, 0.5)
    train([p for p in model.parameters() if p.requires_grad], other, 0.5)
    torch.testing.assert_close(own(), other(), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(own(), mini.encode(frames)[-1], atol=1e-3)


def site_of(attachment, part):
    return next(f"{site.path}.weight" for site, own in attachment.placed() if own is part)


def test_eva_finds_the_axes_that_pefts_incremental_pca_finds(mini, frames):
    from peft.utils.incremental_pca import IncrementalPCA

    method = make_method("eva", roles=("attn.q", "ffn.out"), r=3)
    attachment = method.attach(mini.share())
    given = {}
    for site, _ in attachment.placed():
        module = attachment.backbone.get_submodule(site.path)
        module.register_forward_pre_hook(lambda _, x, path=site.path: given.update({path: x[0].flatten(0, 1)}))
    method.begin(attachment, lambda: attachment.backbone.encode(frames))
    for site, part in attachment.placed():
        pca = IncrementalPCA(n_components=3)
        pca.fit(given[site.path].detach())
        torch.testing.assert_close((part.A @ pca.components_.T).abs(), torch.eye(3), rtol=1e-3, atol=1e-3)
