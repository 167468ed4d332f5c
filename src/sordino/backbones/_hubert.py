"""HuBERT's parts, which wav2vec 2.0, WavLM, data2vec and MERT share: convolutions on the waveform and for positions,
transformer layers.

Paper: Hsu et al., HuBERT: Self-Supervised Speech Representation Learning, 2021, section 3.1
https://arxiv.org/abs/2106.07447
Differs: padding is set to zero before the position convolution and kept out of attention; no layers are
    dropped at random in training; the position convolution's weight norm is folded into its weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sordino.backbones._attention import SelfAttention
from sordino.backbones._channel_norm import ChannelNorm
from sordino.backbones._feed_forward import FeedForward
from sordino.dropout import Dropout
from sordino.sites import Join, Site, Tap


class WaveConv(nn.Module):
    """A convolution, GELU behind it, and perhaps a norm between them.

    Args:
        channels_in: channels that come in.
        channels: channels that go out.
        kernel_size: of the convolution.
        stride: of the convolution.
        bias: whether the convolution has one.
        norm: of each channel over time (`group`), of each frame over channels (`layer`), or none.
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        kernel_size: int,
        stride: int,
        bias: bool,
        norm: Literal["group", "layer"] | None,
    ):
        super().__init__()
        self.conv = nn.Conv1d(channels_in, channels, kernel_size, stride, bias=bias)
        norms = {"group": lambda: nn.GroupNorm(channels, channels), "layer": lambda: ChannelNorm(channels)}
        self.layer_norm = norms[norm]() if norm else nn.Identity()

    def forward(self, x: Float[Tensor, "batch channel time"]) -> Float[Tensor, "batch channel2 time2"]:
        """Shorter by the stride."""
        return F.gelu(self.layer_norm(self.conv(x)))


class WaveConvs(nn.Module):
    """The stack of convolutions from waveform to frames.

    Args:
        channels: of each convolution.
        kernel_sizes: of each convolution.
        strides: of each convolution.
        bias: whether they have biases.
        norm: `group`, behind the first convolution alone, or `layer`, behind each.
    """

    def __init__(
        self,
        channels: Sequence[int],
        kernel_sizes: Sequence[int],
        strides: Sequence[int],
        bias: bool = False,
        norm: Literal["group", "layer"] = "group",
    ):
        super().__init__()
        self.shapes = list(zip(kernel_sizes, strides, strict=True))
        self.conv_layers = nn.ModuleList(
            WaveConv(before, after, *shape, bias, norm if norm == "layer" or layer == 0 else None)
            for layer, ((before, after), shape) in enumerate(zip(pairwise([1, *channels]), self.shapes, strict=True))
        )

    @property
    def field_samples(self) -> int:
        """How many samples one frame sees; no clip may be shorter."""
        field = 1
        for kernel_size, stride in reversed(self.shapes):
            field = (field - 1) * stride + kernel_size
        return field

    def n_frames(self, n_samples: int) -> int:
        """How many frames come out of `n_samples`."""
        for kernel_size, stride in self.shapes:
            n_samples = (n_samples - kernel_size) // stride + 1
        return n_samples

    def forward(self, waveform: Float[Tensor, "batch time"]) -> Float[Tensor, "batch frame channel"]:
        """Frames before their projection."""
        x = waveform[:, None]
        for conv in self.conv_layers:
            x = conv(x)
        return rearrange(x, "batch channel frame -> batch frame channel")


class FeatureProjection(nn.Module):
    """Norm and linear layer from the convolutions to the encoder.

    Args:
        channels: that come in.
        dim: width that goes out.
        eps: of the norm.
        norm: whether there is one.
    """

    def __init__(self, channels: int, dim: int, eps: float, norm: bool):
        super().__init__()
        self.layer_norm = nn.LayerNorm(channels, eps=eps) if norm else nn.Identity()
        self.projection = nn.Linear(channels, dim)

    def forward(self, x: Float[Tensor, "batch frame channel"]) -> Float[Tensor, "batch frame dim"]:
        """Each frame for itself."""
        return self.projection(self.layer_norm(x))


