"""What the network is asked: hidden frames, long-term statistics, what moves with the music, labels if there are.

Four kinds of questions, all answered by one linear layer on the last hidden state or on its mean over
time, so that the answers lie open for a linear probe:

- hidden frames: tokens of the mel and of the pitch view;
- regressions that need no label: chroma and onset strengths in four bands of each frame, mean and deviation of the mel
  bands, mean chroma of the minute around, autocorrelation of the onsets at the lags of the tempi, and what a teacher
  of sound says (sounds.py);
- equivariance: tempo and key of two crops of one track, stretched and transposed by different amounts;
- labels that rendered music brings along (labels.py): beats, downbeats and chords per frame; key, tempo and
  instruments per crop. Key and tempo are the same answers as those of the equivariance.

Paper: Li et al., MERT, 2023 https://arxiv.org/abs/2306.00107; Alonso-Jimenez et al., OMAR-RQ, 2025
    https://arxiv.org/abs/2507.03482
Differs: labels of renders stand beside the tokens; the views are mel and whitened pitch. The network's
    own correlations (backbones/_pulse.py) read the frames before they are hidden: they tell the tempo of eight
    seconds, never what sounds in one frame.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sordino.backbones._mini_frontend import VIEWS
from sordino.backbones.mini import Mini
from sordino.pretrain.batches import Crops
from sordino.pretrain.equivariance import equivariance_loss, fifths_loss, move_keys, move_tempi, spread
from sordino.pretrain.labels import INSTRUMENT_FAMILIES, N_CHORDS, N_KEYS, N_TEMPI, Targets
from sordino.pretrain.masking import hide
from sordino.pretrain.quantiser import Quantiser, RandomQuantiser, ResidualQuantiser
from sordino.pretrain.regressions import FRAME_REGRESSIONS, Corpus, raw_targets

TOKEN_VIEWS = ("mel", "pitch")
WEIGHTS = {
    "mel_tokens": 0.5, "pitch_tokens": 0.5, "chroma": 1.0, "onsets": 0.5, "timbre": 1.0, "harmony": 1.0, "pulse": 1.0,
    "sounds": 2.0, "tempo_moves": 0.1, "key_moves": 0.1,
    "beat": 2.0, "chord": 0.5, "key": 0.25, "tempo": 0.25, "instruments": 2.0,
}  # fmt: skip


LOGIT_SCALE = 8.0  # of tempo and key: undecided answers, which move along with anything, are left soon


class Objectives(nn.Module):
    """Backbone, frozen quantisers and heads; called with a batch, it gives the losses by name.

    Args:
        backbone: the network to train.
        corpus: what is known of the music.
        skip: names of WEIGHTS that are left out.
        quantiser: `random` or `residual`, see quantiser.py.
        n_codebooks: per view.
        n_codes: per codebook.
    """

    def __init__(
        self,
        backbone: Mini,
        corpus: Corpus,
        skip: Collection[str] = (),
        quantiser: str = "random",
        n_codebooks: int = 2,
        n_codes: int = 512,
    ):
        super().__init__()
        unknown = set(skip) - set(WEIGHTS)
        if unknown:
            raise ValueError(f"skip = {sorted(unknown)}: known are {', '.join(WEIGHTS)}")
        self.skip = set(skip)
        self.backbone = backbone
        for name, mean in corpus.means.items():
            self.register_buffer(f"{name}_mean", mean)
            self.register_buffer(f"{name}_scale", corpus.scales[name])
        self.quantisers = nn.ModuleDict()
        for seed, view in enumerate(TOKEN_VIEWS):
            if quantiser == "residual":
                sample = backbone.norm_features(corpus.sample)[:, VIEWS[view]]
                self.quantisers[view] = ResidualQuantiser(sample, n_codebooks, n_codes, seed)
            else:
                self.quantisers[view] = RandomQuantiser(
                    VIEWS[view].stop - VIEWS[view].start, n_codebooks, n_codes, seed
                )
        outputs = {
            **{f"{view}_tokens": n_codebooks * n_codes for view in TOKEN_VIEWS},
            **{name: scale.shape[1] for name, scale in corpus.scales.items()},
            "beat": 2,
            "chord": N_CHORDS,
            "key": N_KEYS,
            "tempo": N_TEMPI,
            "instruments": len(INSTRUMENT_FAMILIES),
        }
        self.heads = nn.ModuleDict({name: nn.Linear(backbone.dim, n) for name, n in outputs.items()})

        self.spreads: dict[str, float] = {}

    def forward(self, crops: Crops, generator: torch.Generator) -> dict[str, Float[Tensor, ""]]:
        """Losses by the names of WEIGHTS; a question nobody could answer in this batch is left out."""
        normed = self.backbone.norm_features(crops.features)
        frames = self._encode(normed, hide(normed, crops.hidden, generator))
        pooled = frames.mean(1)
        tempo, key = (LOGIT_SCALE * self.heads[name](pooled).float() for name in ("tempo", "key"))
        losses = self._tokens(frames, crops, normed) | self._regressions(frames, pooled, crops)
        losses |= {
            "tempo_moves": equivariance_loss(tempo, crops.tempo_steps, move_tempi),
            "key_moves": equivariance_loss(key, crops.semitones, move_keys) + fifths_loss(key, crops.semitones),
        }
        losses |= self._labelled(frames, pooled, tempo, key, crops.targets)
        self.spreads = {
            "tempo_spread": spread(tempo, crops.tempo_steps, move_tempi),
            "key_spread": spread(key, crops.semitones, move_keys),
        }
        return {name: loss for name, loss in losses.items() if name not in self.skip}

    def total(self, losses: dict[str, Float[Tensor, ""]]) -> Float[Tensor, ""]:
        """The weighted sum."""
        return torch.stack([WEIGHTS[name] * loss for name, loss in losses.items()]).sum()

    def _encode(self, normed: Tensor, hidden: Tensor) -> Float[Tensor, "batch frame dim"]:
        x = self.backbone.read_frames(hidden) + self.backbone.read_pulse(normed)
        for layer in self.backbone.layers:
            x = layer(x, None)
        return self.backbone.finish(x)

    def _regressions(self, frames: Tensor, pooled: Tensor, crops: Crops) -> dict[str, Tensor]:
        """Squared errors; a guess of the mean costs 1.

        All frames are asked, not the hidden ones alone: what is only asked where it cannot be seen is dropped from
        states of whole music, and with it the mean chroma over time.
        """
        n = crops.sounds.shape[1]
        windows = frames[:, : frames.shape[1] // n * n].unflatten(1, (n, -1)).mean(2)
        losses = {}
        for name, raw in raw_targets(crops).items():
            if name in self.skip or name not in self.heads:
                continue
            asked = ~raw.isnan().any(-1)
            read = frames if name in FRAME_REGRESSIONS else windows if name == "sounds" else pooled
            if asked.any():
                wanted = (raw[asked] - self.get_buffer(f"{name}_mean")) @ self.get_buffer(f"{name}_scale")
                losses[name] = F.mse_loss(self.heads[name](read[asked]).float(), wanted)
        return losses

    def _tokens(self, frames: Tensor, crops: Crops, normed: Tensor) -> dict[str, Tensor]:
        """Which tokens the hidden frames are."""
        asked = [view for view in TOKEN_VIEWS if f"{view}_tokens" not in self.skip and crops.hidden.any()]
        seen = frames[crops.hidden]
        return {f"{view}_tokens": self._token_loss(view, seen, normed, crops.hidden) for view in asked}

    def _token_loss(self, view: str, seen: Tensor, normed: Tensor, hidden: Tensor) -> Float[Tensor, ""]:
        """Mean cross-entropy, each codebook's divided by its unigram entropy: 1 is what counting gives."""
        quantiser = cast(Quantiser, self.quantisers[view])
        tokens = quantiser(normed[..., VIEWS[view]])
        if self.training:
            quantiser.count(tokens)
        target = tokens[:, hidden]
        logits = self.heads[f"{view}_tokens"](seen).float().unflatten(-1, (len(target), -1))
        each = F.cross_entropy(logits.permute(0, 2, 1), target.T, reduction="none").mean(0)
        return (each / quantiser.entropy()).mean()

    def _labelled(
        self, frames: Tensor, pooled: Tensor, tempo: Tensor, key: Tensor, targets: Targets
    ) -> dict[str, Tensor]:
        """Questions about crops with labels; those without a label of a kind do not count."""
        losses = {}
        if targets.beat_known.any():
            losses["beat"] = _balanced_bce(self.heads["beat"](frames).float(), targets.beat, targets.beat_known)
        if targets.tempo.any():
            known = targets.tempo.any(-1)
            losses["tempo"] = F.cross_entropy(tempo[known], targets.tempo[known])
        if targets.instruments_known.any():
            known = targets.instruments_known > 0
            logits = self.heads["instruments"](pooled[known]).float()
            losses["instruments"] = F.binary_cross_entropy_with_logits(logits, targets.instruments[known])
        if (targets.key >= 0).any():
            losses["key"] = F.cross_entropy(key, targets.key, ignore_index=-1)
        if (targets.chord >= 0).any():
            logits = self.heads["chord"](frames).float().flatten(0, 1)
            losses["chord"] = F.cross_entropy(logits, targets.chord.flatten(), ignore_index=-1)
        return losses


def _balanced_bce(logits: Tensor, target: Tensor, known: Tensor, positive_weight: float = 5.0) -> Float[Tensor, ""]:
    """Binary cross-entropy over what is known, in which the rare beats weigh more."""
    weight = (1 + (positive_weight - 1) * target) * known
    summed = F.binary_cross_entropy_with_logits(logits, target, weight=weight, reduction="sum")
    return summed / known.sum()
