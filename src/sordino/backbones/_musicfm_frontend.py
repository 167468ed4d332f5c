"""MusicFM's frontend: two residual blocks of 3x3 convolutions over the mel spectrogram, and a linear layer.

Every block halves time and frequency, so four mel frames of 10 ms become one frame of 40 ms.

Paper: Won et al., A Foundation Model for Music Informatics, 2023, section 3.1
    https://arxiv.org/abs/2311.03318
Differs: the norms always use their stored statistics and are folded into the convolutions when they run; long
    clips are worked on in slices that overlap by what a frame can see, so memory does not grow with the
    length. Both give what the plain network gives, up to rounding.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from sordino.backbones._winograd import conv3x3

SLICE_FRAMES = 128  # of the output: fewer cost time for the overlaps, more cost memory
OVERLAP_FRAMES = 3  # an output frame sees 9 mel frames to either side, so 3 frames of 4 are enough


def normed_conv(x: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> Tensor:
    """Convolve, then norm with the stored statistics, in one pass."""
    assert conv.bias is not None and norm.running_mean is not None and norm.running_var is not None
    gain = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    bias = norm.bias + (conv.bias - norm.running_mean) * gain
    weight = conv.weight * gain[:, None, None, None]
    return conv3x3(x, weight, bias) if conv.stride == (1, 1) else F.conv2d(x, weight, bias, conv.stride, conv.padding)


class ResidualBlock(nn.Module):
    """Two convolutions, and a third beside them as the way around; the first and the third halve both axes.

    Args:
        channels_in: channels that come in.
        channels: channels that go out.
    """

    def __init__(self, channels_in: int, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=2, padding=1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels_in, channels, 3, stride=2, padding=1)
        self.bn3 = nn.BatchNorm2d(channels)

    def forward(self, x: Float[Tensor, "batch channel mel frame"]) -> Float[Tensor, "batch channel2 mel2 frame2"]:
        """Half as many bands and frames (rounded up)."""
        inner = normed_conv(x, self.conv1, self.bn1).relu_()
        inner = normed_conv(inner, self.conv2, self.bn2)
        return inner.add_(normed_conv(x, self.conv3, self.bn3)).relu_()


class MelConvs(nn.Module):
    """Log-mel frames to the encoder's input.

    Args:
        n_mels: bands that come in.
        channels: of the convolutions.
        dim: width that goes out.
    """

    def __init__(self, n_mels: int, channels: int, dim: int):
        super().__init__()
        self.conv = nn.Sequential(ResidualBlock(1, channels), ResidualBlock(channels, channels))
        self.linear = nn.Linear(channels * n_mels // 4, dim)

    def forward(self, mel: Float[Tensor, "batch frame mel"]) -> Float[Tensor, "batch frame4 dim"]:
        """One frame for every four mel frames begun."""
        mel = rearrange(mel, "batch frame mel -> batch 1 mel frame")
        n_frames = -(-mel.shape[3] // 4)
        parts = []
        for start in range(0, n_frames, SLICE_FRAMES):
            first = max(0, start - OVERLAP_FRAMES)
            stop = min(n_frames, start + SLICE_FRAMES)
            x = self.conv(mel[..., 4 * first : 4 * (stop + OVERLAP_FRAMES)])
            x = x[..., start - first : stop - first]
            parts.append(self.linear(rearrange(x, "batch channel mel frame -> batch frame (channel mel)")))
        return torch.cat(parts, dim=1)
