"""musicnn's convolutional trunk: filters shaped for timbre and for tempo, then three convolutions over time.

A hidden state is the dense connection of the paper, one slot for each layer, in the order in which the original
concatenates them; what a later layer will write is zero before:

    0: [mel 96, zeros]    1: [front 561, zeros]    2: [front, cnn1 64, zeros]    3: [.., cnn2, zeros]    4: [.., cnn3]

Paper: Pons and Serra, musicnn: Pre-trained Convolutional Neural Networks for Music Audio Tagging, 2019
https://arxiv.org/abs/1909.06654
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sordino.backbones._conv_sites import after_site, conv_site, norm_site
from sordino.sites import Join, Site, Tap

EPS = 1e-3  # of TensorFlow's batch normalisation


@dataclass(frozen=True)
class Size:
    """How large the network is; the defaults are the published one.

    Attributes:
        n_mels: bands.
        n_timbral: filters of each timbral shape.
        n_temporal: filters of each temporal shape.
        timbral: frames and bands of the timbral filters; frames are odd.
        temporal_frames: lengths of the temporal filters, which see one band.
        n_mid: filters of each later convolution.
        mid_frames: their length, odd.
    """

    n_mels: int = 96
    n_timbral: int = 204
    n_temporal: int = 51
    timbral: tuple[tuple[int, int], ...] = ((7, 38), (7, 67))
    temporal_frames: tuple[int, ...] = (128, 64, 32)
    n_mid: int = 64
    mid_frames: int = 7

    @property
    def n_front(self) -> int:
        """Channels of the first layer."""
        return self.n_timbral * len(self.timbral) + self.n_temporal * len(self.temporal_frames)

    @property
    def dim(self) -> int:
        """Width of a hidden state."""
        return self.n_front + 3 * self.n_mid


PUBLISHED_SIZE = Size()
TINY = Size(8, 6, 3, ((3, 4), (3, 6)), (8, 5, 4), 5, 3)


def masked(x: Tensor, mask: Bool[Tensor, "batch frame"] | None, axis: int) -> Tensor:
    """Zero where the frames along `axis` are padding, as a convolution sees it beyond the end."""
    if mask is None:
        return x
    shape = [1] * x.dim()
    shape[0], shape[axis] = mask.shape
    return x * mask.reshape(shape)


class FrontLayer(nn.Module):
    """Five shapes of filters side by side, each with ReLU, BatchNorm and the maximum over bands.

    Args:
        size: of the network.
    """

    def __init__(self, size: Size):
        super().__init__()
        self.n_mels, self.dim = size.n_mels, size.dim
        self.tokens = Tap()
        self.mel_norm = nn.BatchNorm2d(1, EPS)
        shapes = [(size.n_timbral, shape) for shape in size.timbral]
        shapes += [(size.n_temporal, (n_frames, 1)) for n_frames in size.temporal_frames]
        self.n_frames = [shape[0] for _, shape in shapes]
        self.convs = nn.ModuleList(nn.Conv2d(1, channels, shape) for channels, shape in shapes)
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels, EPS) for channels, _ in shapes)
        self.after_conv = Join()

    def forward(
        self, x: Float[Tensor, "batch frame dim"], mask: Bool[Tensor, "batch frame"] | None, n_prompt: int = 0
    ) -> Float[Tensor, "batch frame dim"]:
        """From mel bands to the first slot."""
        x, _ = self.tokens(x, n_prompt)
        mel = rearrange(x[..., : self.n_mels], "batch frame mel -> batch 1 frame mel")
        mel = masked(self.mel_norm(mel), mask, axis=2)
        branches = zip(self.n_frames, self.convs, self.norms, strict=True)
        found = [norm(F.relu(conv(padded(mel, n_frames)))).amax(3) for n_frames, conv, norm in branches]
        front = torch.cat(found, dim=1)
        written = in_slot(rearrange(front, "batch channel frame -> batch frame channel"), 0, self.dim)
        return self.after_conv(torch.zeros_like(written), written, x, mask)

    def sites(self, path: str, layer: int) -> list[Site]:
        """The sites of this layer (number `layer`, at `path`), in the order of the signal."""
        found = [norm_site(f"{path}.mel_norm", layer, self.mel_norm)]
        for number, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            found.append(conv_site(f"{path}.convs.{number}", layer, conv))
            found.append(norm_site(f"{path}.norms.{number}", layer, norm))
        return [*found, after_site(f"{path}.after_conv", layer, self.dim)]


class MidLayer(nn.Module):
    """A convolution over time with ReLU, BatchNorm and, but for the first, the slot before it added.

    Args:
        size: of the network.
        number: 1, 2 or 3.
    """

    def __init__(self, size: Size, number: int):
        super().__init__()
        self.dim = size.dim
        self.begin = size.n_front + (number - 1) * size.n_mid  # of its slot
        self.source = slice(0, size.n_front) if number == 1 else slice(self.begin - size.n_mid, self.begin)
        self.residual = number > 1
        self.tokens = Tap()
        n_in = self.source.stop - self.source.start
        self.conv = nn.Conv1d(n_in, size.n_mid, size.mid_frames, padding=size.mid_frames // 2)
        self.norm = nn.BatchNorm1d(size.n_mid, EPS)
        self.after_conv = Join()

    def forward(
        self, x: Float[Tensor, "batch frame dim"], mask: Bool[Tensor, "batch frame"] | None, n_prompt: int = 0
    ) -> Float[Tensor, "batch frame dim"]:
        """Fill the next slot."""
        x, _ = self.tokens(x, n_prompt)
        source = masked(rearrange(x[..., self.source], "batch frame channel -> batch channel frame"), mask, axis=2)
        found = self.norm(F.relu(self.conv(source)))
        found = rearrange(found + source if self.residual else found, "batch channel frame -> batch frame channel")
        return self.after_conv(x, in_slot(found, self.begin, self.dim), x, mask)

    def sites(self, path: str, layer: int) -> list[Site]:
        """The sites of this layer (number `layer`, at `path`), in the order of the signal."""
        return [
            conv_site(f"{path}.conv", layer, self.conv),
            norm_site(f"{path}.norm", layer, self.norm),
            after_site(f"{path}.after_conv", layer, self.dim),
        ]


def padded(x: Float[Tensor, "batch channel frame mel"], n_frames: int) -> Tensor:
    """Zeros around `x`: a filter of `n_frames` gives as many frames as it gets (an even one has one more behind)."""
    return F.pad(x, (0, 0, (n_frames - 1) // 2, n_frames // 2))


def in_slot(x: Float[Tensor, "batch frame channel"], begin: int, dim: int) -> Float[Tensor, "batch frame dim"]:
    """Channels at their place in a hidden state, zeros elsewhere."""
    return F.pad(x, (begin, dim - begin - x.shape[-1]))
