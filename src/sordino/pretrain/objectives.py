"""What the network is asked: tokens and chroma of hidden frames, long-term statistics, labels if there are.

Three kinds of questions, all answered by one linear layer on the last hidden state or on its mean over
time, so that the answers lie open for a linear probe:

- tokens of the mel and of the pitch view at hidden frames;
- regressions that need no label: chroma at hidden frames; mean and deviation of the mel bands, mean chroma
  and mean tempogram of each crop;
- labels that rendered music brings along (labels.py): beats, downbeats and chords per frame; key, tempo and
  instruments per crop.

Paper: Li et al., MERT, 2023 https://arxiv.org/abs/2306.00107; Alonso-Jimenez et al., OMAR-RQ, 2025
    https://arxiv.org/abs/2507.03482
Differs: labels of renders stand beside the tokens; the views are mel and whitened pitch.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sordino.backbones._mini_frontend import MEL_STACK, N_MELS, VIEWS, fold_chroma
from sordino.backbones.mini import Mini
from sordino.pretrain.labels import INSTRUMENT_FAMILIES, N_CHORDS, N_KEYS, N_TEMPI, Targets
from sordino.pretrain.masking import hide
from sordino.pretrain.quantiser import RandomQuantiser

N_TIMBRE_COMPONENTS = 64
TOKEN_VIEWS = ("mel", "pitch")
WEIGHTS = {
    "mel_tokens": 0.5, "pitch_tokens": 0.5, "chroma": 1.0, "timbre": 1.0, "harmony": 1.0, "pulse": 1.0,
    "beat": 2.0, "chord": 0.5, "key": 0.5, "tempo": 0.5, "instruments": 2.0,
}  # fmt: skip


@dataclass
class Crops:
    """One batch.

    Attributes:
        features: the views as stored, [batch frame feature].
        hidden: the frames that are replaced by noise, [batch frame].
        targets: labels of the rows that have some; None without labelled music.
    """

    features: Float[Tensor, "batch frame feature"]
    hidden: Bool[Tensor, "batch frame"]
    targets: Targets | None

    def to(self, device: torch.device) -> Crops:
        """The same on another device."""
        targets = None if self.targets is None else self.targets.to(device)
        return Crops(self.features.to(device), self.hidden.to(device), targets)


class Objectives(nn.Module):
    """Backbone, frozen quantisers and heads; called with a batch, it gives the losses by name.

    Args:
        backbone: the network to train.
        statistics_mean: mean of `mel_statistics` over the corpus.
        statistics_whitener: matrix [statistic component] that makes their deviations white.
        skip: names of WEIGHTS that are left out.
        n_codebooks: per view.
        n_codes: per codebook.
    """

    statistics_mean: Tensor
    statistics_whitener: Tensor

    def __init__(
        self,
        backbone: Mini,
        statistics_mean: Float[Tensor, " statistic"],
        statistics_whitener: Float[Tensor, "statistic component"],
        skip: Collection[str] = (),
        n_codebooks: int = 2,
        n_codes: int = 512,
    ):
        super().__init__()
        unknown = set(skip) - set(WEIGHTS)
        if unknown:
            raise ValueError(f"skip = {sorted(unknown)}: known are {', '.join(WEIGHTS)}")
        self.skip = set(skip)
        self.backbone = backbone
        self.register_buffer("statistics_mean", statistics_mean)
        self.register_buffer("statistics_whitener", statistics_whitener)
        widths = {view: VIEWS[view].stop - VIEWS[view].start for view in VIEWS}
        self.quantisers = nn.ModuleDict(
            {view: RandomQuantiser(widths[view], n_codebooks, n_codes, seed) for seed, view in enumerate(TOKEN_VIEWS)}
        )
        outputs = {
            **{f"{view}_tokens": n_codebooks * n_codes for view in TOKEN_VIEWS},
            "chroma": 12,
            "timbre": statistics_whitener.shape[1],
            "harmony": 12,
            "pulse": widths["tempogram"],
            "beat": 2,
            "chord": N_CHORDS,
            "key": N_KEYS,
            "tempo": N_TEMPI,
            "instruments": len(INSTRUMENT_FAMILIES),
        }
        self.heads = nn.ModuleDict({name: nn.Linear(backbone.dim, n) for name, n in outputs.items()})

    def forward(self, crops: Crops, generator: torch.Generator) -> dict[str, Float[Tensor, ""]]:
        """Losses by the names of WEIGHTS; a question nobody could answer in this batch is left out."""
        normed = (crops.features - self.backbone.feature_mean) / self.backbone.feature_std
        frames = self._encode(hide(normed, crops.hidden, generator))
        losses = self._unlabelled(frames, crops, normed)
        if crops.targets is not None:
            losses |= self._labelled(frames, crops.targets)
        return {name: loss for name, loss in losses.items() if name not in self.skip}

    def total(self, losses: dict[str, Float[Tensor, ""]]) -> Float[Tensor, ""]:
        """The weighted sum."""
        return torch.stack([WEIGHTS[name] * loss for name, loss in losses.items()]).sum()

    def _encode(self, normed: Tensor) -> Float[Tensor, "batch frame dim"]:
        x = self.backbone.project(normed)
        for layer in self.backbone.layers:
            x = layer(x, None)
        return self.backbone.finish(x)

    def _unlabelled(self, frames: Tensor, crops: Crops, normed: Tensor) -> dict[str, Tensor]:
        pooled = frames.mean(1)
        chroma = F.normalize(fold_chroma(crops.features[..., VIEWS["pitch"]]), dim=-1)
        mean_chroma = F.normalize(chroma.mean(1), dim=-1)
        losses = {
            "timbre": F.mse_loss(self.heads["timbre"](pooled).float(), self._timbre(crops.features)),
            "harmony": 12 * F.mse_loss(self.heads["harmony"](pooled).float(), mean_chroma),
            "pulse": F.mse_loss(self.heads["pulse"](pooled).float(), normed[..., VIEWS["tempogram"]].mean(1)),
        }
        if crops.hidden.any():
            seen = frames[crops.hidden]
            losses["chroma"] = 12 * F.mse_loss(self.heads["chroma"](seen).float(), chroma[crops.hidden])
            for view in TOKEN_VIEWS:
                losses[f"{view}_tokens"] = self._token_loss(view, seen, normed, crops.hidden)
        return losses

    def _token_loss(self, view: str, seen: Tensor, normed: Tensor, hidden: Tensor) -> Float[Tensor, ""]:
        """Mean cross-entropy, each codebook's divided by its unigram entropy: 1 is what counting gives."""
        quantiser = cast(RandomQuantiser, self.quantisers[view])
        tokens = quantiser(normed[..., VIEWS[view]])
        if self.training:
            quantiser.count(tokens)
        target = tokens[:, hidden]
        logits = self.heads[f"{view}_tokens"](seen).float().unflatten(-1, (len(target), -1))
        each = F.cross_entropy(logits.permute(0, 2, 1), target.T, reduction="none").mean(0)
        return (each / quantiser.entropy()).mean()

    def _timbre(self, features: Tensor) -> Float[Tensor, "batch component"]:
        return (mel_statistics(features) - self.statistics_mean) @ self.statistics_whitener

    def _labelled(self, frames: Tensor, targets: Targets) -> dict[str, Tensor]:
        """Questions about rendered crops; those without a label of a kind do not count."""
        rows = frames[targets.rows]
        pooled = rows.mean(1)
        losses = {
            "beat": _balanced_bce(self.heads["beat"](rows).float(), targets.beat),
            "tempo": F.cross_entropy(self.heads["tempo"](pooled).float(), targets.tempo),
            "instruments": F.binary_cross_entropy_with_logits(
                self.heads["instruments"](pooled).float(), targets.instruments
            ),
        }
        if (targets.key >= 0).any():
            losses["key"] = F.cross_entropy(self.heads["key"](pooled).float(), targets.key, ignore_index=-1)
        if (targets.chord >= 0).any():
            logits = self.heads["chord"](rows).float().flatten(0, 1)
            losses["chord"] = F.cross_entropy(logits, targets.chord.flatten(), ignore_index=-1)
        return losses


def mel_statistics(features: Float[Tensor, "batch frame feature"]) -> Float[Tensor, "batch statistic"]:
    """Mean and deviation over time of each mel band of a crop."""
    mel = features[..., VIEWS["mel"]].unflatten(-1, (MEL_STACK, N_MELS)).flatten(1, 2)
    return torch.cat([mel.mean(1), mel.std(1)], dim=-1)


def _balanced_bce(logits: Tensor, target: Tensor, positive_weight: float = 5.0) -> Float[Tensor, ""]:
    """Binary cross-entropy in which the rare beats weigh more."""
    weight = 1 + (positive_weight - 1) * target
    return F.binary_cross_entropy_with_logits(logits, target, weight=weight)
