"""Frozen frontend of `mini`: three views of the waveform, one vector per 40 ms.

- **mel**: log mel energies at 50 Hz, two frames side by side (what sounds, and when).
- **pitch**: whitened spectral peaks on a logarithmic frequency axis, three bins per semitone (which notes).
- **tempogram**: local autocorrelation of the onset strength over eight seconds at logarithmic lags (how
fast).

Nothing here is learned. Every view of a frame depends on a bounded stretch of sound around it, and what
lies outside a clip counts as silence.

Paper: Grosche, Mueller: Extracting predominant local pulse information from music recordings, 2011
(tempogram);
    Gomez: Tonal description of polyphonic audio, 2006 (spectral peaks to pitch classes).
"""

from __future__ import annotations

import math

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sordino.backbones._mel import mel_filters

SAMPLE_RATE_HZ = 24_000
FRAME_SAMPLES = 960  # 25 frames a second
MEL_HOP_SAMPLES = 480  # 50 mel frames a second, MEL_STACK of them in one frame
MEL_STACK = FRAME_SAMPLES // MEL_HOP_SAMPLES
N_MELS = 128
MEL_FFT_SAMPLES = 2048
PITCH_RATE_HZ = SAMPLE_RATE_HZ // 2
PITCH_WINDOW_SAMPLES = 4096  # at PITCH_RATE_HZ, 0.34 s
PITCH_FFT_SAMPLES = 8192
LEVEL_BINS = 32  # width of the steps in which the local spectral level is measured
BINS_PER_SEMITONE = 3
LOWEST_MIDI_PITCH = 36  # C2
N_SEMITONES = 72
N_PITCHES = N_SEMITONES * BINS_PER_SEMITONE
CHROMA_CENTRE_OCTAVES = 2.5  # above the lowest pitch: F#4
N_LAGS = 96
SLOWEST_BPM, FASTEST_BPM = 30.0, 300.0
TEMPOGRAM_WINDOW_S = 8.0

VIEWS = {
    "mel": slice(0, MEL_STACK * N_MELS),
    "pitch": slice(MEL_STACK * N_MELS, MEL_STACK * N_MELS + N_PITCHES),
    "tempogram": slice(MEL_STACK * N_MELS + N_PITCHES, MEL_STACK * N_MELS + N_PITCHES + N_LAGS),
}
N_FEATURES = VIEWS["tempogram"].stop


def lag_bpms() -> Float[Tensor, " lag"]:
    """Tempo in BPM that each of the tempogram's lags stands for, slowest first."""
    return torch.logspace(math.log10(SLOWEST_BPM), math.log10(FASTEST_BPM), N_LAGS)


def fold_chroma(pitch: Float[Tensor, "... pitch"]) -> Float[Tensor, "... 12"]:
    """Sum the pitch view over octaves and over the bins of each semitone; index 0 is C.

    Octaves weigh as a bell around F#4. Peaks of noise are as dense as the spectrum's bins, twice as many in each higher
    octave: with equal weights the highest octave drowns all others (key by template on half of the demo set: .34,
    with the bell .87).
    """
    octaves = torch.arange(N_PITCHES, device=pitch.device) / (12 * BINS_PER_SEMITONE)
    bell = torch.exp(-0.5 * (octaves - CHROMA_CENTRE_OCTAVES) ** 2)
    by_semitone = rearrange(
        pitch * bell,
        "... (octave semitone bin) -> ... octave semitone bin",
        semitone=12,
        bin=BINS_PER_SEMITONE,
    )
    return by_semitone.sum(dim=(-3, -1))


def _pitch_filters() -> Float[Tensor, "bin pitch"]:
    """Share each spectral bin between its two neighbours on the logarithmic axis; row 0 is 0 Hz."""
    top_hz = 440 * 2 ** ((LOWEST_MIDI_PITCH + N_SEMITONES - 69) / 12)
    n_bins = math.ceil(top_hz * PITCH_FFT_SAMPLES / PITCH_RATE_HZ)
    bins_hz = torch.arange(1, n_bins) * PITCH_RATE_HZ / PITCH_FFT_SAMPLES
    midi_pitch = 69 + 12 * torch.log2(bins_hz / 440)
    # The middle one of a semitone's bins lies on the equal-tempered pitch.
    position = (midi_pitch - LOWEST_MIDI_PITCH) * BINS_PER_SEMITONE + BINS_PER_SEMITONE // 2
    weights = (1 - (position[:, None] - torch.arange(N_PITCHES)).abs()).clamp_min(0)
    return torch.cat([torch.zeros(1, N_PITCHES), weights])


def _halving_filter() -> Float[Tensor, " tap"]:
    """Low-pass filter for half the sample rate: flat to 4.2 kHz, 40 dB down where aliases would reach it."""
    taps = torch.arange(32) - 15.5
    return torch.sinc(taps / 2) / 2 * torch.hann_window(34, periodic=False)[1:-1]


