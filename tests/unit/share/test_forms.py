"""Adapters in other forms answer as before: merged, as LoRA in peft's format, as ONNX."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

import sordino
from sordino import audio
from sordino.adapter_file import backbone_of, load_adapter, read_card
from sordino.answering import answer_grid
from sordino.backbones import load_backbone
from sordino.cli import group
from sordino.datasets import load_dataset
from sordino.petl._peft_format import from_peft
from sordino.share.as_lora import save_as_lora
from sordino.share.merged import merge_adapter
from sordino.share.onnx import _irfft, _rfft, _stft, export_onnx
from tests.conftest import RATE_HZ, TINY
from tests.tiny_adapters import adapter

AS_LORA = ("lora", "dora", "vera", "adalora", "eva", "hira", "miss", "oft", "peft", "pissa", "shira")
WAVE = (0.1 * np.random.default_rng(0).standard_normal(RATE_HZ)).astype(np.float32)


def probabilities(folder):
    return sordino.load(folder, precision="float32")(WAVE, RATE_HZ)["key"].details["alternatives"]


@pytest.mark.parametrize("method", ["lora", "bitfit", "ssf", "finetune"])
def test_a_merged_adapter_is_a_plain_checkpoint_that_answers_as_before(method, tmp_path):
    made = adapter(tmp_path / "a.adapter", "key", method)
    merge_adapter(made, tmp_path / "merged")
    assert probabilities(tmp_path / "merged") == pytest.approx(probabilities(made), abs=1e-4)
    plain = load_file(tmp_path / "merged" / "backbone.safetensors")
    assert set(plain) == set(load_backbone(**TINY).state_dict())
    model = load_adapter(tmp_path / "merged")
    assert not any(True for _ in model.attachments.parameters()) and "merged" in model.backbone.weights
    (tmp_path / "merged").rename(tmp_path / "moved")
    assert probabilities(tmp_path / "moved") == pytest.approx(probabilities(made), abs=1e-4)
    plain.pop(next(iter(plain)))
    from safetensors.torch import save_file

    save_file(plain, tmp_path / "moved" / "backbone.safetensors")
    with pytest.raises(ValueError, match=r"backbone.safetensors does not fit mini"):
        load_adapter(tmp_path / "moved")


@pytest.mark.parametrize(("method", "message"), [("adapter", "cannot be merged"), ("probe", "nothing to merge")])
def test_what_cannot_be_merged_is_told(method, message, tmp_path):
    made = adapter(tmp_path / "a.adapter", "key", method)
    with pytest.raises(ValueError, match=message):
        CliRunner().invoke(group, ["merge", str(made), "--out", str(tmp_path / "b")], catch_exceptions=False)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("method", [*AS_LORA, "ssf", "ia3", "finetune"])
def test_any_additive_method_is_a_lora(method, tmp_path):
    options = {"roles": ["attn.q", "ffn.in"]} if method in ("ssf", "ia3") else {}
    made = adapter(tmp_path / "a.adapter", "key", method, **options)
    if method not in AS_LORA:  # two scale, and biases with it; fine-tuning trains norms too
        with pytest.raises(ValueError, match=r"(bias|norm.weight), which LoRA in peft.s format cannot hold"):
            save_as_lora(made, tmp_path / "peft")
        return
    written = save_as_lora(made, tmp_path / "peft")
    assert written.error < 1e-4
    backbone = backbone_of(read_card(made), made)
    taken, merged = backbone.share(), load_adapter(made)
    _, attachment = from_peft(tmp_path / "peft", taken)
    attachment.merge()
    merged.merge()
    for name, value in merged.backbone.named_parameters():
        torch.testing.assert_close(dict(taken.named_parameters())[name], value, atol=1e-5, rtol=1e-4)
    if method == "lora":
        assert written.rank == 2
    lossy = save_as_lora(made, tmp_path / "small", rank=1)
    assert lossy.rank == 1 and lossy.error > 0.01


def test_peft_itself_reads_it(tmp_path):
    peft = pytest.importorskip("peft")
    made = adapter(tmp_path / "a.adapter", "key", "vera")
    told = CliRunner().invoke(group, ["export", str(made), "--peft", str(tmp_path / "peft")], catch_exceptions=False)
    assert "LoRA of rank" in told.stdout
    theirs = peft.PeftModel.from_pretrained(load_backbone(**TINY), tmp_path / "peft")
    ours = load_adapter(made).backbone
    wave = torch.from_numpy(WAVE)[None]
    with torch.no_grad():
        torch.testing.assert_close(theirs(wave)[-1], ours(wave)[-1], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("n", [8, 9])
def test_transforms_as_products_are_the_transforms(n):
    x = torch.randn(2, 3, n)
    spectrum = torch.fft.rfft(x)
    torch.testing.assert_close(_rfft(x).real, spectrum.real)
    torch.testing.assert_close(_rfft(x)[..., :3].imag, spectrum.imag[..., :3])
    torch.testing.assert_close(_rfft(x, 16).abs(), torch.fft.rfft(x, 16).abs())
    power = spectrum.abs().square()
    torch.testing.assert_close(_irfft(power, n), torch.fft.irfft(power, n))
    long, window = torch.randn(2, 64), torch.hann_window(n)
    theirs = torch.stft(long, n, 4, window=window, return_complex=True)
    torch.testing.assert_close(_stft(long, n, 4, window=window).abs(), theirs.abs())


@pytest.mark.slow
@pytest.mark.parametrize("spec", [TINY, {"name": "short_cnn", "n_mels": 16}], ids=lambda spec: spec["name"])
def test_onnx_answers_as_the_model(spec, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    method = "lora" if spec is TINY else "probe"
    made = adapter(tmp_path / "a.adapter", "key", method, spec=spec)
    told = CliRunner().invoke(group, ["export", str(made), "--onnx", str(tmp_path / "a.onnx")], catch_exceptions=False)
    assert "MB, segments of" in told.stdout, told.output
    model = load_adapter(made)
    rate = model.backbone.sample_rate_hz
    session = runtime.InferenceSession(tmp_path / "a.onnx")
    n = session.get_inputs()[0].shape[1]
    assert n == answer_grid(model, 1.0).length_samples
    wave = audio.read(load_dataset("demo").excerpt().path, rate, 3.0, n / rate)[None]
    (found,) = session.run(["key"], {"waveform": wave})
    with torch.no_grad():
        wanted = model.tasks["key"].probabilities(model.predict(torch.from_numpy(wave))["key"])
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_onnx_without_its_packages_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    made = adapter(tmp_path / "a.adapter", "key")
    with pytest.raises(ImportError, match=r"pip install 'sordino\[onnx\]'"):
        export_onnx(made, tmp_path / "a.onnx")
