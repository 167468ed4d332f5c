"""Prediction: any file, any length, in bounded memory; blocks, batches and other adapters do not change an answer."""

import json
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
import torch

import sordino
from sordino import audio
from sordino.adapter_file import load_adapter
from sordino.backbones import load_backbone
from sordino.inference.passes import Line
from sordino.inference.predictor import DECODERS, Predictor, predict
from sordino.plain_answers import PlainAnswer
from sordino.segments import Cutter, stream
from sordino.tasks import make_task
from tests.conftest import RATE_HZ, TINY
from tests.known_audio import click_track
from tests.tiny_adapters import adapter


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


class Alive:
    """Counts the samples of waveforms that somebody still holds."""

    def __init__(self):
        self.now, self.most, self._lock = 0, 0, threading.RLock()

    def watch(self, wave):
        """A copy of a waveform, counted until it is gone."""
        wave = wave.copy()
        with self._lock:
            self.now += len(wave)
            self.most = max(self.most, self.now)
        weakref.finalize(wave, self._gone, len(wave))
        return wave

    def _gone(self, n_samples):
        with self._lock:
            self.now -= n_samples


@pytest.mark.parametrize("lengths_s", [(240,), (20,) * 12], ids=["a long file", "many files"])
def test_only_so_much_sound_is_alive(lengths_s, adapters, tmp_path, monkeypatch):
    """A bound that knows neither the length of a file nor how many there are, and holds however the threads run."""
    alive, blocks_at, add = Alive(), audio.blocks_at, Cutter.add
    decoded_s = []

    def blocks(path, rates, block_s):
        for at_rates in blocks_at(path, rates, block_s):
            decoded_s.append(len(at_rates[0]) / RATE_HZ)
            yield [alive.watch(wave) for wave in at_rates]

    monkeypatch.setattr(audio, "blocks_at", blocks)
    monkeypatch.setattr(Cutter, "add", lambda self, block: ((p, alive.watch(wave)) for p, wave in add(self, block)))
    predictor = Predictor([adapters["key"], adapters["beat"]], batch_size=4)
    assert len(predictor.passes) == 2
    paths = [tmp_path / f"{number}.wav" for number in range(len(lengths_s))]
    for path, length_s in zip(paths, lengths_s, strict=True):
        soundfile.write(path, np.zeros(length_s * 8000, np.float32), 8000)
    answers = list(predictor.files(paths, block_s=2.0))
    assert [answer.error for answer in answers] == [None] * len(paths)
    assert sum(decoded_s) == pytest.approx(sum(lengths_s), rel=1e-3)  # each file once for both passes
    n_open = min(DECODERS, len(paths))
    n_segments = n_open * (4 + 2 + 1) + 2 * 4 + 1  # waiting to be taken, held by cutters, in hand; in batches
    assert alive.most <= RATE_HZ * (n_segments * 1.0 + n_open * 2 * 2.0) < 0.6 * RATE_HZ * sum(lengths_s)
    assert alive.now == 0


def test_a_file_is_decoded_once_for_all_backbones(adapters, songs, tmp_path, monkeypatch):
    backbone = {"name": "short_cnn", "n_mels": 16}
    other = adapter(tmp_path / "c.adapter", "tempo", segment_s=0.7, spec=backbone)
    opened = []
    blocks_at = audio.blocks_at
    monkeypatch.setattr(audio, "blocks_at", lambda path, *args: opened.append(path) or blocks_at(path, *args))
    several = [adapters["key"], other, adapters["chord"]]
    together = Predictor(several)
    assert {each.backbone.sample_rate_hz for each in together.passes} == {16_000, RATE_HZ}
    answers = list(together.files(songs))
    assert sorted(opened) == [str(path) for path in songs]
    for folder in several:
        for found, alone in zip(answers, predict(songs, folder), strict=True):
            for task, prediction in alone.answers.items():
                assert found.answers[task].value == prediction.value


