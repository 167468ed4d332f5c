"""The same music from another room, age or loudness, made from stored mel frames.

Level and equaliser (each within 6 dB), now and then a low-pass (old recordings, small files) or a noise floor.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sordino.backbones._mini_frontend import MEL_STACK, N_MELS, VIEWS

SIX_DB = 1.4  # in the natural logarithm of an energy
MEL_FLOOR = math.log(1e-3)  # what the frontend gives for silence
RARE = 0.25  # how often a low-pass, how often noise
SLOPE = 0.7  # of the low-pass, per band


def recolour(
    features: Float[Tensor, "batch frame feature"], generator: torch.Generator
) -> Float[Tensor, "batch frame feature"]:
    """Change the mel view of each crop, each in its own way; the other views stay."""
    n = len(features)

    def draw(*shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator)

    curve = F.interpolate(draw(1, 8, low=-1, high=1), N_MELS, mode="linear", align_corners=True)[:, 0]
    gain = SIX_DB * (draw(1, low=-1, high=1) + curve)
    cutoff = torch.where(draw(1) < RARE, draw(1, low=0.5, high=1.0) * N_MELS, math.inf)
    gain -= SLOPE * (torch.arange(N_MELS) - cutoff).clamp_min(0)
    hiss = torch.where(draw(1) < RARE, draw(1, low=MEL_FLOOR, high=0.0), -math.inf)[..., None, None]
    features = features.clone()
    mel = features[..., VIEWS["mel"]].unflatten(-1, (MEL_STACK, N_MELS)) + gain[:, None, None]
    features[..., VIEWS["mel"]] = torch.logaddexp(mel.clamp_min(MEL_FLOOR), hiss).flatten(-2)
    return features
