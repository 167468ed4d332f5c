"""tempo_cnn: a small convolutional network for tempo, trained from scratch.

Three short filters along time, then four modules of filters of 32 to 256 frames side by side, over a mel
spectrogram of 40 bands at 21.5 frames a second; average pooling over bands between them.

Paper: Schreiber and Mueller, A Single-Step Approach to Musical Tempo Estimation Using a Convolutional Neural
    Network,
2018, section 2.2 https://doi.org/10.5281/zenodo.1492353
Differs: the last bottleneck has 40 channels and not 36, so that all states are of one width; decibels of all
    bands up to the Nyquist frequency; norms over each frame instead of BatchNorm; the head takes the place of
    the dense layers.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Any, cast

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sordino.backbones._conv_sites import after_site, conv_site, norm_site
from sordino.backbones._mel import LogMel
from sordino.backbones._small_cnn import FrameNorm, SmallNetwork, masked
from sordino.rules import Count, Filled
from sordino.sites import Join, Site, Tap

N_MELS = 40
POOLINGS = (5, 2, 2, 2)  # bands that become one in front of each module
FILTER_FRAMES = (32, 64, 96, 128, 192, 256)
N_SHORT, N_LONG, N_BOTTLENECK = 16, 24, 36  # channels


def along_time(channels_in: int, channels: int, n_frames: int) -> nn.Conv2d:
    """A filter over time that keeps the number of frames (an even one gives one more, at the end)."""
    return nn.Conv2d(channels_in, channels, (1, n_frames), padding=(0, n_frames // 2))


class MultiFilter(nn.Module):
    """Filters of many lengths side by side, and a bottleneck.

    Args:
        channels_in: channels that come in.
        channels: channels that go out.
        pooling: bands that become one first.
        filter_frames: the lengths.
    """

    def __init__(self, channels_in: int, channels: int, pooling: int, filter_frames: tuple[int, ...]):
        super().__init__()
        self.pooling = pooling
        self.norm = FrameNorm(channels_in)
        self.filters = nn.ModuleList(along_time(channels_in, N_LONG, n_frames) for n_frames in filter_frames)
        self.bottleneck = nn.Conv2d(N_LONG * len(filter_frames), channels, 1)

    def forward(
        self, x: Float[Tensor, "batch channel mel frame"], mask: Bool[Tensor, "batch frame"] | None
    ) -> Float[Tensor, "batch channel2 mel2 frame"]:
        """Fewer bands, as many frames."""
        n_frames = x.shape[3]
        x = masked(self.norm(F.avg_pool2d(x, (self.pooling, 1))), mask)
        found = torch.cat([filters(x)[..., :n_frames] for filters in self.filters], dim=1)
        return F.elu(self.bottleneck(F.elu(found)))

    def sites(self, path: str, layer: int) -> list[Site]:
        """The sites of this module, in the order of the signal."""
        return [
            norm_site(f"{path}.norm", layer, self.norm),
            *(conv_site(f"{path}.filters.{number}", layer, conv) for number, conv in enumerate(self.filters)),
            conv_site(f"{path}.bottleneck", layer, self.bottleneck, "conv.out"),
        ]


class TempoCNNLayer(nn.Module):
    """The network.

    Args:
        filter_frames: the lengths of the long filters.
    """

    def __init__(self, filter_frames: tuple[int, ...]):
        super().__init__()
        self.tokens = Tap()
        short = (1, N_SHORT, N_SHORT)
        self.norms = nn.ModuleList(FrameNorm(channels) for channels in short)
        self.short = nn.ModuleList(along_time(channels, N_SHORT, 5) for channels in short)
        channels = (N_SHORT, N_BOTTLENECK, N_BOTTLENECK, N_BOTTLENECK, N_MELS)
        self.long = nn.ModuleList(
            MultiFilter(before, after, pooling, filter_frames)
            for (before, after), pooling in zip(pairwise(channels), POOLINGS, strict=True)
        )
        self.after_conv = Join()

    def forward(
        self, x: Float[Tensor, "batch frame mel"], mask: Bool[Tensor, "batch frame"] | None, n_prompt: int = 0
    ) -> Float[Tensor, "batch frame dim"]:
        """From mel frames to what repeats in them."""
        source, _ = self.tokens(x, n_prompt)
        x = rearrange(source, "batch frame mel -> batch 1 mel frame")
        for norm, short in zip(self.norms, self.short, strict=True):
            x = F.elu(short(masked(norm(x), mask)))
        for module in self.long:
            x = module(x, mask)
        x = rearrange(x, "batch dim 1 frame -> batch frame dim")
        return self.after_conv(torch.zeros_like(x), x, source, mask)

    def sites(self, path: str, layer: int) -> list[Site]:
        """The sites of this layer (number `layer`, at `path`), in the order of the signal."""
        found = []
        for number, (norm, short) in enumerate(zip(self.norms, self.short, strict=True)):
            found.append(norm_site(f"{path}.norms.{number}", layer, norm))
            found.append(conv_site(f"{path}.short.{number}", layer, short))
        for number, module in enumerate(cast(Iterable[Any], self.long)):
            found += module.sites(f"{path}.long.{number}", layer)
        return [*found, after_site(f"{path}.after_conv", layer, N_MELS)]


class TempoCNN(SmallNetwork):
    """tempo_cnn; see the module's header.

    Args:
        filter_frames: the lengths of the long filters.
    """

    name = "tempo_cnn"
    title = "Tempo CNN, from scratch"
    paper = "https://doi.org/10.5281/zenodo.1492353"
    sample_rate_hz = 11_025

    def __init__(self, filter_frames: Annotated[tuple[Count, ...], Filled()] = FILTER_FRAMES):
        mel = LogMel(self.sample_rate_hz, 1024, 512, N_MELS, pad_mode="constant")
        super().__init__(mel, 1, N_MELS, TempoCNNLayer(filter_frames))

    @classmethod
    def tiny(cls, seed: int = 0) -> SmallNetwork:
        """Two short filters in each module."""
        return cls.load(f"random:{seed}", filter_frames=(3, 4))

    def extract(self, waveform: Float[Tensor, "batch time"]) -> Float[Tensor, "batch frame mel"]:
        """Mel frames, each clip brought to mean 0 and variance 1."""
        mel = self.bands(waveform)
        variance, mean = torch.var_mean(mel, dim=(1, 2), correction=0, keepdim=True)
        return (mel - mean) * torch.rsqrt(variance + 1e-5)
