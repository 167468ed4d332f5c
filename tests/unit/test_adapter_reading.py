"""An adapter from a stranger: one clear line for whatever is wrong with it, before anything large is allocated."""

import json
import os
import resource
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from sordino.adapter_file import load_adapter, read_card, save_adapter
from sordino.backbones import load_backbone
from sordino.inference import Predictor
from sordino.model import Model
from sordino.petl import make_method
from sordino.tasks import make_task
from tests.conftest import TINY


@pytest.fixture
def adapter(tmp_path):
    backbone = load_backbone(**TINY)
    model = Model(backbone, [make_task("key")], [make_method("lora"), make_method("prefix")], {"hidden": 8})
    return save_adapter(model, tmp_path / "a.adapter", TINY, backbone.fingerprint(), 1.0)


def told(folder):
    """The one line that says what is wrong."""
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        Predictor([folder])
    line = str(error.value)
    assert "\n" not in line and len(line) <= 300 + len(str(folder)) and "a.adapter" in line, line
    return line


def with_tensors(folder, change):
    tensors = load_file(folder / "adapter.safetensors")
    name = next(name for name in tensors if name.startswith("head:") and name.endswith("weight"))
    tensors[name] = change(tensors[name])
    save_file(tensors, folder / "adapter.safetensors")
    return name


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda x: x * float("nan"), "holds infinity or nan"),
        (lambda x: x / 0.0, "holds infinity or nan"),
        (lambda x: x.to(torch.int32), "is of type I32; weights are floats"),
        (lambda x: x > 0, "is of type BOOL; weights are floats"),
        (lambda x: x.to(torch.complex64), "weights are floats"),
        (lambda x: x.double(), "float64, not"),
        (lambda x: x.half(), "float16, not"),
        (lambda x: x.flatten()[:1].clone(), r"is \(1,\) float32, not"),
        (lambda x: x.T.contiguous(), "the state is of another model"),
        (lambda x: torch.zeros(0), r"is \(0,\) float32, not"),
    ],
)
def test_tensors_are_what_the_model_declares(change, wanted, adapter):
    import re

    with_tensors(adapter, change)
    assert re.search(wanted, told(adapter))


def test_one_value_is_never_spread_over_a_part(adapter):
    tensors = load_file(adapter / "adapter.safetensors")
    name = next(name for name in tensors if name.startswith("method.0") and tensors[name].numel() > 1)
    save_file({**tensors, name: torch.ones(1)}, adapter / "adapter.safetensors")
    assert "is (1,) float32, not" in told(adapter)


HUGE = [
    (("backbone", "n_layers"), 10**7), (("backbone", "dim"), 10**9), (("backbone", "dim"), 10**400),
    (("backbone", "n_heads"), 10**30), (("backbone", "depth"), -1), (("backbone", "weights"), "random:x"),
    (("backbone", "name"), "../../mini"), (("backbone", "name"), None), (("backbone", "name"), ["mini"]),
    (("head", "hidden"), 10**9), (("head", "hidden"), 10**18), (("head", "layers"), "1-999999999999"),
    (("head", "pool"), {}), (("head",), [1]), (("head", "dropout"), "x"),
    (("methods", 0, "r"), 10**9), (("methods", 0, "r"), 2.5), (("methods", 0, "layers"), "1-9999999999"),
    (("methods", 0, "name"), "os"), (("methods", 0, "roles"), ["attn.q"] * 100_000), (("methods",), {"name": "lora"}),
    (("methods", 1, "mlp"), 10**9), (("methods", 1, "n_tokens"), 10**9), (("methods", 0), "lora"),
    (("methods", 0, "dropout"), float("nan")), (("methods", 0, "alpha"), float("inf")),
    (("tasks", 0, "name"), "nothing"), (("tasks", 0, "config"), {"unknown": 1}), (("tasks", 0, "config"), None),
    (("tasks", 0, "config"), []), (("tasks",), []), (("tasks",), 7),
    (("segment_s",), 0), (("segment_s",), -1.5), (("segment_s",), 1e12), (("segment_s",), 10**400),
    (("segment_s",), True), (("segment_s",), "10"), (("segment_s",), float("nan")), (("segment_s",), None),
    (("format",), 10**30), (("format",), {}), (("format",), None),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), HUGE, ids=lambda x: str(x)[:40])
def test_what_cannot_be_is_told_before_it_is_built(path, value, adapter):
    card = json.loads((adapter / "adapter.json").read_text())
    place = card
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    (adapter / "adapter.json").write_text(json.dumps(card))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told(adapter)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a":' * 100_000, "", "nan", "[]", "1e999", '{"format": 1}',
     "\udc80".encode("utf-8", "surrogatepass"),
     '{"format": 1, "format": ' + "9" * 6000 + "}", "\0" * 100],
)  # fmt: skip
def test_a_description_that_is_none(text, adapter):
    (adapter / "adapter.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    told(adapter)


@pytest.mark.parametrize("name", ["adapter.json", "adapter.safetensors"])
def test_only_plain_files_are_read(name, adapter):
    (adapter / name).unlink()
    os.mkfifo(adapter / name)  # to open it would wait for ever
    assert "it is no plain file" in told(adapter)
    (adapter / name).unlink()
    (adapter / name).mkdir()
    assert "it is no plain file" in told(adapter)
    (adapter / name).rmdir()
    assert "no such file" in told(adapter) or name == "adapter.json"


@pytest.mark.parametrize(
    "head",
    [b"", b"\xff" * 8, struct.pack("<Q", 2**40), struct.pack("<Q", 60) + b"[" * 60, struct.pack("<Q", 2) + b"{}",
     struct.pack("<Q", 20) + b'{"a": 1}            ', struct.pack("<Q", 4) + b"null"],
)  # fmt: skip
def test_a_head_that_is_none(head, adapter):
    (adapter / "adapter.safetensors").write_bytes(head + bytes(60))
    told(adapter)


def test_sizes_are_capped(adapter, monkeypatch):
    from sordino import adapter_reading

    monkeypatch.setattr(adapter_reading, "MOST_TENSORS", 3)
    assert "tensors, more than 3" in told(adapter)
    monkeypatch.setattr(adapter_reading, "MOST_HEAD_BYTES", 100)
    assert "its head would take" in told(adapter)
    monkeypatch.setattr(adapter_reading, "MOST_JSON_BYTES", 100)
    assert "bytes, more than 100" in told(adapter)


def test_what_is_attached_is_capped_though_the_file_is_small(adapter):
    """The network behind prefixes is not in the file, which holds what it gave."""
    card = json.loads((adapter / "adapter.json").read_text())
    card["methods"][1]["mlp"] = 10**9
    (adapter / "adapter.json").write_text(json.dumps(card))
    assert "what is attached takes" in told(adapter)


def test_a_healthy_one_is_read(adapter):
    assert read_card(adapter)["segment_s"] == 1.0
    assert load_adapter(adapter).methods[1].name == "prefix"