class MiniFrontend(nn.Module):
    """Waveform at 24 kHz to features at 25 Hz; see the module's header for what they are.

    Example:
        >>> frontend = MiniFrontend()
        >>> frontend(torch.zeros(1, 24_000)).shape
        torch.Size([1, 25, 568])
    """

    mel_window: Tensor
    mel_filters: Tensor
    halving_filter: Tensor
    pitch_window: Tensor
    pitch_filters: Tensor
    lags_frames: Tensor
    tempogram_window: Tensor

    def __init__(self):
        super().__init__()
        lags_frames = 60.0 / lag_bpms() * SAMPLE_RATE_HZ / MEL_HOP_SAMPLES
        window_frames = round(TEMPOGRAM_WINDOW_S * SAMPLE_RATE_HZ / MEL_HOP_SAMPLES / 2) * 2 + 1
        constants = {
            "mel_window": torch.hann_window(MEL_FFT_SAMPLES),
            "mel_filters": mel_filters(SAMPLE_RATE_HZ, MEL_FFT_SAMPLES, N_MELS),
            "halving_filter": _halving_filter(),
            "pitch_window": torch.hann_window(PITCH_WINDOW_SAMPLES),
            "pitch_filters": _pitch_filters(),
            "lags_frames": lags_frames,
            "tempogram_window": torch.hann_window(window_frames, periodic=False),
        }
        self.farthest_frames = math.ceil(60.0 / SLOWEST_BPM * SAMPLE_RATE_HZ / MEL_HOP_SAMPLES) + 1
        for name, value in constants.items():
            self.register_buffer(name, value, persistent=False)

    @torch.autocast("cpu", enabled=False)
    @torch.autocast("cuda", enabled=False)
    def forward(self, waveform: Float[Tensor, "batch time"]) -> Float[Tensor, "batch frame feature"]:
        """Compute the views of mono clips at 24 kHz, full scale +-1; a frame for every 40 ms begun."""
        # Row by row: the temporaries stay small, which on a processor is twice as fast.
        return torch.cat([self._views(row) for row in waveform.float().split(1)])

    def _views(self, audio: Float[Tensor, "1 time"]) -> Float[Tensor, "1 frame feature"]:
        audio = F.pad(audio, (0, -audio.shape[1] % FRAME_SAMPLES))
        mel = self._mel(audio)
        stacked = rearrange(mel, "batch (frame stack) mel -> batch frame (stack mel)", stack=MEL_STACK)
        return torch.cat([stacked, self._pitch(audio), self._tempogram(mel)], dim=-1)

    def _magnitude(self, audio: Tensor, window: Tensor, fft_samples: int, hop_samples: int, n_bins: int) -> Tensor:
        """Magnitudes [batch frame bin], frame k centred on sample (k + 1/2) * hop; silence outside."""
        side = (len(window) - hop_samples) // 2
        n_frames = audio.shape[1] // hop_samples
        blocks = F.pad(audio, (side, side)).unfold(1, len(window), hop_samples)[:, :n_frames]
        spectrum = torch.fft.rfft(blocks * window, n=fft_samples)[..., :n_bins]
        return (spectrum.real.square() + spectrum.imag.square()).sqrt()

    def _mel(self, audio: Tensor) -> Float[Tensor, "batch frame mel"]:
        n_bins = len(self.mel_filters)
        magnitude = self._magnitude(audio, self.mel_window, MEL_FFT_SAMPLES, MEL_HOP_SAMPLES, n_bins)
        # The floor lies some 50 dB under a quiet note: silence and dither look alike.
        return torch.log(magnitude.square() @ self.mel_filters + 1e-3)

    def _pitch(self, audio: Tensor) -> Float[Tensor, "batch frame pitch"]:
        taps = len(self.halving_filter)
        halved = F.conv1d(F.pad(audio, (taps // 2 - 1, taps // 2))[:, None], self.halving_filter[None, None], stride=2)
        n_bins = len(self.pitch_filters)
        magnitude = self._magnitude(halved[:, 0], self.pitch_window, PITCH_FFT_SAMPLES, FRAME_SAMPLES // 2, n_bins + 1)
        centre = magnitude[..., 1:-1]
        is_peak = (centre > magnitude[..., :-2]) & (centre >= magnitude[..., 2:])
        level = F.avg_pool1d(magnitude, LEVEL_BINS, ceil_mode=True)
        level = F.avg_pool1d(level, 5, stride=1, padding=2, count_include_pad=False)
        level = F.interpolate(level, scale_factor=LEVEL_BINS, mode="linear")[..., 1:n_bins]
        peaks = F.pad(torch.log1p(centre / (level + 1e-2)) * is_peak, (1, 0))
        return peaks @ self.pitch_filters

    def _tempogram(self, mel: Tensor) -> Float[Tensor, "batch frame lag"]:
        rise = F.pad((mel[:, 2:] - mel[:, :-2]).clamp_min(0).mean(-1), (1, 1))
        around = F.avg_pool1d(rise, 51, stride=1, padding=25, count_include_pad=False)  # one second
        onset = rise - around
        n_frames = onset.shape[1]
        whole = self.lags_frames.floor().long()
        part = self.lags_frames - whole
        earlier = F.pad(onset, (self.farthest_frames, 0))
        at = torch.arange(n_frames, device=mel.device) + self.farthest_frames - whole[:, None]
        shifted = earlier[:, at] * (1 - part[:, None]) + earlier[:, at - 1] * part[:, None]
        products = torch.cat([onset[:, None] ** 2, onset[:, None] * shifted], dim=1)
        pooled = self._smooth(products)
        return (pooled[:, 1:] / (pooled[:, :1] + 1e-3)).transpose(1, 2)

    def _smooth(self, products: Tensor) -> Tensor:
        """Weighted sum over the tempogram's window around each frame, at 25 Hz."""
        side = len(self.tempogram_window) // 2
        n_rows = products.shape[0] * products.shape[1]
        flat = F.pad(products.reshape(n_rows, 1, -1), (side, side))
        blocks = flat.unfold(-1, len(self.tempogram_window), MEL_STACK)
        return (blocks @ self.tempogram_window).reshape(*products.shape[:2], -1)
