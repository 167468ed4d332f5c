"""AST, the Audio Spectrogram Transformer: patches of log-mel bands, transformer layers; 10 frames a second.

A frame is a column of patches. The layers work on all patches, which overlap, and on two tokens of the whole clip
(class and distillation), as published; heads read the mean of each column's patches. Hidden states are numbered as in
transformers: 0 enters layer 1, k leaves layer k, and the last one has passed the final LayerNorm.

Paper: Gong et al., AST: Audio Spectrogram Transformer, 2021, section 2 https://arxiv.org/abs/2104.01778
Differs: clips are not padded to 10.24 s: shorter ones have the first of the learned positions; for longer ones these
    are stretched along time, as the authors do for sounds of another length; prompts have no positions; the two tokens
    belong to the frontend.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from sordino.backbones._hub_encoder import HubEncoder, by_our_names
from sordino.backbones._hubert import TransformerLayer
from sordino.backbones._kaldi_mel import HOP_SAMPLES, WINDOW_SAMPLES, KaldiMel
from sordino.backbones._weights import n_to_build
from sordino.contracts import Frames

AUDIOSET = (-4.2677393, 4.5689974)  # mean and deviation of its bands
N_WHOLE = 2  # tokens of the whole clip
NAMES = {  # the published ones, and ours
    "embeddings.patch_embeddings.": "",
    "embeddings.": "",
    "layer.": "layers.",
    ".attention.attention.query.": ".attention.q_proj.",
    ".attention.attention.key.": ".attention.k_proj.",
    ".attention.attention.value.": ".attention.v_proj.",
    ".attention.output.dense.": ".attention.out_proj.",
    ".intermediate.dense.": ".feed_forward.intermediate_dense.",
    ".output.dense.": ".feed_forward.output_dense.",
    ".layernorm_before.": ".layer_norm.",
    ".layernorm_after.": ".final_layer_norm.",
}


class SpectrogramTransformer(HubEncoder):
    """The encoder; see the module's header.

    Args:
        dim: width.
        n_layers: how many there are.
        n_heads: attention heads.
        dim_inner: width inside the feed-forwards.
        n_mels: mel bands.
        max_mel_frames: of the sounds that the positions were learned with.
        patch: bands and mel frames of a patch.
        strides: bands and mel frames from one patch to the next.
        eps: of the norms.
        dropout: while training.
        normalise: bring the bands to `mean` 0 and twice the `deviation` 1.
        depth: how many layers to build; None for all.
    """

    prefixes = ("audio_spectrogram_transformer.",)
    small: ClassVar[Mapping[str, Any]] = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "num_mel_bins": 32,
        "max_length": 106,
    }

    def __init__(
        self,
        dim: int = 768,
        n_layers: int = 12,
        n_heads: int = 12,
        dim_inner: int = 3072,
        n_mels: int = 128,
        max_mel_frames: int = 1024,
        patch: int = 16,
        strides: tuple[int, int] = (10, 10),
        eps: float = 1e-12,
        dropout: float = 0.0,
        normalise: bool = True,
        depth: int | None = None,
    ):
        super().__init__()
        self.dim, self.patch, self.stride, self.normalise = dim, patch, strides[1], normalise
        self.hop_samples = HOP_SAMPLES * self.stride
        self.mean, self.deviation = AUDIOSET
        self.n_bands, n_columns = (
            (n - patch) // stride + 1 for n, stride in zip((n_mels, max_mel_frames), strides, strict=True)
        )
        self.mel = KaldiMel(self.sample_rate_hz, n_mels)
        self.projection = nn.Conv2d(1, dim, patch, strides)
        self.cls_token, self.distillation_token = (nn.Parameter(torch.zeros(1, 1, dim)) for _ in range(N_WHOLE))
        self.position_embeddings = nn.Parameter(torch.zeros(1, N_WHOLE + self.n_bands * n_columns, dim))
        self.layers = nn.ModuleList(
            TransformerLayer(dim, n_heads, dim_inner, norm_first=True, eps=eps, dropout=dropout)
            for _ in range(n_to_build(self.name, depth, n_layers))
        )
        self.layernorm = nn.LayerNorm(dim, eps=eps)

    @classmethod
    def configured(cls, config: Mapping[str, Any], normalise: bool, depth: int | None = None) -> HubEncoder:
        """Build it as a parsed `config.json` says.

        Raises:
            ValueError: the configuration asks for something that it does not have.
        """
        if config.get("hidden_act", "gelu") != "gelu":
            raise ValueError(f"config.json: hidden_act = {config['hidden_act']!r} is not supported, only 'gelu'")
        return cls(
            config["hidden_size"],
            config["num_hidden_layers"],
            config["num_attention_heads"],
            config["intermediate_size"],
            config.get("num_mel_bins", 128),
            config.get("max_length", 1024),
            config.get("patch_size", 16),
            (config.get("frequency_stride", 10), config.get("time_stride", 10)),
            config.get("layer_norm_eps", 1e-12),
            config.get("hidden_dropout_prob", 0.0),
            normalise,
            depth,
        )

    @classmethod
    def renamed(cls, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
        """The published tensors by the names that they have here; biases that it lacks are zero."""
        return by_our_names(tensors, NAMES, ("q_proj", "k_proj", "v_proj"))

    def listen(self, heard: Mapping[str, Any]) -> None:
        """Mean and deviation of the bands too."""
        super().listen(heard)
        self.mean, self.deviation = heard.get("mean", AUDIOSET[0]), heard.get("std", AUDIOSET[1])

    def packed_dim(self, state: int) -> int:
        """Every patch of a column, and the clip's two tokens beside each column."""
        return (self.n_bands + N_WHOLE) * self.dim

    @property
    def shortest_samples(self) -> int:
        """What one column of patches sees."""
        return WINDOW_SAMPLES + (self.patch - 1) * HOP_SAMPLES

    def n_frames(self, n_samples: int) -> int:
        """One column for every 100 ms (as published), as far as its patches lie within the clip."""
        return (max(n_samples, self.shortest_samples) - self.shortest_samples) // self.hop_samples + 1

    def extract(self, waveform: Float[Tensor, "batch time"]) -> Float[Tensor, "batch frame packed"]:
        """Patches with their positions; with each column the two tokens."""
        bands = self.mel(F.pad(waveform, (0, max(0, self.shortest_samples - waveform.shape[1]))))
        if self.normalise:
            bands = (bands - self.mean) / (2 * self.deviation)
        x = rearrange(
            self.projection(rearrange(bands, "batch frame mel -> batch 1 mel frame")),
            "batch dim band frame -> batch frame band dim",
        )
        n_clips, n_frames = x.shape[:2]
        whole = torch.cat([self.cls_token, self.distillation_token], dim=1) + self.position_embeddings[:, :N_WHOLE]
        whole = repeat(whole, "1 token dim -> batch frame token dim", batch=n_clips, frame=n_frames)
        x = torch.cat([whole, x + self.positions(n_frames)], dim=2)
        return rearrange(x, "batch frame token dim -> batch frame (token dim)")

    def positions(self, n_frames: int) -> Float[Tensor, "frame band dim"]:
        """The first of the learned ones, or all of them stretched along time."""
        learned = rearrange(
            self.position_embeddings[0, N_WHOLE:], "(band frame) dim -> band dim frame", band=self.n_bands
        )
        if n_frames > learned.shape[2]:
            learned = F.interpolate(learned, size=n_frames, mode="linear")
        return rearrange(learned[..., :n_frames], "band dim frame -> frame band dim")

    def unpack(self, frames: Frames) -> Frames:
        """The clip's tokens, then all patches, column by column."""
        x = rearrange(frames.x, "batch frame (token dim) -> batch frame token dim", dim=self.dim)
        patches = rearrange(x[:, :, N_WHOLE:], "batch frame band dim -> batch (frame band) dim")
        mask = frames.mask
        if mask is not None:
            mask = repeat(mask, "batch frame -> batch (frame band)", band=self.n_bands)
            mask = torch.cat([mask.new_ones(len(mask), N_WHOLE), mask], dim=1)
        return Frames(torch.cat([x[:, 0, :N_WHOLE], patches], dim=1), mask)

    def pack(self, x: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch frame packed"]:
        """The reverse of `unpack`."""
        patches = rearrange(x[:, N_WHOLE:], "batch (frame band) dim -> batch frame band dim", band=self.n_bands)
        whole = repeat(x[:, :N_WHOLE], "batch token dim -> batch frame token dim", frame=patches.shape[1])
        return rearrange(torch.cat([whole, patches], dim=2), "batch frame token dim -> batch frame (token dim)")

    def narrow(self, state: Float[Tensor, "batch frame packed"]) -> Float[Tensor, "batch frame dim"]:
        """The mean of each column's patches."""
        x = rearrange(state, "batch frame (token dim) -> batch frame token dim", dim=self.dim)
        return x[:, :, N_WHOLE:].mean(2)

    def finish(self, x: Float[Tensor, "batch token dim"]) -> Tensor:
        """The final LayerNorm."""
        return self.layernorm(x)
