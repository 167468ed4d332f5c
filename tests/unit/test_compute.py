"""Where bfloat16 would convolve wrongly, float32 is used, and it is said once."""

import pytest
import torch
import torch.nn.functional as F

from sordino import compute
from sordino.compute import Compute


@pytest.fixture(autouse=True)
def _afresh():
    compute._is_right_in_bf16.cache_clear()
    yield
    compute._is_right_in_bf16.cache_clear()


def test_a_processor_that_convolves_wrongly_computes_in_float32(monkeypatch, capsys):
    conv1d = F.conv1d

    def wrong(x, weight):
        spoiled = x.dtype is torch.bfloat16 and weight.shape[1:] == (8, 8)
        return conv1d(x, weight) * (-1 if spoiled else 1)

    monkeypatch.setattr(compute, "_has_amx", lambda: True)
    monkeypatch.setattr(compute.F, "conv1d", wrong)
    assert Compute.choose("cpu", "bf16").precision == "float32"
    assert Compute.choose("cpu", "auto").precision == "float32"
    (line,) = capsys.readouterr().err.splitlines()
    assert "convolves wrongly in bfloat16: float32 is used instead" in line and len(line) <= 300


def test_one_that_convolves_rightly_is_left_alone(monkeypatch, capsys):
    monkeypatch.setattr(compute, "_has_amx", lambda: True)
    assert Compute.choose("cpu", "bf16").bf16 and Compute.choose("cpu", "float32").precision == "float32"
    assert capsys.readouterr().err == ""


def test_nothing_is_tried_without_amx(monkeypatch):
    monkeypatch.setattr(compute, "_has_amx", lambda: False)
    monkeypatch.setattr(compute.F, "conv1d", None)
    assert Compute.choose("cpu", "bf16").bf16


def test_amx_is_known_by_torch_or_by_the_system(monkeypatch):
    assert isinstance(compute._has_amx(), bool)
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported", raising=False)
    assert isinstance(compute._has_amx(), bool)
