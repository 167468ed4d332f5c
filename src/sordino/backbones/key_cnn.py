"""key_cnn: a small convolutional network for key, trained from scratch.

Eight convolutions of 5x5 and 3x3 over a spectrogram of 105 bands, 24 in an octave, at 5 frames a second; norm and ELU
behind each, maximum pooling behind each of the first three pairs, then a 1x1 convolution.

Paper: Korzeniowski and Widmer, Genre-Agnostic Key Classification With Convolutional Neural Networks, 2018, section 3
    (AllConv) https://arxiv.org/abs/1808.05340
Differs: the 13 bands that are left stand side by side, 16 channels each, where the paper takes the mean over them: the
    head knows which band is which, as the dense layer of the authors' earlier network does (2017,
    https://arxiv.org/abs/1706.02921). Only the first pooling halves time too, so that 2.5 frames a second remain; norms
    over each frame instead of BatchNorm, so that padding and the rest of the batch change nothing.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sordino.backbones._conv_sites import after_site, conv_norm_sites, conv_site
from sordino.backbones._log_bands import LogBands
from sordino.backbones._small_cnn import FrameNorm, SmallNetwork, masked, widened
from sordino.rules import Count, Dropped
from sordino.sites import Join, Site, Tap

POOLED = {1: (2, 2), 3: (2, 1), 5: (2, 1)}  # behind which convolutions how many bands and frames become one
N_STACKED = 2
WIDTHS = (1, 1, 2, 2, 4, 4, 8, 8)  # channels of each convolution, in n_filters


class KeyCNNLayer(nn.Module):
    """The network.

    Args:
        n_bands: that come in.
        n_filters: channels of the first convolution.
        dropout: share of channels dropped behind each pooling and each of the last two convolutions, in training.
    """

    def __init__(self, n_bands: int, n_filters: int, dropout: float):
        super().__init__()
        channels = [1, *(n_filters * width for width in WIDTHS)]
        self.dim = n_bands * N_STACKED
        self.tokens = Tap()
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, size, padding=size // 2, bias=False)
            for (before, after), size in zip(pairwise(channels), (5, *[3] * 7), strict=True)
        )
        self.norms = nn.ModuleList(FrameNorm(after) for after in channels[1:])
        for _, (bands, _) in sorted(POOLED.items()):
            n_bands //= bands
        self.last = nn.Conv2d(channels[-1], self.dim // n_bands, 1)
        self.dropout = nn.Dropout2d(dropout)
        self.after_conv = Join()

    def forward(
        self, x: Float[Tensor, "batch frame dim"], mask: Bool[Tensor, "batch frame"] | None, n_prompt: int = 0
    ) -> Float[Tensor, "batch frame dim"]:
        """From two frames of bands side by side to one vector."""
        source, _ = self.tokens(x, n_prompt)
        x = rearrange(source, "batch frame (stack band) -> batch 1 band (frame stack)", stack=N_STACKED)
        for number, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            here = None if mask is None else mask.repeat_interleave(x.shape[3] // mask.shape[1], dim=1)
            x = F.elu(norm(conv(masked(x, here))))
            x = F.max_pool2d(x, POOLED[number]) if number in POOLED else x
            x = self.dropout(x) if number in POOLED or number >= 6 else x
        x = widened(rearrange(self.last(x), "batch channel band frame -> batch frame (channel band)"), self.dim)
        return self.after_conv(torch.zeros_like(x), x, source, mask)

    def sites(self, path: str, layer: int) -> list[Site]:
        """The sites of this layer (number `layer`, at `path`), in the order of the signal."""
        found = conv_norm_sites(path, layer, self.convs, self.norms)
        last = conv_site(f"{path}.last", layer, self.last, "conv.out")
        return [*found, last, after_site(f"{path}.after_conv", layer, self.dim)]


class KeyCNN(SmallNetwork):
    """key_cnn; see the module's header.

    Args:
        n_filters: channels of the first convolution; the eighth has eight times as many.
        dropout: share of channels that are dropped in training.
    """

    name = "key_cnn"
    title = "Key CNN, from scratch"
    paper = "https://arxiv.org/abs/1808.05340"
    sample_rate_hz = 44_100

    def __init__(self, n_filters: Count = 20, dropout: Dropped = 0.5):
        spectrogram = LogBands(self.sample_rate_hz, 8192, 8820, per_octave=24, lowest_hz=65, highest_hz=2100)
        n_bands = spectrogram.n_bands
        super().__init__(spectrogram, N_STACKED, n_bands, KeyCNNLayer(n_bands, n_filters, dropout))

    @classmethod
    def tiny(cls, seed: int = 0) -> SmallNetwork:
        """Three channels, without dropout."""
        return cls.load(f"random:{seed}", n_filters=3, dropout=0.0)

    def extract(self, waveform: Float[Tensor, "batch time"]) -> Float[Tensor, "batch frame dim"]:
        """Two frames of bands side by side."""
        return rearrange(self.bands(waveform), "batch (frame stack) band -> batch frame (stack band)", stack=N_STACKED)