def test_files_and_adapters_of_all_kinds_together(songs, tmp_path):
    """Methods, tasks, segment lengths, layers and states read: all adapters on all files as each on each."""
    kinds = [
        ("lora", "key", 1.0, {}), ("lora", "chord", 1.0, {}), ("bitfit", "tempo", 1.0, {}), ("probe", "key", 1.0, {}),
        ("probe", "beat", 0.5, {}), ("prompt", "key", 1.0, {}), ("finetune", "tempo", 1.0, {"layers": "last"}),
        ("finetune", "key", 1.0, {}), ("side", "tempo", 1.0, {}), ("adapter", "beat", 0.5, {"layers": "1"}),
    ]  # fmt: skip
    folders = [
        adapter(tmp_path / f"{number}.adapter", task, method, segment_s, seed=number, **options)
        for number, (method, task, segment_s, options) in enumerate(kinds)
    ]
    names = [str(number) for number in range(len(kinds))]
    predictor = Predictor(folders, names)
    assert len(predictor.passes) == 3  # clips, frames, frames in shorter segments
    answers = list(predictor.files(songs))
    for number, folder in enumerate(folders):
        task = kinds[number][1]
        for found, path in zip(answers, songs, strict=True):
            (alone,) = predict([path], folder)
            value, expected = found.answers[f"{number}/{task}"].value, alone.answers[task].value
            assert value == (pytest.approx(expected, abs=1e-2) if task == "tempo" else expected)


def test_two_threads_get_their_own_answers(adapters, songs):
    predictor = Predictor([adapters["key"], adapters["beat"], adapters["tempo"]])
    expected = [predictor.file(path).plain() for path in songs]
    with ThreadPoolExecutor(4) as pool:
        for found, one in zip(pool.map(predictor.file, 4 * songs), 4 * expected, strict=True):
            assert found.plain() == one


def test_a_file_that_breaks_off_leaves_nothing_behind(adapters, songs, monkeypatch):
    """Segments of a file that turns out damaged wait in a batch with others, which are answered all the same."""
    blocks_at = audio.blocks_at

    def blocks(path, *args):
        for number, block in enumerate(blocks_at(path, *args)):
            if path == str(songs[2]) and number == 5:
                raise audio.AudioError(f"{path}: damaged")
            yield block

    expected = predict(songs, adapters["key"])
    monkeypatch.setattr(audio, "blocks_at", blocks)
    found = list(Predictor([adapters["key"]], batch_size=64).files(songs, block_s=1.0))
    assert [answer.error for answer in found] == [None, None, f"{songs[2]}: damaged", None]
    for one, other in zip(found, expected, strict=True):
        assert one.error or one.plain() == other.plain()


def test_a_file_too_short_for_a_sample(adapters, songs, tmp_path):
    soundfile.write(tmp_path / "one.wav", np.zeros(1), 96_000)
    found = predict([tmp_path / "one.wav", songs[0]], adapters["key"])
    assert "not one sample at 24000 Hz" in str(found[0].error)
    assert found[1].error is None


def test_who_stops_asking_leaves_no_thread(adapters, songs):
    answers = Predictor([adapters["key"]], batch_size=1).files(songs * 3)
    next(answers)
    answers.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_a_finetuned_adapter_predicts_with_its_own_weights(songs, tmp_path):
    folder = adapter(tmp_path / "f.adapter", "key", "finetune")
    model = load_adapter(folder)
    assert model.backbone.fingerprint() != load_backbone(**TINY).fingerprint()
    assert predict([songs[0]], folder)[0].error is None


