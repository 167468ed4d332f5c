"""The conformer layer of MusicFM, MuQ and mini.

Half a feed-forward, self-attention, a convolution module, half a feed-forward, a norm; every sublayer reads a
normed copy of the residual stream and is added to it. Parameter names are those of the published conformers.

Paper: Gulati et al., Conformer: Convolution-augmented Transformer for Speech Recognition, 2020, section 2
https://arxiv.org/abs/2005.08100
Differs: frames that are padding are set to zero before the depthwise convolution, so they never reach a real
    frame.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sordino.backbones._attention import SelfAttention
from sordino.backbones._channel_norm import ChannelNorm
from sordino.backbones._feed_forward import FeedForward
from sordino.dropout import Dropout
from sordino.sites import Join, Site, Tap


class PointwiseConv(nn.Conv1d):
    """A convolution of width 1 as a matrix product: a view of [batch frame dim] goes in and out, nothing is copied."""

    def forward(self, input: Float[Tensor, "batch dim frame"]) -> Float[Tensor, "batch channel frame"]:
        """Mix the channels of each frame."""
        return F.linear(input.transpose(1, 2), self.weight[:, :, 0], self.bias).transpose(1, 2)


class DepthwiseConv(nn.Conv1d):
    """A convolution of each channel alone, in the layout [batch frame dim], twice as fast on a processor.

    Args:
        dim: channels.
        kernel_size: frames, odd; the length stays.
    """

    def __init__(self, dim: int, kernel_size: int):
        super().__init__(dim, dim, kernel_size, padding=kernel_size // 2, groups=dim, bias=False)

    def forward(self, input: Float[Tensor, "batch dim frame"]) -> Float[Tensor, "batch dim frame"]:
        """Mix the frames of each channel."""
        rows = input.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        weight = self.weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        return F.conv2d(rows, weight, padding=(0, self.kernel_size[0] // 2), groups=self.groups).squeeze(2)


class ConvModule(nn.Module):
    """Norm, pointwise convolution with a gate, depthwise convolution, norm, swish, pointwise convolution.

    Args:
        dim: width of the stream.
        kernel_size: frames of the depthwise convolution, odd.
        batch_norm: BatchNorm as published; else a norm over channels.
        dropout: at the end, while training.
    """

    def __init__(self, dim: int, kernel_size: int = 31, batch_norm: bool = False, dropout: float = 0.0):
        super().__init__()
        self.layer_norm = nn.LayerNorm(dim)
        self.pointwise_conv1 = PointwiseConv(dim, 2 * dim, 1, bias=False)
        self.depthwise_conv = DepthwiseConv(dim, kernel_size)
        self.batch_norm = nn.BatchNorm1d(dim) if batch_norm else ChannelNorm(dim)
        self.pointwise_conv2 = PointwiseConv(dim, dim, 1, bias=False)
        self.dropout = Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "batch frame dim"], mask: Bool[Tensor, "batch frame"] | None = None
    ) -> Float[Tensor, "batch frame dim"]:
        """Mix neighbouring frames."""
        x = rearrange(self.layer_norm(x), "batch frame dim -> batch dim frame")
        x = F.glu(self.pointwise_conv1(x), dim=1)
        if mask is not None:
            x = x * mask[:, None, :]
        x = self.pointwise_conv2(F.silu(self.batch_norm(self.depthwise_conv(x))))
        return self.dropout(rearrange(x, "batch dim frame -> batch frame dim"))


class ConformerLayer(nn.Module):
    """One layer; see the module's head.

    Args:
        dim: width.
        n_heads: attention heads.
        dim_inner: width inside the feed-forwards.
        kernel_size: of the depthwise convolution.
        rotary: see SelfAttention.
        batch_norm: see ConvModule.
        dropout: everywhere, while training.
    """

    def __init__(
        self,
        dim: int,
        n_heads: int,
        dim_inner: int,
        kernel_size: int = 31,
        rotary: str = "heads",
        batch_norm: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.tokens = Tap()
        self.ffn1_layer_norm = nn.LayerNorm(dim)
        self.ffn1 = FeedForward(dim, dim_inner, dropout)
        self.after_ffn1 = Join(0.5)
        self.self_attn_layer_norm = nn.LayerNorm(dim)
        self.self_attn = SelfAttention(dim, n_heads, rotary, dropout=dropout)
        self.self_attn_dropout = Dropout(dropout)
        self.after_attn = Join()
        self.conv_module = ConvModule(dim, kernel_size, batch_norm, dropout)
        self.ffn2_layer_norm = nn.LayerNorm(dim)
        self.ffn2 = FeedForward(dim, dim_inner, dropout)
        self.after_ffn2 = Join(0.5)
        self.final_layer_norm = nn.LayerNorm(dim)

    def forward(
        self, x: Float[Tensor, "batch token dim"], mask: Bool[Tensor, "batch token"] | None, n_prompt: int = 0
    ) -> Float[Tensor, "batch token dim"]:
        """One layer over frames, of which the first `n_prompt` are prompts."""
        x, _ = self.tokens(x, n_prompt)
        source = self.ffn1_layer_norm(x)
        x = self.after_ffn1(x, self.ffn1(source), source, mask)
        source = self.self_attn_layer_norm(x)
        x = self.after_attn(x, self.self_attn_dropout(self.self_attn(source, mask)), source, mask)
        x = x + self.conv_module(x, mask)
        source = self.ffn2_layer_norm(x)
        x = self.after_ffn2(x, self.ffn2(source), source, mask)
        return self.final_layer_norm(x)

    def sites(self, path: str, layer: int) -> list[Site]:
        """The sites of this layer (number `layer`, at `path`), in the order of the signal."""
        dim = self.final_layer_norm.normalized_shape[0]
        site = partial(_site, path, layer, dim)
        return [
            *self._ffn_sites("ffn1", path, layer),
            site("self_attn_layer_norm", "norm"),
            *self.self_attn.sites(f"{path}.self_attn", layer, dim),
            site("after_attn", "after.attn"),
            site("conv_module.pointwise_conv1", "conv.in", dim_out=2 * dim),
            site("conv_module.pointwise_conv2", "conv.out"),
            *self._ffn_sites("ffn2", path, layer),
            site("final_layer_norm", "norm"),
        ]

    def _ffn_sites(self, name: str, path: str, layer: int) -> list[Site]:
        site = partial(_site, path, layer, self.final_layer_norm.normalized_shape[0])
        module: FeedForward = getattr(self, name)
        return [
            site(f"{name}_layer_norm", "norm"),
            *module.sites(f"{path}.{name}", layer),
            site(f"after_{name}", "after.ffn"),
        ]


def _site(path: str, layer: int, dim: int, name: str, role: str, dim_out: int | None = None) -> Site:
    return Site(f"{path}.{name}", role, layer, dim, dim_out or dim)
