"""mini: the built-in conformer, small enough for a laptop, pretrained on free music.

A frozen frontend computes views of the sound at 25 frames per second (mel, whitened pitch, tempogram; see
`_mini_frontend.py`), a linear layer brings them to the model's width, conformer layers with rotary attention
follow. With onset channels of its own (`n_onsets`) the network finds periods itself (`_pulse.py`) and reads no
tempogram. The convolution modules norm over channels, so training and evaluation do the same. How
the weights came about is told in `weights/mini.md` and docs/pretraining.md.

Paper: Won et al., A Foundation Model for Music Informatics, 2023, section 3.1
https://arxiv.org/abs/2311.03318
Differs: three fixed views for the convolutional frontend, ChannelNorm for BatchNorm, rotary positions on
heads.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from einops import rearrange
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from sordino.backbones._conformer import ConformerLayer
from sordino.backbones._mini_frontend import (
    FRAME_SAMPLES,
    MEL_STACK,
    N_FEATURES,
    SAMPLE_RATE_HZ,
    VIEWS,
    MiniFrontend,
)
from sordino.backbones._pulse import PulseLayer
from sordino.backbones._weights import build_random, n_to_build
from sordino.contracts import Backbone
from sordino.files import write_with
from sordino.rules import Count, LayerCount, Range

Variant = Literal["taught", "label_free"]
BUILTIN: dict[Variant, Path] = {
    "taught": Path(__file__).parent / "weights" / "mini.safetensors",
    "label_free": Path(__file__).parent / "weights" / "mini_label_free.safetensors",
}
# Mean and deviation of each view on game music, where no better ones have been measured per feature.
USUAL_LEVELS = {"mel": (0.5, 3.5), "pitch": (0.15, 0.35), "tempogram": (0.05, 0.2)}


class Mini(Backbone):
    """The built-in backbone.

    Args:
        n_layers: conformer layers.
        dim: width.
        n_heads: attention heads.
        n_onsets: onset channels that the network learns; 0 for none: then the tempogram is read instead.
    """

    name = "mini"
    title = "mini conformer"
    paper = "https://arxiv.org/abs/2311.03318"
    licence = "Apache-2.0"

    feature_mean: Tensor
    feature_std: Tensor
    pulse: PulseLayer | None

    def __init__(
        self, n_layers: LayerCount = 4, dim: Count = 192, n_heads: Count = 3, n_onsets: Annotated[int, Range(0)] = 0
    ):
        super().__init__()
        self.config = {"n_layers": n_layers, "dim": dim, "n_heads": n_heads, "n_onsets": n_onsets}
        self.sample_rate_hz, self.hop_samples, self.dim = SAMPLE_RATE_HZ, FRAME_SAMPLES, dim
        self.states_depend_on = "" if n_heads == 3 else f"n_heads={n_heads}"  # no tensor tells it
        self.views = MiniFrontend()
        self.register_buffer("feature_mean", torch.zeros(N_FEATURES))
        self.register_buffer("feature_std", torch.ones(N_FEATURES))
        for view, (mean, std) in USUAL_LEVELS.items():
            self.feature_mean[VIEWS[view]], self.feature_std[VIEWS[view]] = mean, std
        self.pulse = PulseLayer(dim, n_onsets) if n_onsets else None
        n_read = VIEWS["tempogram"].start + MEL_STACK * n_onsets if n_onsets else N_FEATURES
        self.project = nn.Linear(n_read, dim)
        self.layers = nn.ModuleList(ConformerLayer(dim, n_heads, 4 * dim) for _ in range(n_layers))
        self.layer_norm = nn.LayerNorm(dim)

    @classmethod
    def load(
        cls,
        weights: str | Path | None = None,
        depth: Count | None = None,
        variant: Variant = "taught",
        **options: Any,
    ) -> Mini:
        """Build it.

        Args:
            weights: none for the built-in ones, `random` or `random:SEED`, or a file that `save` wrote.
            depth: how many layers to keep; none for all.
            variant: which of the built-in weights: `taught` with labels too, or `label_free`, by music alone.
            **options: those of the class, for random weights.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is damaged, its tensors are not this network's, or it has not so many layers.
        """
        if weights is not None and variant != "taught":
            raise ValueError(f'mini: variant = "{variant}" is of the built-in weights; leave weights or variant out')
        model = build_random(lambda: cls(**options), weights)
        if model is None:
            if options:
                raise ValueError(f"mini: {next(iter(options))} comes with the weights; leave it out or use random ones")
            model = cls._read(Path(weights) if weights is not None else BUILTIN[variant])
        model.layers = model.layers[: n_to_build(cls.name, depth, model.n_layers)]
        model.freeze()
        return model

    @classmethod
    def _read(cls, path: Path) -> Mini:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no weights for mini here; give a file that `sordino pretrain` wrote")
        try:
            with safe_open(path, framework="pt") as file:
                note = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(
                f"{path}: not a readable safetensors file ({error}); install or export it again"
            ) from error
        if note.get("sha256") != _digest(tensors):
            raise ValueError(f"{path}: the weights do not match their checksum; install or export the file again")
        model = cls(**json.loads(note["config"]))
        try:
            model.load_state_dict({name: value.float() for name, value in tensors.items()})
        except RuntimeError as error:
            raise ValueError(f"{path}: not the tensors of mini: {error}") from error
        model.weights = f"{path.name} {note['sha256'][:12]}"
        return model

    def save(self, path: str | Path) -> None:
        """Write the weights in float16, with the configuration and a checksum that `load` verifies."""
        tensors = {name: value.detach().cpu().half().contiguous() for name, value in self.state_dict().items()}
        note = {"sha256": _digest(tensors), "config": json.dumps(self.config)}
        write_with(path, lambda part: save_file(tensors, part, metadata=note))

    @classmethod
    def tiny(cls, seed: int = 0) -> Mini:
        """Two layers of width 32."""
        return cls.load(f"random:{seed}", n_layers=2, dim=32, n_heads=2)

    def n_frames(self, n_samples: int) -> int:
        """One frame for every 40 ms begun."""
        return max(1, -(-n_samples // self.hop_samples))

    def extract(self, waveform: Float[Tensor, "batch time"]) -> Float[Tensor, "batch frame dim"]:
        """The views, normed per feature, projected."""
        return self.embed_features(self.views(waveform))

    def embed_features(self, features: Float[Tensor, "batch frame feature"]) -> Float[Tensor, "batch frame dim"]:
        """What enters the encoder, from the views as the frontend (or a store of them) gives them."""
        normed = self.norm_features(features)
        return self.read_frames(normed) + self.read_pulse(normed)

    def norm_features(self, features: Float[Tensor, "batch frame feature"]) -> Float[Tensor, "batch frame feature"]:
        """Each feature with mean 0 and deviation 1, as far as the corpus knew it."""
        return (features - self.feature_mean) / self.feature_std

    def read_frames(self, normed: Float[Tensor, "batch frame feature"]) -> Float[Tensor, "batch frame dim"]:
        """What each frame says by itself (with 50 ms around it for onsets)."""
        if self.pulse is None:
            return self.project(normed)
        onsets = self.pulse.onsets(normed[..., VIEWS["mel"]])
        onsets = rearrange(onsets, "batch channel (frame stack) -> batch frame (stack channel)", stack=MEL_STACK)
        return self.project(torch.cat([normed[..., : VIEWS["tempogram"].start], onsets], dim=-1))

    def read_pulse(self, normed: Float[Tensor, "batch frame feature"]) -> Float[Tensor, "batch frame dim"] | float:
        """What the seconds around each frame say of the tempo; zero without onset channels."""
        return 0.0 if self.pulse is None else self.pulse(normed[..., VIEWS["mel"]])

    def finish(self, x: Float[Tensor, "batch frame dim"]) -> Tensor:
        """The final LayerNorm."""
        return self.layer_norm(x)


def _digest(tensors: dict[str, Tensor]) -> str:
    """SHA-256 over names, shapes and bytes."""
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