def test_what_is_loaded_answers_files_arrays_tensors_and_lists_of_them(adapters, songs):
    hear = sordino.load(adapters["key"], adapters["tempo"])
    wave, rate = soundfile.read(songs[1], dtype="float32")
    unsigned = (32768 + wave * 32767).astype(np.uint16)
    asked = [wave.T, torch.from_numpy(wave), (wave * 32767).astype(np.int16), unsigned, str(songs[1])]
    told = [hear(sound, rate) for sound in asked]
    for answer in told:
        assert answer["key"].value == told[-1]["key"].value
        assert answer["tempo"].value == pytest.approx(told[-1]["tempo"].value, rel=0.02)
        assert answer.duration_s == pytest.approx(3.3, abs=0.01)
    several = hear([songs[0], "missing.wav", wave], rate)
    assert [each.error is None for each in several] == [True, False, True]
    assert several[2]["key"].value == told[0]["key"].value
    with pytest.raises(ValueError, match="ask for key, tempo"):
        _ = told[0].value
    assert sordino.load(adapters["key"])(songs[0]).value == several[0]["key"].value


@pytest.mark.parametrize(
    ("sound", "message"),
    [("missing.wav", "no such file"), (np.zeros(0), "without a sample"), (np.zeros((2, 2, 2)), "not of shape"),
     (np.full(9, np.nan), "not numbers")],
)  # fmt: skip
def test_what_is_loaded_refuses_what_is_no_sound(sound, message, adapters):
    with pytest.raises(ValueError, match=message):
        sordino.load(adapters["key"])(sound, 8000)


def test_samples_want_a_rate(adapters):
    with pytest.raises(ValueError, match="sample_rate_hz"):
        sordino.load(adapters["key"])(np.zeros(9))


def test_threads_that_share_what_is_loaded_get_what_they_would_alone(adapters, songs):
    hear = sordino.load(*adapters.values())
    alone = [hear(path).plain() for path in songs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(hear, songs * 3))
    assert [answer.plain() for answer in together] == alone * 3


def test_plain_estimators_answer_beside_adapters_and_long_recordings_in_windows(adapters, tmp_path, monkeypatch):
    first, label = click_track(100, 4, 20, rate_hz=RATE_HZ)
    wave = np.concatenate([first, click_track(100, 4, 20, first_s=20.25 % 0.6, rate_hz=RATE_HZ)[0]])
    soundfile.write(tmp_path / "clicks.wav", wave, RATE_HZ)
    plain = {"tempo": make_task("tempo"), "beat": make_task("beat")}
    predictor = Predictor([adapters["key"]], plain=plain)
    whole = predictor.file(tmp_path / "clicks.wav", block_s=1.7)
    assert list(whole.answers) == ["key", "tempo", "beat"] == list(predictor.tasks)
    assert whole["tempo"].details["by"] == "onset autocorrelation"
    monkeypatch.setattr(PlainAnswer.__init__, "__defaults__", (20.0,))
    parted = predictor.file(tmp_path / "clicks.wav", block_s=1.7)
    assert parted["tempo"].value == pytest.approx(100, rel=0.02) == pytest.approx(whole["tempo"].value, rel=0.02)
    times = np.array(parted["beat"].value["beats"])
    assert np.abs(times[:, None] - np.array(label["beats"])).min(0).max() < 0.05 and times.max() > 38
    assert (np.diff(times) > 0.2).all()


def test_sound_that_overflows_ends_no_batch(adapters, songs, tmp_path):
    """One adapter's answer is no number, and those of the others are there: the file is told, the next one answered."""
    overflowing = (1e30 * np.random.default_rng(0).standard_normal(RATE_HZ)).astype(np.float32)
    soundfile.write(tmp_path / "huge.wav", overflowing, RATE_HZ, subtype="FLOAT")
    plain = {name: make_task(name) for name in ("tempo", "beat", "chord")}
    predictor = Predictor([adapters["key"]], plain=plain)
    huge, next_one = predictor.files([tmp_path / "huge.wav", songs[0]])
    assert "huge.wav: the model's answer to key is not a number" in str(huge.error) and huge.answers == {}
    assert next_one.error is None and list(next_one.answers) == ["key", "tempo", "beat", "chord"]
    with pytest.raises(ValueError, match="not a number"):
        predictor.waveform(overflowing)
