"""mini: the built-in conformer, small enough for a laptop.

MusicFM's kind at 25 frames per second: four stacked mel frames into a linear layer, then conformer layers with rotary
attention. The convolution modules norm over channels, so training and evaluation do the same.

Paper: Won et al., A Foundation Model for Music Informatics, 2023, section 3.1 https://arxiv.org/abs/2311.03318
Differs: no convolutional frontend, ChannelNorm for BatchNorm, rotary positions on the heads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from sordino.backbones._conformer import ConformerLayer
from sordino.backbones._mel import LogMel
from sordino.contracts import Backbone, Site

N_STACKED = 4


class Mini(Backbone):
    """The built-in backbone.

    Args:
        n_layers: conformer layers.
        dim: width.
        n_heads: attention heads.
    """

    name = "mini"
    title = "mini conformer"
    paper = "https://arxiv.org/abs/2311.03318"
    licence = "Apache-2.0"

    def __init__(self, n_layers: int = 6, dim: int = 256, n_heads: int = 8):
        super().__init__()
        self.sample_rate_hz, self.hop_samples, self.dim = 24_000, 240 * N_STACKED, dim
        self.mel = LogMel(pad_mode="constant")
        self.project = nn.Linear(128 * N_STACKED, dim)
        self.layers = nn.ModuleList(ConformerLayer(dim, n_heads, 4 * dim) for _ in range(n_layers))
        self.layer_norm = nn.LayerNorm(dim)

    @classmethod
    def load(cls, weights: str | Path | None = None, depth: int | None = None, **options: Any) -> Mini:
        """Build it; without pretrained weights in the package, with random ones."""
        seed = str(weights or "random").partition(":")[2] or "0"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(seed))
            model = cls(**options)
        model.weights = f"random (seed {seed})"
        if depth is not None:
            model.layers = model.layers[:depth]
        return model.freeze()

    @classmethod
    def tiny(cls, seed: int = 0) -> Mini:
        """Two layers of width 32."""
        return cls.load(f"random:{seed}", n_layers=2, dim=32, n_heads=2)

    def n_frames(self, n_samples: int) -> int:
        """One frame for every 40 ms begun."""
        return max(1, -(-n_samples // self.hop_samples))

    def extract(self, waveform: Float[Tensor, "batch time"]) -> Float[Tensor, "batch frame dim"]:
        """Mel frames normed per clip-independent constants, stacked by four, projected."""
        n_frames = self.n_frames(waveform.shape[1])
        mel = self.mel(waveform)[:, : n_frames * N_STACKED]
        mel = F.pad(mel, (0, 0, 0, n_frames * N_STACKED - mel.shape[1]), value=-100.0)
        stacked = rearrange(mel / 20.0, "batch (frame stack) mel -> batch frame (stack mel)", stack=N_STACKED)
        return self.project(stacked)

    def finish(self, x: Float[Tensor, "batch frame dim"]) -> Tensor:
        """The final LayerNorm."""
        return self.layer_norm(x)

    def layer_sites(self, layer: int) -> list[Site]:
        """The sites of conformer layer `layer`."""
        return self.layers[layer - 1].sites(f"layers.{layer - 1}", layer)
