"""What every method keeps on every backbone, known or new: both come from the registry, the promises from `checks`."""

import jaxtyping
import pytest
import torch

from sordino import registry
from sordino.checks import methods
from sordino.checks.method_case import MethodCase
from sordino.checks.running import NotAsked, checks
from sordino.contracts import Frames
from sordino.petl import make_method
from tests.contract.exclusions import pairs, reason

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


@pytest.fixture
def case(name, options, backbone_name):
    if name == "peft":
        pytest.importorskip("peft")
    case = MethodCase(make_method(name, **options), backbone_name)
    if excluded := reason(name, options, backbone_name):
        pytest.skip(excluded)
    yield case
    assert case.backbone.fingerprint() == case.fingerprint


on_every_pair = pytest.mark.parametrize(("name", "options", "backbone_name"), pairs(CASES))


@on_every_pair
@pytest.mark.parametrize("check", checks(methods), ids=lambda check: check.__name__)
def test_it_keeps(check, case):
    try:
        check(case)
    except NotAsked as why:
        pytest.skip(str(why))


@pytest.fixture
def unchecked():
    """No checks of shapes and types: the compiler cannot look into them."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def alike(name):
    """The first backbone with the same kind of layers: compiling is slow, and once for each kind is enough."""
    kinds = {other: type(registry.find("backbone", other).tiny().layers[0]) for other in registry.names("backbone")}
    return next(other for other, kind in kinds.items() if kind is kinds[name])


@pytest.mark.compile
@on_every_pair
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
