"""What `sordino list` and `sordino show` tell: written ahead, true, and told without PyTorch."""

import json
import subprocess
import sys

import pytest

from sordino import registry
from sordino.study import catalogue
from sordino.study.description import described

HEAVY = ("torch", "peft", "transformers", "scipy")


@pytest.mark.parametrize(
    "words", [["--help"], ["list"], ["show", "mini"], ["show", "musicfm"], ["show", "lora"], ["show", "key"],
              ["show", "demo"]], ids=" ".join
)  # fmt: skip
def test_nothing_heavy_is_imported(words):
    code = f"""if True:
        import sys
        from sordino.cli import group
        group.main({words}, standalone_mode=False)
        print([name for name in {HEAVY} if name in sys.modules])"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.endswith("\n[]\n") and len(told) > 100


@pytest.mark.parametrize("name", registry.names("backbone"))
def test_weights_are_where_the_class_finds_them(name):
    assert catalogue.describe(name)["weights"] == registry.find("backbone", name).where()


def test_a_new_or_changed_file_tells_of_itself(monkeypatch, tmp_path):
    changed = tmp_path / "key.py"
    changed.write_text(registry.file("task", "key").read_text() + "# changed\n")
    real = registry.file
    monkeypatch.setattr(registry, "file", lambda kind, name: changed if name == "key" else real(kind, name))
    written = {**catalogue._read(), "backbone": {}}
    for kind, name in (("task", "key"), ("task", "tempo")):
        written[kind][name] = {**written[kind][name], "row": {"name": name, "title": "as written"}}
    monkeypatch.setattr(catalogue, "_read", lambda: written)
    titles = {row["name"]: row["title"] for row in catalogue.catalogue("task")}
    assert titles["key"] == registry.find("task", "key").title and titles["tempo"] == "as written"
    assert catalogue.describe("mini") == {
        "kind": "backbone", **described("backbone", "mini")["row"], "weights": "random or built in",
        **described("backbone", "mini")["more"],
    }  # fmt: skip


def test_datasets_tell_whether_they_are_here():
    rows = {row["name"]: row for row in catalogue.catalogue("dataset")}
    assert rows["demo"]["here"] is True and rows["beatles"]["here"] is False
    assert json.dumps(rows["demo"]) and catalogue.describe("demo")["root"].endswith("demo_data")
