"""The method in docs/add_a_method.md keeps what the page says of it."""

import re
import sys
import types

import torch

from sordino.backbones.mini import Mini


def test_the_example_is_a_method(pytestconfig, monkeypatch):
    page = (pytestconfig.rootpath / "docs" / "add_a_method.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    module = types.ModuleType("gate")
    monkeypatch.setitem(sys.modules, "gate", module)
    exec(compile(source, "gate.py", "exec"), vars(module))
    backbone = Mini.tiny()
    method = module.Gate(layers="2")
    frames = backbone.frontend(0.1 * torch.randn(1, 12_000))
    bare = backbone.encode(frames)[-1]
    attachment = method.attach(backbone)
    assert torch.equal(backbone.encode(frames)[-1], bare)
    for value in attachment.parameters():
        torch.nn.init.zeros_(value)
    assert not torch.allclose(backbone.encode(frames)[-1], bare)
    assert sum(value.numel() for value in attachment.parameters()) == method.n_parameters(backbone) == 3 * 32
    assert attachment.first_layer == 2
