"""What small networks trained from scratch share: a norm that padding cannot reach, and how they are built.

They are backbones without weights: a spectrogram in bands as the frozen frontend and the whole network as layer 1,
which the method `finetune` trains. Its convolutions, norms and output are sites as in any other backbone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sordino.backbones._log_bands import LogBands
from sordino.backbones._mel import LogMel
from sordino.backbones._weights import build_random
from sordino.contracts import Backbone
from sordino.rules import Count
from sordino.sites import Norm


class FrameNorm(Norm):
    """Norm over channels and bands of each frame: the same in training and evaluation, blind to padding.

    Args:
        channels: that come in, each with its own gain and bias.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def normed(self, x: Float[Tensor, "batch channel mel frame"]) -> Float[Tensor, "batch channel mel frame"]:
        """Each frame with mean 0 and variance 1, in float32."""
        variance, mean = torch.var_mean(x.float(), dim=(1, 2), correction=0, keepdim=True)
        return (x - mean) * torch.rsqrt(variance + 1e-5)

    def forward(self, x: Float[Tensor, "batch channel mel frame"]) -> Float[Tensor, "batch channel mel frame"]:
        """Norm each frame."""
        return (self.normed(x) * self.weight[:, None, None] + self.bias[:, None, None]).to(x.dtype)


def masked(x: Tensor, mask: Bool[Tensor, "batch frame"] | None) -> Tensor:
    """Zero where `x` [batch channel mel frame] is padding, as a convolution sees it beyond the end."""
    return x if mask is None else x * mask[:, None, None, :]


def widened(x: Float[Tensor, "batch frame dim"], dim: int) -> Float[Tensor, "batch frame dim2"]:
    """Zeros behind what a layer gives, up to the one width of all hidden states."""
    return F.pad(x, (0, dim - x.shape[2]))


class SmallNetwork(Backbone):
    """A frontend of frequency bands and one layer.

    Args:
        spectrogram: the bands.
        n_stacked: frames of the spectrogram in one frame.
        n_bands: bands.
        network: the layer.
    """

    licence = "Apache-2.0"

    def __init__(self, spectrogram: LogMel | LogBands, n_stacked: int, n_bands: int, network: nn.Module):
        super().__init__()
        self.spectrogram = spectrogram
        self.hop_samples, self.dim = spectrogram.hop_samples * n_stacked, n_bands * n_stacked
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

    def bands(self, waveform: Float[Tensor, "batch time"]) -> Float[Tensor, "batch frame band"]:
        """As many frames of the spectrogram as the network's frames hold; silence behind the end."""
        n_samples = self.n_frames(waveform.shape[1]) * self.hop_samples
        return self.spectrogram(F.pad(waveform, (0, n_samples - waveform.shape[1])))[:, :-1]
