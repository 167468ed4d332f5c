"""Whisper's encoder: log-mel bands, two convolutions, sinusoidal positions, transformer layers; 50 frames a second.

Hidden states are numbered as in transformers: 0 enters layer 1, k leaves layer k, and the last one has passed the final
LayerNorm.

Paper: Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision, 2022, section 2.2
https://arxiv.org/abs/2212.04356
Differs: clips are not padded to 30 s; behind 30 s the positions go on by their formula; prompts have no positions; the
    keys' projection has a bias (zero, which changes nothing).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sordino.backbones._hub_encoder import HubEncoder, by_our_names
from sordino.backbones._hubert import TransformerLayer
from sordino.backbones._mel import Mel
from sordino.backbones._weights import n_to_build

N_FFT = 400
HOP_SAMPLES = 160
FLOOR = 8.0  # below the loudest band of the clip, in powers of ten
NAMES = {  # the published ones, and ours
    ".self_attn.": ".attention.",
    ".self_attn_layer_norm.": ".layer_norm.",
    ".fc1.": ".feed_forward.intermediate_dense.",
    ".fc2.": ".feed_forward.output_dense.",
}


class Whisper(HubEncoder):
    """The encoder; see the module's header.

    Args:
        dim: width.
        n_layers: how many there are.
        n_heads: attention heads.
        dim_inner: width inside the feed-forwards.
        n_mels: mel bands.
        dropout: while training.
        depth: how many layers to build; None for all.
    """

    prefixes = ("model.",)
    small: ClassVar[Mapping[str, Any]] = {
        "d_model": 16,
        "encoder_layers": 2,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
    }

    def __init__(
        self,
        dim: int = 512,
        n_layers: int = 6,
        n_heads: int = 8,
        dim_inner: int = 2048,
        n_mels: int = 80,
        dropout: float = 0.0,
        depth: int | None = None,
    ):
        super().__init__()
        self.hop_samples, self.dim = 2 * HOP_SAMPLES, dim
        self.mel = Mel(self.sample_rate_hz, N_FFT, HOP_SAMPLES, n_mels, slaney=True)
        self.conv1 = nn.Conv1d(n_mels, dim, 3, padding=1)
        self.conv2 = nn.Conv1d(dim, dim, 3, stride=2, padding=1)
        self.layers = nn.ModuleList(
            TransformerLayer(dim, n_heads, dim_inner, norm_first=True, dropout=dropout)
            for _ in range(n_to_build(self.name, depth, n_layers))
        )
        self.layer_norm = nn.LayerNorm(dim)

    @classmethod
    def configured(cls, config: Mapping[str, Any], normalise: bool, depth: int | None = None) -> HubEncoder:
        """Build it as a parsed `config.json` says; `normalise` means nothing to it.

        Raises:
            ValueError: the configuration asks for something that it does not have.
        """
        for key, only in {"activation_function": "gelu", "scale_embedding": False}.items():
            if config.get(key, only) != only:
                raise ValueError(f"config.json: {key} = {config[key]!r} is not supported, only {only!r}")
        return cls(
            config["d_model"],
            config["encoder_layers"],
            config["encoder_attention_heads"],
            config["encoder_ffn_dim"],
            config.get("num_mel_bins", 80),
            config.get("dropout", 0.0),
            depth,
        )

    @classmethod
    def renamed(cls, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
        """The published tensors by the names that they have here."""
        return by_our_names(tensors, NAMES, ("attention.k_proj",))

    def n_frames(self, n_samples: int) -> int:
        """One frame for every 20 ms begun, the last incomplete mel frame left out."""
        return (max(n_samples, N_FFT // 2 + 1) // HOP_SAMPLES - 1) // 2 + 1

    def extract(self, waveform: Float[Tensor, "batch time"]) -> Float[Tensor, "batch frame dim"]:
        """Log-mel bands through the convolutions, and positions."""
        waveform = F.pad(waveform, (0, max(0, N_FFT // 2 + 1 - waveform.shape[1])))
        bands = self.mel(waveform)[:, :-1].clamp(min=1e-10).log10()
        bands = (torch.maximum(bands, bands.amax((1, 2), keepdim=True) - FLOOR) + 4.0) / 4.0
        x = F.gelu(self.conv2(F.gelu(self.conv1(bands.transpose(1, 2))))).transpose(1, 2)
        return x + sinusoids(x.shape[1], self.dim).to(x)

    def finish(self, x: Float[Tensor, "batch frame dim"]) -> Tensor:
        """The final LayerNorm."""
        return self.layer_norm(x)


def sinusoids(n_frames: int, dim: int) -> Float[Tensor, "frame dim"]:
    """Sines, then cosines, with periods from 2 pi to 20,000 pi frames."""
    step = math.log(10_000) / (dim // 2 - 1)
    periods = torch.exp(-step * torch.arange(dim // 2, dtype=torch.float32))
    angles = torch.arange(n_frames, dtype=torch.float32)[:, None] * periods
    return torch.cat([angles.sin(), angles.cos()], dim=1)
