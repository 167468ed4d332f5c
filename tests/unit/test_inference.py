"""Prediction: any file, any length, in bounded memory; blocks, batches and other adapters do not change an answer."""

import json

import numpy as np
import pytest
import soundfile
import torch

from sordino import audio
from sordino.adapter_file import load_adapter, save_adapter
from sordino.backbones import load_backbone
from sordino.inference import Line, Predictor, predict
from sordino.model import Model
from sordino.petl import make_method
from sordino.segments import stream
from sordino.tasks import make_task
from tests.conftest import RATE_HZ, TINY


def adapter(folder, task: str, method: str = "lora", segment_s: float = 1.0):
    """An adapter with random trained tensors."""
    backbone = load_backbone(**TINY)
    model = Model(backbone, [make_task(task)], [make_method(method)], {"hidden": 0}, seed=3)
    with torch.no_grad():
        for value in model.trained().values():
            value += 0.1 * torch.randn(value.shape, generator=torch.Generator().manual_seed(0))
    return save_adapter(model, folder, TINY, backbone.fingerprint(), segment_s)


@pytest.fixture(scope="module")
def adapters(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapters")
    return {task: adapter(folder / f"{task}.adapter", task) for task in ("key", "tempo", "beat", "chord")}


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """Noise of several lengths, rates, channels and formats."""
    folder, generator = tmp_path_factory.mktemp("songs"), np.random.default_rng(0)
    made = []
    for number, (seconds, rate, channels, suffix) in enumerate(
        [(0.5, 24_000, 1, "wav"), (3.3, 44_100, 2, "flac"), (7.25, 22_050, 1, "ogg"), (2.0, 48_000, 2, "mp3")]
    ):
        path = folder / f"{number}.{suffix}"
        soundfile.write(path, 0.1 * generator.standard_normal((int(seconds * rate), channels)), rate)
        made.append(path)
    return made


@pytest.mark.parametrize("task", ["key", "tempo", "beat", "chord"])
def test_a_chunked_file_equals_the_whole(task, adapters, songs):
    predictor = Predictor([adapters[task]])
    for path in songs:
        (only,) = predictor.passes

        def probabilities(blocks, only=only, predictor=predictor):
            line = Line(only, predictor.compute, predictor.batch_size)
            found = [found for piece, wave in stream(blocks, only.grid) for found in line.add((0, piece), wave)]
            ((_, joined),) = [*found, *line.flush()]
            return joined[task]

        whole = probabilities([audio.read(path, RATE_HZ)])
        np.testing.assert_allclose(probabilities(audio.blocks(path, RATE_HZ, 0.7)), whole, atol=1e-4)


def test_adapters_together_answer_as_alone(adapters, songs):
    together = Predictor(list(adapters.values())).file(songs[1]).answers
    for task, folder in adapters.items():
        assert predict([songs[1]], folder)[0].answers[task].value == together[task].value


def test_the_frontend_runs_once_for_all_adapters(adapters, songs, monkeypatch):
    predictor = Predictor([adapters["key"], adapters["tempo"]])
    (only,) = predictor.passes
    calls = []
    backbone = only.backbone
    assert {id(p) for p in only.models[1][1].backbone.parameters()} == {id(p) for p in backbone.parameters()}
    frontend = backbone.frontend
    monkeypatch.setattr(backbone, "frontend", lambda *args: calls.append(1) or frontend(*args))
    predictor.file(songs[0])
    assert len(calls) == 1


def test_a_waveform_is_answered_as_its_file(adapters, tmp_path):
    wave = (0.1 * np.random.default_rng(1).standard_normal(2 * RATE_HZ)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", wave, RATE_HZ, subtype="FLOAT")
    predictor = Predictor([adapters["key"]])
    assert predictor.waveform(wave)["key"].value == predictor.file(tmp_path / "a.wav").answers["key"].value


def test_the_batch_does_not_change_an_answer(adapters, songs):
    path = songs[2]
    one, many = (Predictor([adapters["tempo"]], batch_size=size).file(path) for size in (1, 8))
    assert one.answers["tempo"].value == pytest.approx(many.answers["tempo"].value, abs=1e-2)


def test_bad_files_are_told_and_the_others_answered(adapters, songs, tmp_path):
    (tmp_path / "empty.wav").touch()
    (tmp_path / "no.mp3").write_text("this is text")
    whole = songs[0].read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[: len(whole) // 3])
    bad = [tmp_path / name for name in ("missing.wav", "empty.wav", "no.mp3", "cut.wav")]
    found = predict([bad[0], songs[0], *bad[1:], songs[1]], adapters["key"])
    assert [answer.error is None for answer in found] == [False, True, False, False, False, True]
    for answer in found:
        plain = json.loads(json.dumps(answer.plain()))
        assert ("error" in plain) != ("key" in plain)
        assert "\n" not in plain.get("error", "")


def test_two_adapters_of_one_task_need_names(adapters, songs, tmp_path):
    other = adapter(tmp_path / "other.adapter", "key", "probe")
    with pytest.raises(ValueError, match="two adapters answer key"):
        Predictor([adapters["key"], other])
    answers = Predictor([adapters["key"], other], names=["a", "b"]).file(songs[0]).answers
    assert set(answers) == {"a/key", "b/key"}


def test_memory_does_not_grow_with_the_file(adapters, tmp_path):
    """Ten times the length, the same number of samples alive at once."""
    grid = Predictor([adapters["key"]]).passes[0].grid
    for seconds in (20, 200):
        path = tmp_path / f"{seconds}.wav"
        soundfile.write(path, np.zeros(seconds * 8000, np.float32), 8000)
        longest = max(len(wave.base if wave.base is not None else wave)
                      for _, wave in stream(audio.blocks(path, RATE_HZ, 5.0), grid))  # fmt: skip
        assert longest <= grid.length_samples + 2 * 5 * RATE_HZ


def test_a_finetuned_adapter_predicts_with_its_own_weights(songs, tmp_path):
    folder = adapter(tmp_path / "f.adapter", "key", "finetune")
    model = load_adapter(folder)
    assert model.backbone.fingerprint() != load_backbone(**TINY).fingerprint()
    assert predict([songs[0]], folder)[0].error is None
