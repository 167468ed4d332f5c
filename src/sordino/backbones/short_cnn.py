"""short_cnn: a small convolutional network for tagging, trained from scratch.

Seven 3x3 convolutions over a mel spectrogram of 128 bands, each followed by a norm, ReLU and max pooling.

Paper: Won et al., Evaluation of CNN-based Automatic Music Tagging Models, 2020, section 3.8 (Short-chunk CNN)
https://arxiv.org/abs/2006.00751
Differs: only the first two poolings halve time too, so that 15.6 frames a second remain, which the head
    pools; norms over each frame instead of BatchNorm, so that padding and the rest of the batch change
    nothing; the input is brought to a usual level by constants.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sordino.backbones._conv_sites import after_site, conv_norm_sites
from sordino.backbones._mel import LogMel
from sordino.backbones._small_cnn import FrameNorm, SmallNetwork, masked
from sordino.sites import Join, Site, Tap

N_STACKED = 4  # mel frames that the poolings over time make into one
N_TIME_POOLINGS = 2
USUAL_LEVEL_DB, USUAL_SPREAD_DB = -10.0, 25.0


class ShortCNNLayer(nn.Module):
    """The network.

    Args:
        n_mels: bands, a power of two; the network has as many channels at its bottom and four times as many
            at its top.
    """

    def __init__(self, n_mels: int):
        super().__init__()
        n_blocks = int(math.log2(n_mels))
        channels = [1, n_mels, n_mels, *[2 * n_mels] * (n_blocks - 3), 4 * n_mels]
        self.tokens = Tap()
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1, bias=False) for before, after in pairwise(channels)
        )
        self.norms = nn.ModuleList(FrameNorm(after) for after in channels[1:])
        self.after_conv = Join()

    def forward(
        self, x: Float[Tensor, "batch frame dim"], mask: Bool[Tensor, "batch frame"] | None, n_prompt: int = 0
    ) -> Float[Tensor, "batch frame dim"]:
        """From four mel frames side by side to one vector."""
        source, _ = self.tokens(x, n_prompt)
        x = rearrange(source, "batch frame (stack mel) -> batch 1 mel (frame stack)", stack=N_STACKED)
        for number, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            n_stacked = max(1, N_STACKED >> number)
            here = None if mask is None else mask.repeat_interleave(n_stacked, dim=1)
            x = F.relu(norm(conv(masked(x, here))))
            x = F.max_pool2d(x, (2, 2 if number < N_TIME_POOLINGS else 1))
        x = rearrange(x, "batch dim 1 frame -> batch frame dim")
        return self.after_conv(torch.zeros_like(x), x, source, mask)

    def sites(self, path: str, layer: int) -> list[Site]:
        """The sites of this layer (number `layer`, at `path`), in the order of the signal."""
        found = conv_norm_sites(path, layer, self.convs, self.norms)
        return [*found, after_site(f"{path}.after_conv", layer, found[-1].dim_out)]


class ShortCNN(SmallNetwork):
    """short_cnn; see the module's header.

    Args:
        n_mels: bands.
    """

    name = "short_cnn"
    title = "Short-chunk CNN, from scratch"
    paper = "https://arxiv.org/abs/2006.00751"
    sample_rate_hz = 16_000

    def __init__(self, n_mels: Literal[8, 16, 32, 64, 128, 256] = 128):
        mel = LogMel(self.sample_rate_hz, 512, 256, n_mels, pad_mode="constant")
        super().__init__(mel, N_STACKED, n_mels, ShortCNNLayer(n_mels))

    @classmethod
    def tiny(cls, seed: int = 0) -> SmallNetwork:
        """Four convolutions over 16 bands."""
        return cls.load(f"random:{seed}", n_mels=16)

    def extract(self, waveform: Float[Tensor, "batch time"]) -> Float[Tensor, "batch frame dim"]:
        """Four mel frames side by side."""
        level = (self.bands(waveform) - USUAL_LEVEL_DB) / USUAL_SPREAD_DB
        return rearrange(level, "batch (frame stack) mel -> batch frame (stack mel)", stack=N_STACKED)
