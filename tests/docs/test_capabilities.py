"""The table of what each method can do was measured for the methods as they are, and agrees with what they say."""

import json
import sys

import pytest

from sordino import registry
from tests.docs.test_readme import ROOT


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import build_capabilities

    yield build_capabilities
    sys.modules.pop("build_capabilities")


def test_every_method_is_measured_as_it_is(tool):
    measured = json.loads(tool.PATH.read_text(encoding="utf-8"))["methods"]
    assert list(measured) == registry.own_names("method")
    for name, entry in measured.items():
        method = registry.find("method", name)
        assert entry["file"] == tool.file_hash(name), f"python tools/build_capabilities.py {name}"
        values = {probe: cell["value"] for probe, cell in entry["cells"].items()}
        assert list(values) == list(tool.PROBES) and "fails" not in values.values()
        assert (values["merges"] == "yes") == method.mergeable
        assert (values["gradients_through_backbone"] == "yes") == method.through_backbone


def test_a_cell_is_measured(tool):
    assert tool.measured(tool.merges, "ssf") == {"value": "yes"}
    assert tool.measured(tool.merges, "prompt") == {"value": "no", "why": "cannot be merged, and says so"}
    assert tool.measured(tool.stored_from, "probe") == {"value": "every state"}
    assert tool.measured(lambda name: 1 / 0, "lora") == {"value": "fails", "why": "ZeroDivisionError: division by zero"}


def test_what_was_measured_of_another_file_is_untested(tool, monkeypatch, tmp_path):
    rows = {line.split("`")[1]: line for line in tool.section().splitlines() if line.startswith("| `")}
    assert set(rows) == set(registry.own_names("method")) and "untested" not in rows["lora"]
    monkeypatch.setattr(tool, "file_hash", lambda name: "another")
    assert all(line.count("untested") == len(tool.PROBES) for line in tool.section().splitlines() if "| `" in line)
