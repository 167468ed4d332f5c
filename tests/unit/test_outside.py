"""Methods, tasks, backbones and datasets that live outside of the package: found, told, and never imported unasked."""

import json
import os
import re
import sys
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

import sordino
from sordino import outside, registry
from sordino.adapter_file import load_adapter, read_card
from sordino.cli import group
from sordino.config import load_config
from sordino.data_names import parse_data
from sordino.petl import parse_methods
from sordino.training.run import train
from tests.conftest import TINY

CORPUS = """
from sordino.contracts import Dataset, Track

class Two(Dataset):
    name, title, labels, licence = "two", "Two", ("key",), "CC0"

    def __init__(self, root=None, version=None, split: str = "own"):
        super().__init__(root, version)

    def tracks(self):
        return []
"""


@pytest.fixture
def here(tmp_path, monkeypatch, forget_outside, pytestconfig):
    """The method of docs/add_a_method.md in a file of the working directory; nothing is known of it before or after."""
    page = (pytestconfig.rootpath / "docs" / "add_a_method.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / "my_methods.py").write_text(source, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_place_in_a_config_is_a_name_from_then_on(here):
    config = load_config(None, ["method=lora+my_methods.py:Gate"])
    lora, gate = config.resolved()["method"]
    assert (lora, gate) == ({"name": "lora"}, {"name": "gate", "from": "my_methods.py:Gate"})
    assert [method.name for method in parse_methods([gate, "lora"])] == ["gate", "lora"]
    assert "gate" in registry.names("method") and "gate" not in registry.own_names("method")
    with pytest.raises(ValueError, match=r'"method.role"; did you mean "method.roles"'):
        load_config(None, ["method.name=my_methods.py:Gate", "method.role=norm"])


def test_its_adapter_says_what_is_missing_and_is_loaded_at_the_users_word(here, triads, forget_outside):
    settings = {"method": "my_methods.py:Gate", "backbone": TINY, "training": {"steps": 2, "validate_every": 2}}
    run = train(load_config(None, (), data=str(triads), **settings), here / "runs")
    assert "gate" in run.folder.name and ".py" not in run.folder.name
    folder = run.folder / "model.adapter"
    (told,) = read_card(folder)["outside"]
    assert (told["kind"], told["name"], told["from"]) == ("method", "gate", "my_methods.py:Gate")
    assert "my_methods.py:Gate" in (folder / "README.md").read_text(encoding="utf-8")
    assert load_adapter(folder).methods[0].name == "gate"
    forget_outside()
    with pytest.raises(ValueError, match=r'wants the "method" "gate" of "my_methods.py:Gate".*--plugin my_methods.py'):
        load_adapter(folder)
    sordino.use("my_methods.py")
    assert load_adapter(folder).methods[0].name == "gate"


def test_another_code_is_another_run(here):
    config = load_config(None, ["method=my_methods.py:Gate"])
    before = config.outside()
    assert "from" not in config.deciding()["method"][0]
    with (here / "my_methods.py").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert load_config(None, ["method=my_methods.py:Gate"]).outside() != before


@pytest.mark.parametrize("key", ["name", "from"])
@pytest.mark.parametrize("part", ["methods", "backbone", "tasks"])
def test_an_adapter_never_says_what_to_import(key, part, here, triads):
    (here / "evil.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    card = {"format": 1, "backbone": {"name": "mini", "fingerprint": "0"}, "methods": [{"name": "lora"}], "head": {},
            "tasks": [{"name": "key", "config": {}}], "segment_s": 1.0}  # fmt: skip
    spec = card[part] if part == "backbone" else card[part][0]
    spec[key] = "evil.py:Evil"
    (here / "x.adapter").mkdir()
    (here / "x.adapter" / "adapter.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ValueError, match=r"is a place of code; an adapter names what it wants by name alone"):
        load_adapter(here / "x.adapter")


def test_what_it_says_of_outside_things_is_read_as_text(here):
    (here / "evil.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    told = {"kind": "method", "name": "gate", "from": "evil.py:Evil", "package": "evil 1"}
    card = {"format": 1, "backbone": {"name": "mini", "fingerprint": "0"}, "methods": [{"name": "gate"}], "head": {},
            "tasks": [{"name": "key", "config": {}}], "segment_s": 1.0, "outside": [told]}  # fmt: skip
    (here / "x.adapter").mkdir()
    (here / "x.adapter" / "adapter.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ValueError, match=r"If you trust it: pip install evil, and say --plugin evil.py") as told:
        load_adapter(here / "x.adapter")
    assert len(str(told.value)) <= 300


def test_the_flag_brings_a_name_to_this_process_and_those_it_starts(here):
    told = CliRunner().invoke(group, ["list", "methods", "--json", "--plugin", "my_methods.py"], catch_exceptions=False)
    (gate,) = [row for row in json.loads(told.output) if row["name"] == "gate"]
    assert gate["trained_on_MERT-6"] == 12 * 768
    assert os.environ[outside.PLUGINS] == str(here / "my_methods.py")
    shown = CliRunner().invoke(group, ["show", "gate", "--json"], catch_exceptions=False)
    assert json.loads(shown.output)["kind"] == "method"


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("none.py:Gate", "none.py cannot be imported: FileNotFoundError"),
        ("my_methods.py:Gates", "holds no class Gates that is a finished method"),
        ("my_methods.py:FeatureGate", "holds no class FeatureGate that is a finished method"),
        ("no_such_module.x:Gate", "no_such_module.x cannot be imported: ModuleNotFoundError"),
        ("broken.py:Gate", r"broken.py cannot be imported: SyntaxError"),
        ("stops.py:Gate", r"stops.py cannot be imported: SystemExit: 3"),
    ],
)
def test_a_place_that_is_none_is_told_in_one_line(place, told, here):
    (here / "broken.py").write_text("class", encoding="utf-8")
    (here / "stops.py").write_text("raise SystemExit(3)", encoding="utf-8")
    with pytest.raises(ValueError, match=told):
        load_config(None, [f"method={place}"])


def test_two_of_one_name_are_an_error(here):
    source = (here / "my_methods.py").read_text(encoding="utf-8")
    (here / "other.py").write_text(source, encoding="utf-8")
    (here / "mine.py").write_text(source.replace('= "gate"', '= "lora"'), encoding="utf-8")
    sordino.use("my_methods.py:Gate")
    with pytest.raises(ValueError, match=r'two methods are called "gate": that of my_methods.py:Gate and that of'):
        sordino.use("other.py:Gate")
    with pytest.raises(ValueError, match=r'two methods are called "lora": that of sordino and that of mine.py:Gate'):
        load_config(None, ["method=mine.py:Gate"])


def test_a_package_brings_names_by_entry_points(here, monkeypatch):
    monkeypatch.syspath_prepend(str(here))
    points = {"sordino.methods": (point("gate", "my_methods:Gate"),)}
    monkeypatch.setattr(outside, "_installed", lambda group: points.get(group, ()))
    assert "gate" in registry.names("method")
    assert "my_methods" not in sys.modules
    assert registry.find("method", "gate").__module__ == "my_methods"
    assert outside.origin(registry.find("method", "gate"))["from"] == "my_methods:Gate"
    assert load_config(None, ["method=my_methods:Gate"]).resolved()["method"][0]["name"] == "gate"  # the same class
    points["sordino.methods"] = (point("gate", "my_methods:Gate"), point("gate", "others:Gate"))
    with pytest.raises(ValueError, match=r'two methods are called "gate"'):
        registry.names("method")
    points["sordino.methods"] = (point("door", "my_methods:Gate"),)
    with pytest.raises(ValueError, match=r'my_methods:Gate is no method with name = "door"'):
        registry.find("method", "door")
    monkeypatch.setattr(outside, "_used", {})
    points["sordino.methods"] = (point("gate", "no_such_module:Gate"),)
    with pytest.raises(ValueError, match=r"method gate of the package extras cannot be imported: ModuleNotFoundError"):
        registry.find("method", "gate")
    sys.modules.pop("my_methods")


def point(name, value):
    found = EntryPoint(name, value, "sordino.methods")
    vars(found)["dist"] = SimpleNamespace(name="extras")
    return found


def test_the_groups_are_those_of_the_installed_packages():
    assert outside._installed("console_scripts")
    assert all(each.group == "console_scripts" for each in outside._installed("console_scripts"))


def test_a_corpus_by_its_place(here):
    (here / "corpora.py").write_text(CORPUS, encoding="utf-8")
    named, demo = parse_data("corpora.py:Two:split=paper+demo")
    assert (named.corpus, named.options, demo.corpus) == ("two", {"split": "paper"}, "demo")
    assert str(named) == "corpora.py:Two:split=paper"
    config = load_config(None, (), data={"name": "corpora.py:Two", "split": "paper"})
    assert config.data == "corpora.py:Two:split=paper"
    assert sordino.load_dataset(config.data).name == "two"
