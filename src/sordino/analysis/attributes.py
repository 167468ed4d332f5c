"""Musical attributes of a recording that need no learning, in three groups: timbre, tone, time.

Conventions: everything is a mean (and where it says so a deviation) over the whole recording. `timbre`: 13
mel-frequency cepstral coefficients and their deviations, spectral centroid, spread and roll-off in octaves. `tone`:
mean chroma, and how well each of 24 key profiles fits it. `time`: strength of onsets, their deviation, and how well
each of 24 tempi from 50 to 210 BPM explains them (without a preference for any).

Paper: Davis and Mermelstein, Comparison of Parametric Representations for Monosyllabic Word Recognition, 1980
    (cepstra); Krumhansl, Cognitive Foundations of Musical Pitch, 1990, chapter 4 (profiles); Peeters, A Large Set of
    Audio Features for Sound Description, 2004 (spectral shape).
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from scipy.fft import dct

from sordino.backbones._mel import mel_filters
from sordino.baselines.chroma_template import MAJOR_PROFILE, MINOR_PROFILE, chroma
from sordino.baselines.onset_autocorrelation import ENVELOPE_HZ, onset_envelope

N_FFT, HOP, N_BANDS, N_COEFFICIENTS = 2048, 512, 40, 13
ROLL_OFF = 0.85
TEMPI_BPM = np.geomspace(50, 210, 24)
LEAST = 1e-10


def attributes(waveform: Float[np.ndarray, " time"], sample_rate_hz: int) -> dict[str, dict[str, np.ndarray]]:
    """By group and name, each a vector."""
    return {
        "timbre": timbre(waveform, sample_rate_hz),
        "tone": tone(waveform, sample_rate_hz),
        "time": time(waveform, sample_rate_hz),
    }


def timbre(waveform: Float[np.ndarray, " time"], sample_rate_hz: int) -> dict[str, np.ndarray]:
    """Cepstra and the shape of the spectrum."""
    x = torch.from_numpy(np.pad(waveform, (0, max(0, N_FFT - len(waveform)))))
    power = torch.stft(x, N_FFT, HOP, window=torch.hann_window(N_FFT), return_complex=True).abs().square().T.numpy()
    bands = power @ mel_filters(sample_rate_hz, N_FFT, N_BANDS).numpy()
    cepstra = np.asarray(dct(np.log(np.maximum(bands, LEAST)), norm="ortho"))[:, :N_COEFFICIENTS]
    octaves = np.log2(np.maximum(np.fft.rfftfreq(N_FFT, 1 / sample_rate_hz), sample_rate_hz / N_FFT) / 1000)
    share = power / np.maximum(power.sum(1, keepdims=True), LEAST)
    loud = power.sum(1) > 1e-4 * power.sum(1).max()  # silence has no shape
    centroid = share[loud] @ octaves
    spread = np.sqrt(np.maximum(share[loud] @ octaves**2 - centroid**2, 0))
    roll_off = octaves[np.minimum((np.cumsum(share[loud], 1) < ROLL_OFF).sum(1), len(octaves) - 1)]
    shape = np.array([each.mean() if len(each) else 0.0 for each in (centroid, spread, roll_off)])
    return {"cepstra": np.concatenate([cepstra.mean(0), cepstra.std(0)]), "shape": shape}


def tone(waveform: Float[np.ndarray, " time"], sample_rate_hz: int) -> dict[str, np.ndarray]:
    """Chroma and the fit of key profiles."""
    mean = np.square(chroma(waveform, sample_rate_hz)).mean(0)
    profiles = np.stack([np.roll(own, tonic) for own in (MAJOR_PROFILE, MINOR_PROFILE) for tonic in range(12)])
    centred = profiles - profiles.mean(1, keepdims=True)
    own = mean - mean.mean()
    scale = np.linalg.norm(centred, axis=1) * max(float(np.linalg.norm(own)), LEAST)
    return {"chroma": mean / max(float(mean.sum()), LEAST), "keys": centred @ own / scale}


def time(waveform: Float[np.ndarray, " time"], sample_rate_hz: int) -> dict[str, np.ndarray]:
    """Onsets and the fit of tempi."""
    envelope = onset_envelope(waveform, sample_rate_hz)
    own = envelope - envelope.mean()
    spectrum = np.fft.rfft(own, 2 * len(own))
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[: len(own)]
    correlation = correlation / max(float(correlation[0]), LEAST)
    lags = 60 * ENVELOPE_HZ / TEMPI_BPM
    tempi = np.interp(lags, np.arange(len(correlation)), correlation, right=0.0)
    return {"onsets": np.array([envelope.mean(), envelope.std()]), "tempi": tempi}
