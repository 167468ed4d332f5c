"""Who answers in `real_music.py`: plain estimators, librosa, madmom, and probes on learned states.

An ear has a `name`, a `mark` that changes with whatever it answers from, a `note` for the reader, and is called with a
sound file; it returns what it heard, by task: `key`, `tempo` (BPM), `beat` (a label of the task).
"""

import hashlib
import importlib
import sys
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from sordino import audio, load_backbone, make_task
from sordino.baselines.chroma_template import MAJOR_PROFILE, MINOR_PROFILE, NAMES
from sordino.config import Config, Training
from sordino.inference import Predictor
from sordino.registry import names
from sordino.training.run import train

RATE_HZ = 22_050
TOGETHER = (("key", "tempo"), ("beat",))  # which tasks share a probe
RATES = (1e-3, 5e-3, 3e-2)
PROBE = {"steps": 1600, "batch_size": 8, "validate_every": 160, "precision": "float32", "cache": "float16"}
HEARD = "the 200,000 songs it was trained on may include some of these famous ones"


class Absent(Exception):
    """An ear cannot be had here; says why."""


class Plain:
    """The package's estimators without learning: chroma template, onset autocorrelation, beats on onsets."""

    name, mark, note = "plain estimators", "1", ""

    def __init__(self):
        self.tasks = {name: make_task(name) for name in ("key", "tempo", "beat")}

    def hear(self, path):
        wave = audio.read(path, 24_000)
        return {name: task.plain_baseline(wave, 24_000).value for name, task in self.tasks.items()}


class Librosa:
    """librosa's chroma with the same key profiles, its tempo (which prefers 120 BPM) and its beats."""

    name, note = "librosa", "its tempo prefers 120 BPM"

    def __init__(self):
        self.librosa = imported("librosa")
        self.mark = self.librosa.__version__

    def hear(self, path):
        wave = audio.read(path, RATE_HZ)
        chroma = self.librosa.feature.chroma_cqt(y=wave, sr=RATE_HZ).mean(1)
        profiles = [np.roll(profile, tonic) for profile in (MAJOR_PROFILE, MINOR_PROFILE) for tonic in range(12)]
        best = int(np.argmax([np.corrcoef(chroma, profile)[0, 1] for profile in profiles]))
        tempo, beats = self.librosa.beat.beat_track(y=wave, sr=RATE_HZ, units="time")
        return {
            "key": f"{NAMES[best % 12]} {'major' if best < 12 else 'minor'}",
            "tempo": float(np.atleast_1d(tempo)[0]),
            "beat": {"beats": [float(t) for t in beats], "downbeats": None},
        }


class Madmom:
    """madmom's key network, beat network with its dynamic Bayesian network, and tempo by comb filters."""

    name, note = "madmom", "models for non-commercial use"

    def __init__(self):
        self.mark = imported("madmom").__version__
        features = importlib.import_module("madmom.features")
        self.key = features.key.CNNKeyRecognitionProcessor()
        self.key_name = features.key.key_prediction_to_label
        self.activation = features.downbeats.RNNDownBeatProcessor()
        self.bars = features.downbeats.DBNDownBeatTrackingProcessor(beats_per_bar=[3, 4], fps=100)
        self.beats = features.beats.RNNBeatProcessor()
        self.tempo = features.tempo.TempoEstimationProcessor(fps=100)

    def hear(self, path):
        wave = audio.read(path, 44_100)
        signal = importlib.import_module("madmom.audio.signal").Signal(wave, sample_rate=44_100)
        rows = self.bars(self.activation(signal))
        return {
            "key": self.key_name(self.key(signal)),
            "tempo": float(self.tempo(self.beats(signal))[0][0]),
            "beat": {"beats": rows[:, 0].tolist(), "downbeats": rows[rows[:, 1] == 1, 0].tolist()},
        }


class Teachers:
    """BeatNet's beats and the key of crema's chords, as `tools/label_corpus.py` takes them from the teachers' wheels.

    Args:
        wheels: the folder with the wheels.
    """

    name, note = "BeatNet, crema", "the teachers of beats and chords; beats by the package's tracker"

    def __init__(self, wheels):
        sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
        self.labels = imported("agree_labels")
        found = [importlib.import_module("label_corpus").find_wheel(wheels, name) for name in ("beatnet", "crema")]
        self.beats, self.chords = self.labels.BeatNet(found[0]), self.labels.Crema(found[1])
        self.mark = hashlib.sha256(b"".join(wheel.read_bytes() for wheel in found)).hexdigest()[:16]

    def hear(self, path):
        wave = audio.read(path, RATE_HZ)
        beats, downbeats = self.labels.find_beats(self.beats.answer(wave)["beat"])
        key = self.labels.key_of(self.chords.answer(wave)["pitch"])
        return {"key": self.labels.key_name(key), "beat": {"beats": beats.tolist(), "downbeats": downbeats.tolist()}}


