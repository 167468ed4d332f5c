"""What small networks trained from scratch share: a norm that padding cannot reach, and how they are built.

They are backbones without weights: a mel spectrogram as the frozen frontend and the whole network as layer 1,
which the method `finetune` trains. There is nothing to attach to inside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sordino.backbones._mel import LogMel
from sordino.backbones._weights import build_random
from sordino.contracts import Backbone, Site
from sordino.rules import Count


class FrameNorm(nn.Module):
    """Norm over channels and bands of each frame: the same in training and evaluation, blind to padding.

    Args:
        channels: that come in, each with its own gain and bias.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Float[Tensor, "batch channel mel frame"]) -> Float[Tensor, "batch channel mel frame"]:
        """Norm each frame, in float32."""
        variance, mean = torch.var_mean(x.float(), dim=(1, 2), correction=0, keepdim=True)
        return ((x - mean) * torch.rsqrt(variance + 1e-5) * self.weight + self.bias).to(x.dtype)


def masked(x: Tensor, mask: Bool[Tensor, "batch frame"] | None) -> Tensor:
    """Zero where `x` [batch channel mel frame] is padding, as a convolution sees it beyond the end."""
    return x if mask is None else x * mask[:, None, None, :]


class SmallNetwork(Backbone):
    """A mel frontend and one layer.

    Args:
        mel: the spectrogram.
        n_stacked: mel frames in one frame.
        n_mels: bands.
        network: the layer.
    """

    licence = "Apache-2.0"

    def __init__(self, mel: LogMel, n_stacked: int, n_mels: int, network: nn.Module):
        super().__init__()
        self.mel = mel
        self.hop_samples, self.dim = mel.hop_samples * n_stacked, n_mels * n_stacked
        self.layers = nn.ModuleList([network])

    @classmethod
    def load(cls, weights: str | Path | None = None, depth: Count | None = None, **options: Any) -> SmallNetwork:
        """Build it with random weights.

        Args:
            weights: none, `random` or `random:SEED`.
            depth: none or 1; there is one layer.
            **options: those of the class.

        Raises:
            ValueError: weights or a depth that it does not have.
        """
        model = build_random(lambda: cls(**options), weights or "random")
        if model is None:
            raise ValueError(f"{cls.name} has no weights of its own; it is trained from scratch with `finetune`")
        if depth not in (None, 1):
            raise ValueError(f"{cls.name} has one layer, so depth = {depth} cannot be built")
        return model

    def n_frames(self, n_samples: int) -> int:
        """One frame for every hop begun."""
        return max(1, -(-n_samples // self.hop_samples))

    def log_mel(self, waveform: Float[Tensor, "batch time"]) -> Float[Tensor, "batch frame mel"]:
        """Decibels of as many mel frames as the network's frames hold; silence behind the end."""
        n_samples = self.n_frames(waveform.shape[1]) * self.hop_samples
        return self.mel(F.pad(waveform, (0, n_samples - waveform.shape[1])))[:, :-1]

    def layer_sites(self, layer: int) -> list[Site]:
        """None: a small network is trained whole."""
        return []
