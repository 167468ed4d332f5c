"""docs/add_a_backbone.md is true: its example keeps the contract of backbones and can be adapted."""

import re
from pathlib import Path

import pytest

import sordino
from sordino.checks import backbones, method_case, methods
from sordino.checks.method_case import MethodCase
from sordino.checks.running import checks, run
from sordino.petl import make_method

PAGE = Path("docs/add_a_backbone.md")


@pytest.fixture
def bands(tmp_path, forget_outside):
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "bands.py").write_text(code)
    sordino.use(tmp_path / "bands.py")


def test_the_example_keeps_the_contract(bands):
    case = backbones.BackboneCase("bands")
    found = [run(check, case) for check in checks(backbones)]
    assert [finding for finding in found if finding.outcome != "kept"] == []


@pytest.mark.parametrize("name", ["lora", "adapter", "prefix", "prompt", "bitfit"])
def test_the_example_can_be_adapted(bands, name):
    methods.names_and_number(MethodCase(make_method(name), "bands"))
    method_case._prepared.cache_clear()
