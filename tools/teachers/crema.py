"""crema: what chord sounds, about 11 times a second.

Paper: McFee and Bello, Structured Training for Large-Vocabulary Chord Recognition, ISMIR 2017
https://brianmcfee.net/papers/ismir2017_chord.pdf
Weights: `crema/models/chord/model.h5` of the wheel crema 0.2.0 (ISC in its metadata, BSD-2-Clause in its licence file).
Differs: one constant-Q transform of seven octaves at 22.05 kHz instead of two of six at 44.1 kHz, which gives the same.
Conventions: frame i is centred at i * 2048 / 22050 s; pitch class 0 is C, and 12 of root and bass is none.
"""

import zipfile
from io import BytesIO
from pathlib import Path

import librosa
import numpy as np

SAMPLE_RATE_HZ, HOP = 22_050, 2048
LOWEST_HZ, BINS_PER_OCTAVE, N_BINS = 32.70319566257483, 36, 216
WEIGHTS = "crema/models/chord/model.h5"
EPSILON = 0.001  # of the batch normalisations
PITCHES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
QUALITIES = (
    "7",
    "aug",
    "dim",
    "dim7",
    "hdim7",
    "maj",
    "maj6",
    "maj7",
    "min",
    "min6",
    "min7",
    "minmaj7",
    "sus2",
    "sus4",
)
CHORDS = (*sorted(f"{pitch}:{quality}" for pitch in PITCHES for quality in QUALITIES), "N", "X")


def features(waveform):
    """Decibels below the loudest, at the pitches and at their octaves, [frame 216 2]."""
    magnitude = np.abs(
        librosa.cqt(np.asarray(waveform, np.float32), sr=SAMPLE_RATE_HZ, hop_length=HOP, fmin=LOWEST_HZ,
                    n_bins=N_BINS + BINS_PER_OCTAVE, bins_per_octave=BINS_PER_OCTAVE)
    ).T  # fmt: skip
    magnitude = magnitude[: max(1, len(waveform) // HOP)]
    octaves = (magnitude[:, :N_BINS], magnitude[:, BINS_PER_OCTAVE:])
    return np.stack([librosa.amplitude_to_db(x, ref=np.max) for x in octaves], axis=-1).astype(np.float32)


class Crema:
    """The chord network in NumPy.

    Args:
        wheel: the wheel's file.
    """

    name = "crema"
    licence = "ISC / BSD-2-Clause"
    sample_rate_hz = SAMPLE_RATE_HZ
    frame_rate_hz = SAMPLE_RATE_HZ / HOP
    weights = WEIGHTS
    columns = {"chord": CHORDS, "root": (*PITCHES, "none"), "bass": (*PITCHES, "none"), "pitch": PITCHES}

    def __init__(self, wheel):
        import h5py

        content = BytesIO(zipfile.ZipFile(Path(wheel)).read(WEIGHTS))
        with h5py.File(content) as file:
            self.tensors = read_tensors(file["model_weights"])

    def answer(self, waveform):
        """Probabilities [frame ...]: `chord` of `CHORDS`, `root` and `bass` (13), `pitch` (12, each by itself)."""
        return self.network(features(waveform))

    def network(self, x):
        """The same from features."""
        x = self._normalise(x, "batch_normalization_1")
        x = self._normalise(np.maximum(self._convolve(x), 0), "batch_normalization_2")
        x = x @ self.tensors["conv2d_2/kernel"][0, :, 0] + self.tensors["conv2d_2/bias"]
        x = self._normalise(np.maximum(x, 0), "batch_normalization_3")
        x = self._normalise(self._both_ways(x, 1), "batch_normalization_4")
        x = self._both_ways(x, 2)
        pitch = 1 / (1 + np.exp(-self._dense(x, "chord_pitch")))
        root, bass = (softmax(self._dense(x, name)) for name in ("chord_root", "chord_bass"))
        everything = self._normalise(np.concatenate([x, pitch, root, bass], 1), "batch_normalization_5")
        return {"chord": softmax(self._dense(everything, "chord_tag")), "root": root, "bass": bass, "pitch": pitch}

    def _normalise(self, x, name):
        mean, variance, scale, shift = (
            self.tensors[f"{name}/{part}"] for part in ("moving_mean", "moving_variance", "gamma", "beta")
        )
        factor = scale / np.sqrt(variance + EPSILON)
        return x * factor + (shift - mean * factor)

    def _convolve(self, x):
        """5 x 5 over [frame bin 2], the size stays: [frame bin]."""
        kernel, n_frames, n_bins = self.tensors["conv2d_1/kernel"], *x.shape[:2]
        padded = np.pad(x, ((2, 2), (2, 2), (0, 0)))
        taps = (
            padded[i : i + n_frames, j : j + n_bins] @ kernel[i, j, :, 0]
            for i in range(kernel.shape[0])
            for j in range(kernel.shape[1])
        )
        return sum(taps) + self.tensors["conv2d_1/bias"]

    def _both_ways(self, x, number):
        """A recurrent layer forwards beside one backwards, [frame 256]."""
        outputs = []
        for way, sequence in (("forward", x), ("backward", x[::-1])):
            place = f"bidirectional_{number}/{way}_gru_{number}"
            parts = (self.tensors[f"{place}/{part}"] for part in ("kernel", "recurrent_kernel", "bias"))
            outputs.append(gru(np.ascontiguousarray(sequence), *parts))
        return np.concatenate([outputs[0], outputs[1][::-1]], axis=1)

    def _dense(self, x, name):
        return x @ self.tensors[f"{name}/kernel"] + self.tensors[f"{name}/bias"]


def gru(x, kernel, recurrent, bias):
    """Keras' old GRU: the reset gate before the product, piecewise linear gates; [frame unit]."""
    width = len(recurrent)
    given = x @ kernel + bias
    gates, candidate = np.ascontiguousarray(recurrent[:, : 2 * width]), np.ascontiguousarray(recurrent[:, 2 * width :])
    state, states = np.zeros(width, np.float32), np.empty((len(x), width), np.float32)
    for t, row in enumerate(given):
        update_reset = np.clip(0.2 * (row[: 2 * width] + state @ gates) + 0.5, 0, 1)
        update, reset = update_reset[:width], update_reset[width:]
        state = update * state + (1 - update) * np.tanh(row[2 * width :] + (reset * state) @ candidate)
        states[t] = state
    return states


def softmax(x):
    """Over the last axis."""
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def read_tensors(group):
    """All arrays of an h5 group: `layer/part`, each layer's name once and without the suffix `:0`."""
    found = {}

    def visit(name, node):
        if hasattr(node, "shape"):
            found[name.split("/", 1)[1].removesuffix(":0")] = node[...]

    group.visititems(visit)
    return found