class PositionConv(nn.Module):
    """Positions by a wide grouped convolution over the frames themselves.

    Args:
        dim: width.
        kernel_size: frames it sees.
        groups: of channels.
    """

    def __init__(self, dim: int, kernel_size: int, groups: int):
        super().__init__()
        self.conv = nn.Conv1d(dim, dim, kernel_size, padding=kernel_size // 2, groups=groups)

    def forward(self, x: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch token dim"]:
        """What is to be added to the frames."""
        n_tokens = x.shape[1]
        x = self.conv(rearrange(x, "batch token dim -> batch dim token"))
        # An even kernel gives one token too many, at the end.
        return F.gelu(rearrange(x[..., :n_tokens], "batch dim token -> batch token dim"))


class PlainAttention(SelfAttention):
    """Self-attention that leaves positions to others, with the names of its projections in these models.

    Args:
        dim: width.
        n_heads: heads.
        dropout: on the attention weights, while training.
    """

    def __init__(self, dim: int, n_heads: int, dropout: float = 0.0):
        super().__init__(dim, n_heads, "none", ("q_proj", "k_proj", "v_proj", "out_proj"), dropout)


class TransformerLayer(nn.Module):
    """Self-attention and feed-forward, with the norm behind each sum or before each sublayer.

    Args:
        dim: width.
        n_heads: attention heads.
        dim_inner: width inside the feed-forward.
        norm_first: norm what a sublayer reads (large models) instead of each sum (base models).
        eps: of the norms.
        dropout: everywhere, while training.
        attention: of another kind than the plain one, made of width, heads and dropout.
    """

    def __init__(
        self,
        dim: int,
        n_heads: int,
        dim_inner: int,
        norm_first: bool,
        eps: float = 1e-5,
        dropout: float = 0.0,
        attention: Callable[[int, int, float], SelfAttention] | None = None,
    ):
        super().__init__()
        self.norm_first = norm_first
        self.tokens = Tap()
        self.attention = (attention or PlainAttention)(dim, n_heads, dropout)
        self.dropout = Dropout(dropout)
        self.after_attn = Join()
        self.layer_norm = nn.LayerNorm(dim, eps=eps)
        self.feed_forward = FeedForward(dim, dim_inner, dropout, F.gelu)
        self.after_ffn = Join()
        self.final_layer_norm = nn.LayerNorm(dim, eps=eps)

    def forward(
        self, x: Float[Tensor, "batch token dim"], mask: Bool[Tensor, "batch token"] | None, n_prompt: int = 0
    ) -> Float[Tensor, "batch token dim"]:
        """One layer over tokens, of which the first `n_prompt` are prompts."""
        x, _ = self.tokens(x, n_prompt)
        source = self.layer_norm(x) if self.norm_first else x
        x = self.after_attn(x, self.dropout(self.attention(source, mask)), source, mask)
        if self.norm_first:
            source = self.final_layer_norm(x)
            return self.after_ffn(x, self.feed_forward(source), source, mask)
        x = self.layer_norm(x)
        return self.final_layer_norm(self.after_ffn(x, self.feed_forward(x), x, mask))

    def sites(self, path: str, layer: int) -> list[Site]:
        """The sites of this layer (number `layer`, at `path`), in the order of the signal."""
        dim = self.layer_norm.normalized_shape[0]
        norm, final_norm, after_attn, after_ffn = (
            Site(f"{path}.{name}", role, layer, dim, dim)
            for name, role in (
                ("layer_norm", "norm"),
                ("final_layer_norm", "norm"),
                ("after_attn", "after.attn"),
                ("after_ffn", "after.ffn"),
            )
        )
        attention = [*self.attention.sites(f"{path}.attention", layer, dim), after_attn]
        feed_forward = [*self.feed_forward.sites(f"{path}.feed_forward", layer), after_ffn]
        if self.norm_first:
            return [norm, *attention, final_norm, *feed_forward]
        return [*attention, norm, *feed_forward, final_norm]
