"""The adapter file: the same answers after loading, its own tensors only, and only on its own backbone."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from sordino.adapter_file import load_adapter, read_card, save_adapter
from sordino.backbones import load_backbone
from sordino.model import Model
from sordino.petl import make_method
from sordino.tasks import make_task
from tests.conftest import TINY

WAVE = torch.sin(torch.arange(24_000) / 9.0)[None]


def trained_model(*methods: str) -> Model:
    """A model whose trained tensors are all away from where they started."""
    backbone = load_backbone(**TINY)
    model = Model(backbone, [make_task("key"), make_task("tempo")], [make_method(m) for m in methods], {"hidden": 0})
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in model.trained().values():
            value += 0.05 * torch.randn(value.shape, generator=generator)
    return model


def save(model: Model, folder):
    return save_adapter(model, folder, TINY, load_backbone(**TINY).fingerprint(), 1.0)


@pytest.mark.parametrize("methods", [("lora",), ("adapter",), ("finetune",), ("probe",), ("lora", "prefix")])
def test_loading_gives_bit_identical_answers(methods, tmp_path):
    model = trained_model(*methods)
    loaded = load_adapter(save(model, tmp_path / "a.adapter"))
    for name, logits in model.predict(WAVE).items():
        assert torch.equal(logits, loaded.predict(WAVE)[name])


def test_a_new_process_gives_bit_identical_answers(tmp_path):
    model = trained_model("lora")
    folder = save(model, tmp_path / "a.adapter")
    code = (
        "import torch, sys; torch.set_num_threads(1); from sordino.adapter_file import load_adapter\n"
        "wave = torch.sin(torch.arange(24_000) / 9.0)[None]\n"
        f"torch.save(load_adapter({str(folder)!r}).predict(wave), {str(tmp_path / 'out.pt')!r})"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    there = torch.load(tmp_path / "out.pt", weights_only=True)
    for name, logits in model.predict(WAVE).items():
        assert torch.equal(logits.detach(), there[name])


def test_a_file_from_before_an_option_answers_as_it_did(tmp_path):
    """Adapters had ReLU before they had `activation`; a file that does not name it was trained so."""
    backbone = load_backbone(**TINY)
    old = Model(backbone, [make_task("key")], [make_method("adapter", activation="relu")], {"hidden": 0})
    with torch.no_grad():
        for value in old.trained().values():
            value += 0.5 * torch.randn(value.shape, generator=torch.Generator().manual_seed(1))
    folder = save_adapter(old, tmp_path / "a.adapter", TINY, backbone.fingerprint(), 1.0)
    card = json.loads((folder / "adapter.json").read_text())
    for later in ("activation", "down_bias"):
        del card["methods"][0][later]
    (folder / "adapter.json").write_text(json.dumps(card))
    answer = load_adapter(folder).predict(WAVE)["key"]
    assert torch.equal(answer, old.predict(WAVE)["key"])
    card["methods"][0]["activation"] = "gelu"
    (folder / "adapter.json").write_text(json.dumps(card))
    assert not torch.allclose(load_adapter(folder).predict(WAVE)["key"], answer)


def test_another_backbone_is_refused(tmp_path):
    folder = save(trained_model("lora"), tmp_path / "a.adapter")
    other = load_backbone(**{**TINY, "weights": "random:7"})
    with pytest.raises(ValueError, match="was trained on mini with weights"):
        load_adapter(folder, other)


def test_a_missing_or_unknown_tensor_is_an_error(tmp_path):
    folder = save(trained_model("lora"), tmp_path / "a.adapter")
    path = folder / "adapter.safetensors"
    tensors = load_file(path)
    save_file({**tensors, "method.0:nowhere:weight": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="nowhere"):
        load_adapter(folder)
    first = next(name for name in tensors if name.startswith("head:"))
    save_file({name: value for name, value in tensors.items() if name != first}, path)
    with pytest.raises(ValueError, match="Missing key"):
        load_adapter(folder)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="cannot be read"):
        load_adapter(folder)


@pytest.mark.parametrize("method", ["lora", "finetune"])
def test_a_state_of_another_model_changes_nothing(method):
    model = trained_model(method)
    before = model.trained_state()
    first, *_, last = before
    others = {name: value + 1 for name, value in before.items()}
    for wrong, told in {
        f"{last} is missing": {name: value for name, value in others.items() if name != last},
        "extra is unknown": {**others, "extra": torch.zeros(1)},
        f"{last} is .*, not": {**others, last: torch.zeros(7, 3)},
        f"{first} is .* torch.float64, not .* torch.float32": {**others, first: others[first].double()},
    }.items():
        with pytest.raises(ValueError, match=wrong):
            model.load_trained_state(told)
        assert all(torch.equal(value, before[name]) for name, value in model.trained_state().items())
    model.load_trained_state(others)
    assert all(torch.equal(value, others[name]) for name, value in model.trained_state().items())


def test_a_tensor_of_another_shape_is_told_with_its_file(tmp_path):
    folder = save(trained_model("finetune"), tmp_path / "a.adapter")
    tensors = load_file(folder / "adapter.safetensors")
    name = next(name for name in tensors if name.startswith("backbone:"))
    save_file({**tensors, name: torch.zeros(2, 2, 2)}, folder / "adapter.safetensors")
    with pytest.raises(ValueError, match=r"a\.adapter: the state is of another model: backbone\."):
        load_adapter(folder)


def test_the_folder_tells_what_it_is(tmp_path):
    folder = save(trained_model("lora"), tmp_path / "a.adapter")
    card = read_card(folder)
    assert [task["name"] for task in card["tasks"]] == ["key", "tempo"]
    assert card["parameters"]["method"] == make_method("lora").n_parameters(load_backbone(**TINY))
    assert set(card["tensors"]) == set(load_file(folder / "adapter.safetensors"))
    assert "sordino predict" in (folder / "README.md").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["a.adapter"]


@pytest.mark.parametrize("names", [["thesis.tex"], ["adapter.json", "README.md"], ["README.md"], ["adapter.json"]])
def test_a_folder_that_is_no_adapter_is_left_alone(names, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in names:
        (folder / name).write_text("{}")
    with pytest.raises(ValueError, match=f"mine is there and .*{names[0] if 'tex' in names[0] else 'is no adapter'}"):
        save(trained_model("probe"), folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_an_adapter_is_replaced_unless_something_else_lies_in_it(tmp_path):
    folder = tmp_path / "a.adapter"
    folder.mkdir()  # nothing is lost with an empty folder
    save(trained_model("lora"), folder)
    save(trained_model("probe"), folder)
    assert [method["name"] for method in read_card(folder)["methods"]] == ["probe"]
    (folder / "notes.txt").write_text("heard it twice")
    with pytest.raises(ValueError, match=r"holds notes\.txt; nothing was written"):
        save(trained_model("lora"), folder)
    assert [method["name"] for method in read_card(folder)["methods"]] == ["probe"]


def test_an_adapter_put_aside_by_a_killed_writer_is_still_read(tmp_path):
    folder = save(trained_model("lora"), tmp_path / "a.adapter")
    folder.rename(tmp_path / ".a.adapter.1-00000000.aside")
    assert load_adapter(folder).methods[0].name == "lora"
    save(trained_model("probe"), folder)
    assert load_adapter(folder).methods[0].name == "probe"
    assert [path.name for path in tmp_path.iterdir()] == ["a.adapter"]


def test_every_file_has_the_permissions_of_the_umask(tmp_path):
    before = os.umask(0o022)
    try:
        folder = save(trained_model("lora"), tmp_path / "a.adapter")
    finally:
        os.umask(before)
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in folder.iterdir()}
    assert modes == dict.fromkeys(("adapter.safetensors", "adapter.json", "README.md"), "0o644")


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan"), None, "10", True])
def test_a_segment_has_a_length(value, tmp_path):
    model = trained_model("probe")
    if isinstance(value, float):
        with pytest.raises(ValueError, match=r"a\.adapter: segment_s = .* is not a length"):
            save_adapter(model, tmp_path / "a.adapter", TINY, "f", value)
        assert not list(tmp_path.iterdir())
    folder = save(model, tmp_path / "a.adapter")
    card = read_card(folder)
    assert card["segment_s"] == 1.0
    (folder / "adapter.json").write_text(json.dumps({**card, "segment_s": value}))
    with pytest.raises(ValueError, match=r"adapter\.json: segment_s = .* is not a length"):
        load_adapter(folder)
    (folder / "adapter.json").write_text(json.dumps({k: v for k, v in card.items() if k != "segment_s"}))
    with pytest.raises(ValueError, match="lacks segment_s"):
        load_adapter(folder)


def test_what_is_no_adapter_is_said_to_be_none(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no adapter\.json"):
        read_card(tmp_path)
    (tmp_path / "adapter.json").write_text("{")
    with pytest.raises(ValueError, match="not an adapter's description"):
        read_card(tmp_path)
    (tmp_path / "adapter.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(ValueError, match="format 99"):
        read_card(tmp_path)
