"""musicnn: a convolutional network whose filters were shaped by hand for timbre and for tempo, trained to tag songs.

Weights of 200,000 songs of the Million Song Dataset with 50 Last.fm tags (`msd`), or of MagnaTagATune (`mtt`). The
backbone is the convolutional trunk at 62.5 frames a second; the dense layers behind it are a head, which
`sordino fetch musicnn` leaves as an adapter for tagging.

Paper: Pons and Serra, musicnn: Pre-trained Convolutional Neural Networks for Music Audio Tagging, 2019
https://arxiv.org/abs/1909.06654
Differs: the original cuts patches of 187 frames (3 s) and sees zeros around each; here the trunk runs over a clip of
    any length, as it is convolutional in time, so that a clip of one patch gives exactly the original's states and
    tags, and in a longer one frames near the inner borders of patches hear their neighbours. The last mel frame is left
    out where it hears only half a window (clips of a whole number of hops). All is float32: the original rounds
    the mel to float16, which overflows in loud music. What pads the ends are zeros, as in today's librosa.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sordino.backbones import _musicnn_weights as published
from sordino.backbones._mel import Mel
from sordino.backbones._musicnn_network import PUBLISHED_SIZE, TINY, FrontLayer, MidLayer, Size
from sordino.backbones._musicnn_weights import VARIANTS
from sordino.backbones._weights import build, build_random, n_to_build
from sordino.contracts import Backbone, OwnHead
from sordino.rules import Count

N_LAYERS = 4


class Musicnn(Backbone):
    """musicnn's trunk; see the module's header.

    Args:
        size: how large it is.
        depth: how many layers to build; None for all.
    """

    name = "musicnn"
    title = "musicnn"
    paper = "https://arxiv.org/abs/1909.06654"
    licence = "ISC"
    published = VARIANTS
    sample_rate_hz = 16_000
    hop_samples = 256

    def __init__(self, size: Size = PUBLISHED_SIZE, depth: int | None = None):
        super().__init__()
        self.dim = size.dim
        self.mel = Mel(self.sample_rate_hz, 512, self.hop_samples, size.n_mels, pad_mode="constant", slaney=True)
        layers = [FrontLayer(size), *(MidLayer(size, number) for number in (1, 2, 3))]
        self.layers = nn.ModuleList(layers[: n_to_build(self.name, depth, N_LAYERS)])

    @classmethod
    def load(
        cls,
        weights: str | Path | None = None,
        depth: Count | None = None,
        variant: Literal["msd", "mtt"] = "msd",
        size: Size | None = None,
    ) -> Musicnn:
        """Build it with its weights.

        Args:
            weights: none for the published ones, `random` or `random:SEED`, or a path: the folder of the wheel, of one
                of its checkpoints, a checkpoint's prefix, or a `.safetensors` copy.
            depth: how many layers to build; none for all.
            variant: which of the published ones.
            size: of the network, for weights of other sizes; none for the published size.

        Raises:
            FileNotFoundError: the weights are not here; says how to get them.
            ValueError: a damaged file, or tensors that do not fit.
        """
        size = size or PUBLISHED_SIZE
        source = VARIANTS[variant]
        model = build_random(lambda: cls(size, depth), weights)
        if model is None:
            tensors = published.trunk(published.read_weights(source, weights, variant), size)
            left_out = [f"layers.{layer}.*" for layer in range(depth or N_LAYERS, N_LAYERS)]
            named = f"{source}, {variant}" if weights is None else str(weights)
            model = build(lambda: cls(size, depth), tensors, [*published.TAG_LAYERS, *left_out], named)
        return model

    @classmethod
    def tiny(cls, seed: int = 0) -> Musicnn:
        """A few filters over eight bands."""
        return cls.load(f"random:{seed}", size=TINY)

    @classmethod
    def fetch(cls, **options: Any) -> None:
        """Download the wheel, unless its files are here or others are named, and convert them."""
        if options.get("weights") is None:
            VARIANTS[options.get("variant", "msd")].fetch()
        super().fetch(**options)

    @classmethod
    def own_heads(cls, weights: str | Path | None = None, variant: str = "msd", **_: Any) -> list[OwnHead]:
        """The tag layers."""
        head = published.tag_head(published.read_weights(VARIANTS[variant], weights, variant))
        task = {"tags": published.TAGS[variant], "at_least": published.N_TOP_TAGS}
        options = {"layers": "last", "pool": "mean_max", "hidden": len(head["mlp.0.bias"]), "dropout": 0.5}
        return [OwnHead(f"{variant}-tags", "tagging", task, options, head, published.PATCH_S, published.NOTICE)]

    def n_frames(self, n_samples: int) -> int:
        """One frame for every 16 ms begun."""
        return max(1, -(-n_samples // self.hop_samples))

    def extract(self, waveform: Float[Tensor, "batch time"]) -> Float[Tensor, "batch frame dim"]:
        """Mel bands, compressed, in the first slot."""
        mel = torch.log10(10_000.0 * self.mel(waveform) + 1.0)[:, : self.n_frames(waveform.shape[1])]
        return F.pad(mel, (0, self.dim - mel.shape[2]))