class Adapters:
    """Adapters that were trained on something else.

    Args:
        name: of the row.
        folders: the adapters, of different tasks.
        note: for the reader.
    """

    def __init__(self, name, folders, note=""):
        self.name, self.note = name, note
        self.predictor = Predictor(folders)
        content = b"".join(file.read_bytes() for folder in folders for file in sorted(Path(folder).glob("adapter.*")))
        self.mark = hashlib.sha256(content).hexdigest()[:16]

    def hear(self, path):
        found = self.predictor.file(path)
        if found.error:
            raise ValueError(found.error)
        return {task: prediction.value for task, prediction in found.answers.items()}


class States:
    """A backbone whose states are read: for genre directly, for the rest through probes trained on other music.

    Args:
        name: of the row.
        spec: of the backbone, as in a config.
        note: for the reader.
    """

    def __init__(self, name, spec, note=""):
        self.name, self.spec, self.note = name, spec, note
        try:
            self.backbone = load_backbone(**spec)
        except FileNotFoundError as error:
            raise Absent(str(error)) from error
        self.mark = self.backbone.fingerprint()

    def probes(self, data, root, out, layers):
        """An ear: for key and tempo, and for beats, the probe that does best on the validation tracks of `data`."""
        chosen = []
        for tasks in TOGETHER:
            runs = [train(self._config(data, root, tasks, lr, read), out, backbone=self.backbone)
                    for lr in RATES for read in layers]  # fmt: skip
            chosen.append(max(runs, key=lambda run: run.result["best_validation"]).adapter)
        return Adapters(self.name, chosen, self.note)

    def _config(self, data, root, tasks, lr, layers):
        training = Training(**PROBE, lr=lr)
        return Config(data, root, list(tasks), self.spec, "probe", {"hidden": 0, "layers": layers}, training)

    @torch.inference_mode()
    def describe(self, path):
        """Mean and deviation over time of every hidden state, [state 2 * dim]."""
        wave = torch.from_numpy(audio.read(path, self.backbone.sample_rate_hz))[None]
        return np.stack([torch.cat([x[0].mean(0), x[0].std(0)]).numpy() for x in self.backbone(wave)])


class MeanMel:
    """What stands beside learned states for genre: mean and deviation of mini's mel view."""

    name, mark, note = "mel", "1", ""

    @cached_property
    def views(self):
        from sordino.backbones._mini_frontend import MiniFrontend

        return MiniFrontend()

    @torch.inference_mode()
    def describe(self, path):
        from sordino.backbones._mini_frontend import MEL_STACK, SAMPLE_RATE_HZ, VIEWS

        views = self.views(torch.from_numpy(audio.read(path, SAMPLE_RATE_HZ))[None])[0]
        mel = views[:, VIEWS["mel"]].unflatten(-1, (MEL_STACK, -1)).flatten(0, 1)
        return torch.cat([mel.mean(0), mel.std(0)]).numpy()[None]


def imported(name):
    """A library that need not be there."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Absent(f"{name} cannot be imported: {error}") from error


def learned(weights, n_random):
    """Backbones that can stand in the table, by the name of their row (several for the random ones).

    Args:
        weights: `builtin`, or files of mini as `NAME=PATH` or `PATH`.
        n_random: how many random networks.
    """
    rows = {}
    for text in weights:
        name, _, place = text.rpartition("=")
        named = "mini" if text == "builtin" else f"mini {name or Path(place).stem}"
        rows[named] = ({"name": "mini"} if text == "builtin" else {"name": "mini", "weights": place},)
    rows["random weights"] = tuple({"name": "mini", "weights": f"random:{seed}"} for seed in range(n_random))
    rows["musicnn"] = ({"name": "musicnn"},) if "musicnn" in names("backbone") else ()
    return {row: specs for row, specs in rows.items() if specs}


def settings():
    """What the probes are trained with, for the record."""
    return {"rates": RATES, "training": asdict(Training(**PROBE)), "together": TOGETHER}
