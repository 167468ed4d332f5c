"""BeatNet: the probability of a beat and of a downbeat, 50 times a second.

Paper: Heydari, Cwitkowitz and Duan, BeatNet: CRNN and Particle Filtering for Online Joint Beat, Downbeat, and Meter
Tracking, ISMIR 2021 https://arxiv.org/abs/2108.03576 (its features are madmom's logarithmic spectrogram).
Weights: `BeatNet/models/model_1_weights.pt` of the wheel BeatNet (CC BY 4.0), trained without GTZAN.
Conventions: frame i is centred at i / 50 s. The network is causal: it answers what it has heard up to there.
"""

import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

SAMPLE_RATE_HZ, HOP, WINDOW = 22_050, 441, 1411
BANDS_PER_OCTAVE, LOW_HZ, HIGH_HZ, TUNING_HZ = 24, 30.0, 17_000.0, 440.0
WEIGHTS = "BeatNet/models/model_1_weights.pt"
BLOCK_FRAMES = 4096


def filterbank():
    """Triangles at the quarter tones that the spectrum resolves, each of area 1, [bin band]."""
    n_bins = WINDOW // 2  # without the highest, and spaced as if the window were even
    bin_hz = np.arange(n_bins) * SAMPLE_RATE_HZ / (2 * n_bins)
    steps = np.arange(np.floor(np.log2(LOW_HZ / TUNING_HZ) * BANDS_PER_OCTAVE),
                      np.ceil(np.log2(HIGH_HZ / TUNING_HZ) * BANDS_PER_OCTAVE))  # fmt: skip
    centre_hz = TUNING_HZ * 2 ** (steps / BANDS_PER_OCTAVE)
    centre_hz = centre_hz[(centre_hz >= LOW_HZ) & (centre_hz <= HIGH_HZ)]
    centres = np.unique(np.abs(bin_hz[:, None] - centre_hz).argmin(0))
    bank = np.zeros((n_bins, len(centres) - 2), np.float32)
    for band, (start, centre, stop) in enumerate(zip(centres, centres[1:], centres[2:], strict=False)):
        if stop - start < 2:
            centre, stop = start, start + 1
        bank[start:centre, band] = np.linspace(0, 1, centre - start, endpoint=False)
        bank[centre:stop, band] = np.linspace(1, 0, stop - centre, endpoint=False)
    return bank / bank.sum(0)


BANK = filterbank()


def features(waveform):
    """Log filtered spectrum and its rise since the last frame, [frame 272]."""
    n_frames = -(-len(waveform) // HOP)
    padded = np.pad(np.asarray(waveform, np.float32), (WINDOW // 2, WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][:n_frames]
    window = np.hanning(WINDOW).astype(np.float32)
    level = np.concatenate(
        [
            np.log10(1 + np.abs(np.fft.rfft(frames[i : i + BLOCK_FRAMES] * window)[:, : len(BANK)]) @ BANK)
            for i in range(0, n_frames, BLOCK_FRAMES)
        ]
    ).astype(np.float32)
    rise = np.maximum(np.diff(level, axis=0, prepend=level[:1]), 0)
    return np.hstack([level, rise])


class BeatNet(nn.Module):
    """The network; parameters are named as in the published file.

    Args:
        wheel: the wheel's file.
    """

    name = "beatnet"
    licence = "CC BY 4.0"
    sample_rate_hz = SAMPLE_RATE_HZ
    frame_rate_hz = SAMPLE_RATE_HZ / HOP
    weights = WEIGHTS
    columns = {"beat": ("beat", "downbeat")}

    def __init__(self, wheel):
        super().__init__()
        n_features, width = 2 * BANK.shape[1], 150
        self.conv1 = nn.Conv1d(1, 2, 10)
        self.linear0 = nn.Linear(2 * ((n_features - 9) // 2), width)
        self.lstm = nn.LSTM(width, width, 2, batch_first=True)
        self.linear = nn.Linear(width, 3)
        content = zipfile.ZipFile(Path(wheel)).read(WEIGHTS)
        self.load_state_dict(torch.load(BytesIO(content), map_location="cpu", weights_only=True))
        self.eval()

    @torch.inference_mode()
    def forward(self, x):
        """Logits of beat, downbeat and neither, [frame 3], from features [frame feature]."""
        hidden = []
        for block in x.split(BLOCK_FRAMES):
            pooled = functional.max_pool1d(self.conv1(block[:, None]).relu(), 2)
            hidden.append(self.linear0(pooled.flatten(1)))
        return self.linear(self.lstm(torch.cat(hidden)[None])[0][0])

    def answer(self, waveform):
        """`beat` [frame 2]: the probabilities of a beat that is no downbeat, and of a downbeat."""
        return {"beat": self(torch.from_numpy(features(waveform))).softmax(-1)[:, :2].numpy()}
