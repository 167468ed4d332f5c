"""Onsets and tempo of a crop as targets: computed from the mel frames that the crop is made of.

Paper: Bock, Widmer: Maximum filter vibrato suppression for onset detection, 2013 (spectral flux)
Differs: log mel energies 40 ms apart, the mean of a second taken off.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from sordino.backbones._mini_frontend import MEL_STACK
from sordino.backbones._pulse import MEL_RATE_HZ, STEP_FRAMES, lag_weights, windowed_autocorrelation

N_ONSET_BANDS = 4
LOCAL_MEAN_FRAMES = round(MEL_RATE_HZ) | 1


def onset_strengths(mel: Float[Tensor, "batch frame mel"]) -> Float[Tensor, "batch band onset_frame"]:
    """Rise of the log energy in four groups of bands at 50 Hz, deviation 1 over the crop.

    Args:
        mel: the mel view, two frames of 20 ms stacked.
    """
    single = rearrange(mel, "batch frame (stack mel) -> batch mel (frame stack)", stack=MEL_STACK)
    rise = F.pad((single[..., 2:] - single[..., :-2]).clamp_min(0), (1, 1))
    bands = rise.unflatten(1, (N_ONSET_BANDS, -1)).mean(2)
    around = F.avg_pool1d(bands, LOCAL_MEAN_FRAMES, 1, LOCAL_MEAN_FRAMES // 2, count_include_pad=False)
    onset = bands - around
    return onset / onset.std(-1, keepdim=True).clamp_min(1e-2)


def crop_tempogram(onsets: Float[Tensor, "batch band onset_frame"]) -> Float[Tensor, "batch tempo"]:
    """Autocorrelation of the summed onsets, mean over windows of eight seconds, at the lags of `lag_bpms`."""
    window = torch.hann_window(400, device=onsets.device)
    assert onsets.shape[-1] >= STEP_FRAMES
    correlation = windowed_autocorrelation(onsets.sum(1, keepdim=True), window)[:, 0].mean(1)
    return correlation @ lag_weights().to(onsets.device)
