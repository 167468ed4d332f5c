"""CLAP's audio side: a Swin transformer (HTSAT) on images of ten seconds; 3.2 frames a second.

A clip is heard in windows of ten seconds; what the last one lacks is kept out of attention. In the image of a window
four stretches of time lie above one another; patches become tokens, layers attend within small squares of them, and
from stage to stage squares of four tokens become one of twice the width. A frame is what becomes one column of the
last stage: heads read, in every hidden state, the columns of tokens that it holds side by side and the mean over
frequency, which has the same width in all stages. Hidden state k leaves block k, merged if it is the last one of its
stage.

Paper: Wu et al., Large-Scale Contrastive Language-Audio Pretraining with Feature Fusion and Keyword-to-Caption
    Augmentation, 2023 https://arxiv.org/abs/2211.06687; Chen et al., HTS-AT, 2022 https://arxiv.org/abs/2202.00874;
    Liu et al., Swin Transformer, 2021 https://arxiv.org/abs/2103.14030
Differs: shorter clips are neither repeated nor filled up (behind the frame in which they end nothing is heard);
    longer ones go on in another window, where a piece is drawn at random there; models with feature fusion are not
    read; no layers are dropped at random in training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from sordino.backbones._hub_encoder import HubEncoder, by_our_names
from sordino.backbones._mel import LogMel
from sordino.backbones._swin import SwinLayer
from sordino.backbones._weights import n_to_build
from sordino.contracts import Frames
from sordino.sites import Site

USUAL = {"sampling_rate": 48_000, "hop_length": 480, "fft_window_size": 1024, "max_length_s": 10,
         "frequency_min": 0, "frequency_max": 14_000}  # fmt: skip
USUAL_SIZE = {"model_type": "clap_audio_model", "patch_embeds_hidden_size": 96, "depths": [2, 2, 6, 2],
              "num_attention_heads": [4, 8, 16, 32], "num_mel_bins": 64, "spec_size": 256, "patch_size": 4,
              "window_size": 8, "mlp_ratio": 4.0, "layer_norm_eps": 1e-5, "hidden_dropout_prob": 0.1}  # fmt: skip
NAMES = {  # the published ones, and ours
    "patch_embed.proj.": "projection.",
    "patch_embed.norm.": "patch_norm.",
    ".attention.self.query.": ".attention.q_proj.",
    ".attention.self.key.": ".attention.k_proj.",
    ".attention.self.value.": ".attention.v_proj.",
    ".attention.self.relative_position_bias_table": ".attention.table",
    ".attention.output.dense.": ".attention.out_proj.",
    ".intermediate.dense.": ".feed_forward.intermediate_dense.",
    ".output.dense.": ".feed_forward.output_dense.",
    ".layernorm_before.": ".layer_norm.",
    ".layernorm_after.": ".final_layer_norm.",
}


class ClapAudio(HubEncoder):
    """The encoder; see the module's header.

    Args:
        dim_first: width of the first stage.
        depths: blocks of each stage.
        n_heads: attention heads of each stage.
        n_mels: mel bands.
        side: of the image, in bands or mel frames.
        patch: bands and mel frames of a patch.
        window: tokens along a side of the squares.
        mlp_ratio: how much wider than its stage the inside of a feed-forward is.
        eps: of the norms in layers.
        dropout: while training.
        depth: how many layers to build; None for all.
    """

    prefixes = ("audio_model.", "audio_encoder.")
    unused = ("text_model.*", "text_projection.*", "audio_projection.*", "logit_scale_*", "*.relative_position_index")
    decides = ("spec_size", "hop_length", "fft_window_size", "max_length_s", "frequency_min", "frequency_max")
    small: ClassVar[Mapping[str, Any]] = {
        "patch_embeds_hidden_size": 8,
        "depths": [2, 2],
        "num_attention_heads": [2, 4],
        "num_mel_bins": 16,
        "spec_size": 64,
        "window_size": 4,
        "mlp_ratio": 2.0,
    }

    def __init__(
        self,
        dim_first: int = 96,
        depths: Sequence[int] = (2, 2, 6, 2),
        n_heads: Sequence[int] = (4, 8, 16, 32),
        n_mels: int = 64,
        side: int = 256,
        patch: int = 4,
        window: int = 8,
        mlp_ratio: float = 4.0,
        eps: float = 1e-5,
        dropout: float = 0.0,
        depth: int | None = None,
    ):
        super().__init__()
        self.dim, self.n_mels, self.side, self.n_stretches = dim_first << len(depths) - 1, n_mels, side, side // n_mels
        self.grids = [side // patch >> stage for stage in range(len(depths))]
        self.listen(USUAL)
        self.batch_norm = nn.BatchNorm1d(n_mels)
        self.projection = nn.Conv2d(1, dim_first, patch, patch)
        self.patch_norm = nn.LayerNorm(dim_first)
        blocks = [(stage, number) for stage, n_blocks in enumerate(depths) for number in range(n_blocks)]
        self.layers = nn.ModuleList()
        for stage, number in blocks[: n_to_build(self.name, depth, len(blocks))]:
            grid, dim = self.grids[stage], dim_first << stage
            shift = 0 if grid <= window or number % 2 == 0 else window // 2
            merges = number == depths[stage] - 1 and stage < len(depths) - 1
            self.layers.append(SwinLayer(dim, n_heads[stage], round(mlp_ratio * dim), grid, min(window, grid), shift,
                                         merges, eps, dropout))  # fmt: skip
        self.norm = nn.LayerNorm(self.dim)

    @classmethod
    def part_of(cls, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """The audio side of a whole model, with the usual sizes, which need not be said."""
        return USUAL_SIZE | config.get("audio_config", config)

    @classmethod
    def n_published(cls, config: Mapping[str, Any]) -> int:
        """Blocks of all stages."""
        return sum(config["depths"])

    @classmethod
    def configured(cls, config: Mapping[str, Any], normalise: bool, depth: int | None = None) -> HubEncoder:
        """Build it as a parsed `config.json` says.

        Raises:
            ValueError: the configuration asks for something that it does not have.
        """
        config = cls.part_of(config)
        patch, side, window, n_mels, depths = (
            config[name] for name in ("patch_size", "spec_size", "window_size", "num_mel_bins", "depths")
        )
        wanted = {"enable_fusion": False, "hidden_act": "gelu", "patch_stride": [patch, patch],
                  "patch_embed_input_channels": 1, "enable_patch_layer_norm": True}  # fmt: skip
        for name, only in wanted.items():
            if name in config and config[name] != only:
                raise ValueError(f"config.json: {name} = {config[name]!r} is not supported, only {only!r}")
        grids = [side // patch >> stage for stage in range(len(depths))]
        whole = side % n_mels == 0 and side % (patch << len(depths) - 1) == 0 and grids[-1] % (side // n_mels) == 0
        if not whole or any(grid % min(window, grid) for grid in grids):
            raise ValueError(f"config.json: an image of {side} by {side} with {n_mels} bands has no whole number of "
                             f"patches of {patch} and squares of {window} in each of {len(depths)} stages")  # fmt: skip
        return cls(config["patch_embeds_hidden_size"], depths, config["num_attention_heads"], n_mels, side, patch,
                   window, config["mlp_ratio"], config["layer_norm_eps"], config["hidden_dropout_prob"],
                   depth)  # fmt: skip

    @classmethod
    def renamed(cls, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
        """The published tensors by the names that they have here, blocks counted through all stages."""
        names = dict(NAMES)
        for stage, n_blocks in enumerate(config["depths"]):
            first = sum(config["depths"][:stage])
            names |= {f"layers.{stage}.blocks.{own}.": f"blocks.{first + own}." for own in range(n_blocks)}
            names[f"layers.{stage}.downsample."] = f"blocks.{first + n_blocks - 1}.merge."
        return by_our_names(tensors, names | {"blocks.": "layers."}, ("q_proj", "k_proj", "v_proj"))

    def listen(self, heard: Mapping[str, Any]) -> None:
        """Windows, hops and bands too."""
        super().listen(heard)
        heard = {**USUAL, **heard}
        hop = heard["hop_length"]
        longest = (self.side * self.n_stretches - 1) * hop  # that the image holds
        self.hop_samples = min(heard["max_length_s"] * self.sample_rate_hz, longest) // self.window_frames
        self.window_samples = self.hop_samples * self.window_frames
        limits_hz = (heard["frequency_min"], heard["frequency_max"])
        self.mel = LogMel(self.sample_rate_hz, heard["fft_window_size"], hop, self.n_mels, slaney=True,
                          limits_hz=limits_hz)  # fmt: skip

    @property
    def window_frames(self) -> int:
        """Frames of a window: the columns of the last stage, stretch by stretch."""
        return self.n_stretches * self.grids[-1]

    def sites(self) -> list[Site]:
        """Every site; prompts have no place among the tokens of an image."""
        return [site for site in super().sites() if site.role not in ("tokens", "layer.tokens")]

    def packed_dim(self, state: int) -> int:
        """All tokens that a frame holds."""
        merged = sum(layer.merge is not None for layer in list(self.layers)[: max(0, state)])
        return self._tokens(merged) * self.dim >> len(self.grids) - 1 - merged

    def n_frames(self, n_samples: int) -> int:
        """All that the clip begins."""
        return max(1, -(-n_samples // self.hop_samples))

    def extract(self, waveform: Float[Tensor, "batch time"]) -> Float[Tensor, "batch frame packed"]:
        """The patches of each window's image."""
        n_frames = self.n_frames(waveform.shape[1])
        n_windows = -(-n_frames // self.window_frames)
        filled = F.pad(waveform, (0, n_windows * self.window_samples - waveform.shape[1]))
        windows = rearrange(filled, "batch (window time) -> (batch window) time", window=n_windows)
        bands = self.batch_norm(rearrange(self.mel(windows), "window frame mel -> window mel frame"))
        wide = (self.n_mels, self.side * self.n_stretches)
        bands = F.interpolate(bands[:, None], wide, mode="bicubic", align_corners=True)
        image = rearrange(
            bands, "window 1 mel (stretch frame) -> window 1 (stretch mel) frame", stretch=self.n_stretches
        )
        tokens = rearrange(self.projection(image), "window dim row col -> window (row col) dim")
        x = rearrange(self.patch_norm(tokens), "(batch window) token dim -> batch (window token) dim", window=n_windows)
        return self.pack(x)[:, :n_frames]

    def unpack(self, frames: Frames) -> Frames:
        """The tokens of a stage, image by image, row by row; the last image is filled up, and what fills it masked."""
        x, mask = frames
        n_missing = -x.shape[1] % self.window_frames
        if n_missing:
            mask = x.new_ones(x.shape[:2], dtype=torch.bool) if mask is None else mask
            x, mask = F.pad(x, (0, 0, 0, n_missing)), F.pad(mask, (0, n_missing))
        band, c = self._shape(self._stage(x))
        x = rearrange(x, "batch (window stretch frame) (band c dim) -> batch (window stretch band frame c) dim",
                      stretch=self.n_stretches, frame=self.grids[-1], band=band, c=c)  # fmt: skip
        if mask is not None:
            mask = repeat(mask, "batch (window stretch frame) -> batch (window stretch band frame c)",
                          stretch=self.n_stretches, frame=self.grids[-1], band=band, c=c)  # fmt: skip
        return Frames(x, mask)

    def pack(self, x: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch frame packed"]:
        """The reverse of `unpack`."""
        band, c = self._shape(len(self.grids) - (self.dim // x.shape[-1]).bit_length())
        return rearrange(x, "batch (window stretch band frame c) dim -> batch (window stretch frame) (band c dim)",
                         stretch=self.n_stretches, frame=self.grids[-1], band=band, c=c)  # fmt: skip

    def narrow(self, state: Float[Tensor, "batch frame packed"]) -> Float[Tensor, "batch frame dim"]:
        """The columns of a frame side by side, the mean over frequency."""
        return state.unflatten(-1, (-1, self.dim)).mean(2)

    def finish(self, x: Float[Tensor, "batch token dim"]) -> Tensor:
        """The final norm, where the last stage is built."""
        return self.norm(x) if x.shape[-1] == self.dim else x

    def _shape(self, stage: int) -> tuple[int, int]:
        """Bands and columns of a frame's tokens."""
        return self.grids[stage] // self.n_stretches, self.grids[stage] // self.grids[-1]

    def _tokens(self, stage: int) -> int:
        band, c = self._shape(stage)
        return band * c

    def _stage(self, packed: Tensor) -> int:
        """Which stage a packed state is of: twice as wide as the next one's."""
        last = self._tokens(len(self.grids) - 1) * self.dim
        return len(self.grids) - (packed.shape[-1] // last).bit_length()
