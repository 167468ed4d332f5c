"""Files that are none, and names that are odd: each is one line, and the others are answered."""

import csv
import json
import os
import subprocess
import sys

import pytest

from sordino import audio
from sordino.config import load_config
from sordino.inference import Predictor
from sordino.known_files import look
from sordino.training.adapter_scores import evaluate_adapter
from sordino.training.run import train
from tests.conftest import TINY
from tests.faults.bad_audio import RAW_NAMES, bad_files, good, odd_names


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    return bad_files(tmp_path_factory.mktemp("bad"))


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    return odd_names(tmp_path_factory.mktemp("odd"))


@pytest.fixture(scope="module")
def adapter(triads, tmp_path_factory):
    return train(config(triads), tmp_path_factory.mktemp("runs")).adapter


def config(data, **values):
    training = {"steps": 2, "batch_size": 4, "segment_s": 0.5, "precision": "float32", **values.pop("training", {})}
    return load_config(None, (), data=str(data), task="key", backbone=TINY, method="probe", training=training,
                       head={"hidden": 0}, **values)  # fmt: skip


def test_there_are_a_hundred_kinds(bad, odd):
    assert len(bad) + len(odd) >= 100


def test_predict_says_why_and_answers_the_others(bad, odd, adapter):
    answers = list(Predictor([adapter]).files([*bad, *odd]))
    assert [answer.path for answer in answers] == list(map(str, [*bad, *odd]))
    for answer in answers[: len(bad)]:
        assert answer.error and answer.path in answer.error and "\n" not in answer.error.replace(answer.path, ""), (
            answer
        )
        assert len(answer.error) <= 300 + len(answer.path) and not answer.answers
    assert all(answer.error is None and answer.answers for answer in answers[len(bad) :])


def test_looking_says_why(bad, odd):
    found = look([*bad, *odd])
    unreadable = {path for path, what in found.items() if isinstance(what, audio.AudioError)}
    assert unreadable <= set(map(str, bad)) and len(unreadable) > 0.8 * len(bad)  # damage in the middle shows later


def test_the_command_line_prints_every_name(odd, adapter, tmp_path):
    names = [os.fsencode(path) for path in odd]
    for form in ("--json", "--csv"):
        words = [
            sys.executable,
            "-m",
            "sordino",
            "predict",
            "--adapter",
            adapter,
            form,
            "--jams",
            tmp_path / "jams",
            "--",
        ]
        told = subprocess.run([*words, *names], capture_output=True, check=False)
        assert told.returncode == 0, told.stderr[-2000:]
        assert b"Traceback" not in told.stderr
        if form == "--json":
            rows = [json.loads(line) for line in told.stdout.decode().splitlines()]
            assert [os.fsencode(row["path"]) for row in rows] == names
    assert len(list((tmp_path / "jams").iterdir())) == len(odd)


def table(folder, paths, name="labels.csv"):
    """A table with a key for every file; every fifth is tested."""
    with (folder / name).open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "key", "split"])
        for number, path in enumerate(paths):
            split = "test" if number % 5 == 2 else "validation" if number % 5 == 3 else "train"
            writer.writerow([path, "CDEFGAB"[number % 7] + " major", split])
    return folder / name


def test_train_and_evaluate_go_on_with_the_others(bad, tmp_path, adapter):
    healthy = [tmp_path / f"{number}.wav" for number in range(20)]
    for number, path in enumerate(healthy):
        good(path, 0.6 + 0.05 * number)
    named = [path for path in bad if "\0" not in str(path)]
    data = table(tmp_path, [*named, *healthy])
    for cache in ("float32", "off"):
        run = train(config(data, most_broken=0.95, training={"cache": cache}), tmp_path / "runs")
        assert len(run.result["broken"]) == len(named), set(map(str, named)) - {
            x.partition(": ")[0] for x in run.result["broken"]
        }
        assert sum(run.result["protocol"]["tracks"].values()) == len(healthy)
    scored = evaluate_adapter(adapter, data, split="all", most_broken=0.95)
    assert scored["key"]["n_tracks"] == len(healthy)


def test_a_folder_of_names_that_are_not_utf8(tmp_path):
    data = good(tmp_path / "x.wav")
    (tmp_path / "x.wav").unlink()
    for number, split in enumerate(("train", "validation", "test")):
        for mode in (b"major", b"minor"):
            folder = os.path.join(os.fsencode(tmp_path), b"music", split.encode(), mode + b" \xe9")  # noqa: PTH118
            os.makedirs(folder)  # noqa: PTH103
            with open(os.path.join(folder, RAW_NAMES[number]), "wb") as file:  # noqa: PTH118, PTH123
                file.write(data + bytes(2 * number))
    words = [sys.executable, "-m", "sordino"]
    told = subprocess.run([*words, "prepare", tmp_path / "music"], capture_output=True, check=False)
    assert told.returncode in (0, 1) and b"Traceback" not in told.stderr and b"6 tracks" in told.stdout, told
    settings = ["--task", "classification", "task.label=label", "training.steps=2", "--out", tmp_path / "runs"]
    told = subprocess.run([*words, "train", tmp_path / "music", *settings], capture_output=True, check=False)
    assert b"Traceback" not in told.stderr, told.stderr[-3000:]


def test_a_file_that_may_not_be_read(tmp_path, adapter, monkeypatch):
    """As root everything may be read, so the refusal of the system is injected."""
    from pathlib import Path

    good(tmp_path / "a.wav"), good(tmp_path / "b.wav")
    stat = Path.stat

    def refused(self, **named):
        if self.name == "a.wav":
            raise PermissionError(13, "Permission denied", str(self))
        return stat(self, **named)

    monkeypatch.setattr(Path, "stat", refused)
    first, second = Predictor([adapter]).files([tmp_path / "a.wav", tmp_path / "b.wav"])
    assert first.error == f"{tmp_path / 'a.wav'}: cannot be read (Permission denied)" and second.answers
    found = look([tmp_path / "a.wav"])
    assert "Permission denied" in str(found[str(tmp_path / "a.wav")])


@pytest.mark.parametrize("n_samples", [1, 2, 10])
def test_a_clip_of_a_few_samples(n_samples, tmp_path, adapter):
    import numpy as np
    import soundfile

    path = tmp_path / "short.wav"
    for rate_hz in (24_000, 192_000):
        soundfile.write(path, np.full(n_samples, 0.1), rate_hz)
        (answer,) = Predictor([adapter]).files([path])
        assert answer.answers or (answer.error and "too short" in answer.error)


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    from sordino.datasets import load_dataset

    for name in ("rock/a.wav", "jazz/b.wav", "closed/c.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        good(tmp_path / name)
    scandir = os.scandir

    def refused(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    dataset = load_dataset(tmp_path)
    assert len(dataset.tracks()) == 2
    assert dataset.refused == (f"{tmp_path / 'closed'}: the folder cannot be read (Permission denied)",)
