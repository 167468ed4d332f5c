"""The network that MusicFM and MuQ share: mel, residual convolutions, conformer layers, a final LayerNorm.

Hidden states are numbered as in the published code: 0 enters layer 1, k leaves layer k, and the last built
one has passed the final LayerNorm, whatever the depth.

Paper: Won et al., A Foundation Model for Music Informatics, 2023, section 3.1
    https://arxiv.org/abs/2311.03318
Differs: clips of unequal length go through the frontend one by one and padding is kept out of attention and
    convolutions, so a clip in a padded batch gives what it gives alone (in the published code it does not).
    Clips under 1025 samples (43 ms), which the published code cannot take, are padded with zeros to that
    length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sordino.backbones._conformer import ConformerLayer
from sordino.backbones._mel import LogMel
from sordino.backbones._musicfm_frontend import MelConvs
from sordino.backbones._weights import above, build, build_random, n_to_build, read_tensors
from sordino.contracts import Backbone

N_FFT = 2048
HOP_SAMPLES = 240
UNUSED = (  # what the published files hold for pretraining only
    "cls_token",
    "preprocessor_melspec_2048.*",  # window and filters, which are computed here
    "quantizer_*",
    "rvq.*",
    "linear.*",
    "recon_proj.*",
    "pos_conv_embed.*",  # made, but never called, because positions are rotary
    "embed_positions.*",  # the rotary frequencies, which are computed here
)


@dataclass(frozen=True)
class Size:
    """How large the network is; the defaults are the published one.

    Attributes:
        n_layers: conformer layers.
        dim: width of a hidden state.
        n_heads: attention heads.
        dim_inner: width inside the feed-forwards.
        kernel_size: frames that the depthwise convolutions see.
        channels: of the frontend's convolutions.
        n_mels: mel bands.
        dropout: while training.
    """

    n_layers: int = 12
    dim: int = 1024
    n_heads: int = 16
    dim_inner: int = 4096
    kernel_size: int = 31
    channels: int = 512
    n_mels: int = 128
    dropout: float = 0.1


PUBLISHED_SIZE = Size()
TINY = Size(n_layers=2, dim=16, n_heads=2, dim_inner=32, kernel_size=7, channels=3, n_mels=16)


class MelConformer(Backbone):
    """MusicFM's network.

    Args:
        size: how large it is.
        depth: how many layers to build; None for all.
    """

    mel_mean: Tensor
    mel_std: Tensor

    def __init__(self, size: Size = PUBLISHED_SIZE, depth: int | None = None):
        super().__init__()
        self.hop_samples, self.dim = 4 * HOP_SAMPLES, size.dim
        self.mel = LogMel(self.sample_rate_hz, N_FFT, HOP_SAMPLES, size.n_mels)
        self.register_buffer("mel_mean", torch.tensor(0.0))
        self.register_buffer("mel_std", torch.tensor(1.0))
        self.conv = MelConvs(size.n_mels, size.channels, size.dim)
        self.layers = nn.ModuleList(
            ConformerLayer(
                size.dim,
                size.n_heads,
                size.dim_inner,
                size.kernel_size,
                rotary="input",
                batch_norm=True,
                dropout=size.dropout,
            )
            for _ in range(n_to_build(self.name, depth, size.n_layers))
        )
        self.layer_norm = nn.LayerNorm(size.dim)

    @classmethod
    def read(
        cls, path: Path, statistics: Mapping[str, float], size: Size, depth: int | None, source: str
    ) -> MelConformer:
        """Build it from a published weights file.

        Args:
            path: the file.
            statistics: of the mel spectrogram, as published.
            size: of the network in the file.
            depth: how many layers to build; None for all.
            source: where the file comes from, in one line.
        """
        tensors = read_tensors(path, ("model.", "conformer."))
        for name in ("mean", "std"):
            tensors[f"mel_{name}"] = torch.tensor(float(statistics[f"melspec_2048_{name}"]))
        return build(lambda: cls(size, depth), tensors, [*UNUSED, *above(depth, size.n_layers)], source)

    @classmethod
    def tiny(cls, seed: int = 0) -> Backbone:
        """Two layers of width 16."""
        model = build_random(lambda: cls(TINY), f"random:{seed}")
        assert model is not None
        return model

    def n_frames(self, n_samples: int) -> int:
        """One frame for every four mel frames of 10 ms begun; the last, incomplete mel frame is dropped."""
        return max(1, -(-(n_samples // HOP_SAMPLES) // 4))

    def extract(self, waveform: Float[Tensor, "batch time"]) -> Float[Tensor, "batch frame dim"]:
        """Mel in decibels, normed with the published mean and deviation, through the convolutions."""
        waveform = F.pad(waveform, (0, max(0, N_FFT // 2 + 1 - waveform.shape[1])))
        mel = self.mel(waveform)[:, :-1]
        return self.conv((mel - self.mel_mean) / self.mel_std)

    def finish(self, x: Float[Tensor, "batch frame dim"]) -> Tensor:
        """The final LayerNorm."""
        return self.layer_norm(x)
