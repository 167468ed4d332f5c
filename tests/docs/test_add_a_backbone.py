"""docs/add_a_backbone.md is true: its example keeps the contract of backbones and can be adapted."""

import importlib.util
import inspect
import re
import sys
from pathlib import Path

import pytest

from sordino import registry
from sordino.petl import make_method

PAGE = Path("docs/add_a_backbone.md")


def module_from(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


CONTRACT = module_from("tests/contract/test_backbones.py", "contract_of_backbones")
PROMISES = [value for name, value in vars(CONTRACT).items() if name.startswith("test_")]


@pytest.fixture
def bands(tmp_path, monkeypatch):
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "bands.py").write_text(code)
    cls = module_from(tmp_path / "bands.py", "bands").Bands
    real = registry.find
    monkeypatch.setattr(registry, "find", lambda kind, name: cls if name == "bands" else real(kind, name))
    return cls


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_the_example_keeps_the_contract(bands, promise):
    known = {"name": "bands", "tiny": lambda name: bands.tiny(), "seconds": 1.2345}
    promise(**{name: known[name] for name in inspect.signature(promise).parameters})


@pytest.mark.parametrize("name", ["lora", "adapter", "prefix", "prompt", "bitfit"])
def test_the_example_can_be_adapted(bands, name):
    backbone, method = bands.tiny(), make_method(name)
    attachment = method.attach(backbone)
    assert sum(p.numel() for p in attachment.parameters()) == method.n_parameters(backbone) > 0
