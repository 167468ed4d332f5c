"""beat_tcn: a small temporal convolutional network for beats, trained from scratch.

Three convolutions with maximum pooling over frequency make 16 channels of the 81 bands (12 in an octave) of each frame,
100 a second; eleven residual blocks follow, whose convolutions of five frames are dilated by 1, 2, 4, ... 1024, so that
a frame hears 82 s.

Paper: Davies and Boeck, Temporal Convolutional Networks for Musical Audio Beat Tracking, 2019, section II
    https://doi.org/10.23919/EUSIPCO.2019.8902578
Differs: a norm of the channels stands in front of each dilated convolution (the paper has none); the head takes the
    place of the output unit. A state holds the channels and zeros behind them. The sound is not split into a harmonic
    and a percussive part: see docs/models.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, cast

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sordino.backbones._conv_sites import after_site, conv_site, norm_site
from sordino.backbones._log_bands import LogBands
from sordino.backbones._small_cnn import FrameNorm, SmallNetwork, masked, widened
from sordino.rules import Dropped, Range
from sordino.sites import Join, Site, Tap

POOLING = 3  # bands that become one behind each of the first two convolutions
N_FRAMES = 5  # that a dilated convolution sees


class DilatedBlock(nn.Module):
    """A norm, a dilated convolution over time, ELU, dropout, a pointwise convolution; added to what came in.

    Args:
        channels: that come in and go out.
        dilation: frames from one that is seen to the next.
        dropout: share of channels that are dropped, while training.
    """

    def __init__(self, channels: int, dilation: int, dropout: float):
        super().__init__()
        reach = N_FRAMES // 2 * dilation
        self.norm = FrameNorm(channels)
        self.dilated = nn.Conv2d(channels, channels, (1, N_FRAMES), padding=(0, reach), dilation=(1, dilation))
        self.dropout = nn.Dropout2d(dropout)
        self.pointwise = nn.Conv2d(channels, channels, 1)

    def forward(
        self, x: Float[Tensor, "batch channel 1 frame"], mask: Bool[Tensor, "batch frame"] | None
    ) -> Float[Tensor, "batch channel 1 frame"]:
        """As many channels and frames."""
        inner = F.elu(self.dilated(masked(self.norm(x), mask)))
        return x + self.pointwise(self.dropout(inner))

    def sites(self, path: str, layer: int) -> list[Site]:
        """The sites of this block, in the order of the signal."""
        return [
            norm_site(f"{path}.norm", layer, self.norm),
            conv_site(f"{path}.dilated", layer, self.dilated, "conv.out"),
            conv_site(f"{path}.pointwise", layer, self.pointwise, "conv.out"),
        ]


class BeatTCNLayer(nn.Module):
    """The network.

    Args:
        n_bands: that come in.
        channels: of all convolutions.
        n_blocks: dilated ones.
        dropout: share of channels dropped behind each convolution, while training.
    """

    def __init__(self, n_bands: int, channels: int, n_blocks: int, dropout: float):
        super().__init__()
        self.dim, n_left = n_bands, n_bands
        for _ in range(2):
            n_left = (n_left - 2) // POOLING
        self.tokens = Tap()
        self.convs = nn.ModuleList([
            nn.Conv2d(1, channels, 3, padding=(0, 1)),
            nn.Conv2d(channels, channels, 3, padding=(0, 1)),
            nn.Conv2d(channels * n_left, channels, 1),  # over all bands that are left
        ])  # fmt: skip
        self.dropout = nn.Dropout2d(dropout)
        self.blocks = nn.ModuleList(DilatedBlock(channels, 2**number, dropout) for number in range(n_blocks))
        self.after_conv = Join()

    def forward(
        self, x: Float[Tensor, "batch frame band"], mask: Bool[Tensor, "batch frame"] | None, n_prompt: int = 0
    ) -> Float[Tensor, "batch frame dim"]:
        """From the bands of each frame to what it is in the beat."""
        source, _ = self.tokens(x, n_prompt)
        x = rearrange(source, "batch frame band -> batch 1 band frame")
        first, second, third = self.convs
        for conv in (first, second):
            x = self.dropout(F.elu(F.max_pool2d(conv(masked(x, mask)), (POOLING, 1))))
        x = self.dropout(F.elu(third(rearrange(x, "batch channel band frame -> batch (channel band) 1 frame"))))
        for block in self.blocks:
            x = block(x, mask)
        x = widened(rearrange(x, "batch channel 1 frame -> batch frame channel"), self.dim)
        return self.after_conv(torch.zeros_like(x), x, source, mask)

    def sites(self, path: str, layer: int) -> list[Site]:
        """The sites of this layer (number `layer`, at `path`), in the order of the signal."""
        roles = ("conv.in", "conv.out", "conv.out")
        found = [
            conv_site(f"{path}.convs.{number}", layer, conv, role)
            for number, (conv, role) in enumerate(zip(self.convs, roles, strict=True))
        ]
        for number, block in enumerate(cast(Iterable[Any], self.blocks)):
            found += block.sites(f"{path}.blocks.{number}", layer)
        return [*found, after_site(f"{path}.after_conv", layer, self.dim)]


class BeatTCN(SmallNetwork):
    """beat_tcn; see the module's header.

    Args:
        n_filters: channels of all convolutions, as many as there are bands (81) at most.
        n_blocks: dilated convolutions, each reaching twice as far as the one before.
        dropout: share of channels that are dropped in training.
    """

    name = "beat_tcn"
    title = "Beat TCN, from scratch"
    paper = "https://doi.org/10.23919/EUSIPCO.2019.8902578"
    sample_rate_hz = 44_100

    def __init__(
        self,
        n_filters: Annotated[int, Range(1, 81)] = 16,
        n_blocks: Annotated[int, Range(1, 20)] = 11,
        dropout: Dropped = 0.1,
    ):
        spectrogram = LogBands(self.sample_rate_hz, 2048, 441, per_octave=12, lowest_hz=30, highest_hz=17_000)
        n_bands = spectrogram.n_bands
        super().__init__(spectrogram, 1, n_bands, BeatTCNLayer(n_bands, n_filters, n_blocks, dropout))

    @classmethod
    def tiny(cls, seed: int = 0) -> SmallNetwork:
        """Two dilated convolutions of twelve channels, without dropout."""
        return cls.load(f"random:{seed}", n_filters=12, n_blocks=2, dropout=0.0)

    def extract(self, waveform: Float[Tensor, "batch time"]) -> Float[Tensor, "batch frame band"]:
        """The bands."""
        return self.bands(waveform)
