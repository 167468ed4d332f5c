"""The adapter file: the same answers after loading, its own tensors only, and only on its own backbone."""

import json
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
    return save_adapter(model, folder, TINY, load_backbone(**TINY).fingerprint(), {"segment_s": 1.0})


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


def test_the_folder_tells_what_it_is(tmp_path):
    folder = save(trained_model("lora"), tmp_path / "a.adapter")
    card = read_card(folder)
    assert [task["name"] for task in card["tasks"]] == ["key", "tempo"]
    assert card["parameters"]["method"] == make_method("lora").n_parameters(load_backbone(**TINY))
    assert set(card["tensors"]) == set(load_file(folder / "adapter.safetensors"))
    assert "sordino predict" in (folder / "README.md").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["a.adapter"]


def test_what_is_no_adapter_is_said_to_be_none(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no adapter\.json"):
        read_card(tmp_path)
    (tmp_path / "adapter.json").write_text("{")
    with pytest.raises(ValueError, match="not an adapter's description"):
        read_card(tmp_path)
    (tmp_path / "adapter.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(ValueError, match="format 99"):
        read_card(tmp_path)
