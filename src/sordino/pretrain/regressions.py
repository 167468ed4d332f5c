"""What can be computed of a crop and asked of the network as numbers; no label is needed.

- Of frames: `chroma` (twelve pitch classes) and `onsets` (strengths in four bands, twice a frame).
- Of crops: `timbre` (mean and deviation of each mel band), `harmony` (mean chroma of the minute around) and `pulse`
  (autocorrelation of the onsets at the lags of the tempi).
- Of windows of three seconds: `sounds` (a teacher's embedding, see sounds.py).

Each has its mean taken off and is scaled so that a guess of the mean costs 1; timbre is made white.

Paper: Li et al., MERT, 2023 https://arxiv.org/abs/2306.00107 (a musical teacher beside the tokens)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from sordino.backbones._mini_frontend import MEL_STACK, N_MELS, VIEWS, fold_chroma
from sordino.pretrain.batches import Crops, CropSampler
from sordino.pretrain.rhythm import crop_tempogram, onset_strengths

N_WHITE_COMPONENTS = 64
SAMPLE_STEP = 4
WHITE = ("timbre",)  # whose few strongest components would else be all that is asked; of sounds these are what is heard
FRAME_REGRESSIONS = ("chroma", "onsets")


def raw_targets(crops: Crops) -> dict[str, Tensor]:
    """The numbers as they are: [batch frame value] of FRAME_REGRESSIONS, [batch value] of the others.

    Rows of `sounds` that are not known are NaN.
    """
    onsets = onset_strengths(crops.features[..., VIEWS["mel"]])
    return {
        "chroma": F.normalize(fold_chroma(crops.features[..., VIEWS["pitch"]]), dim=-1),
        "onsets": rearrange(onsets, "batch band (frame stack) -> batch frame (stack band)", stack=MEL_STACK),
        "timbre": mel_statistics(crops.features),
        "harmony": F.normalize(crops.harmony, dim=-1),
        "pulse": crop_tempogram(onsets),
        "sounds": crops.sounds,
    }


def mel_statistics(features: Float[Tensor, "batch frame feature"]) -> Float[Tensor, "batch statistic"]:
    """Mean and deviation over time of each mel band of a crop."""
    mel = features[..., VIEWS["mel"]].unflatten(-1, (MEL_STACK, N_MELS)).flatten(1, 2)
    return torch.cat([mel.mean(1), mel.std(1)], dim=-1)


@dataclass(frozen=True)
class Corpus:
    """What is known of the music beforehand.

    Attributes:
        feature_mean: of each feature.
        feature_std: of each feature.
        means: of each regression's raw target, by name.
        sample: some frames, as stored.
        scales: matrices [value component] by name: what makes a centred target cost 1.
    """

    feature_mean: Float[Tensor, " feature"]
    feature_std: Float[Tensor, " feature"]
    sample: Float[Tensor, "frame feature"]
    means: dict[str, Tensor]
    scales: dict[str, Tensor]


def measure_corpus(sampler: CropSampler, n_batches: int) -> Corpus:
    """Draw that many batches and measure; the sampler should augment nothing."""
    batches = [sampler.draw(step)[0] for step in range(n_batches)]
    features = torch.cat([crops.features for crops in batches]).flatten(0, 1)
    rows = [raw_targets(crops) for crops in batches]
    raw = {name: torch.cat([row[name].flatten(0, -2) for row in rows]) for name in rows[0]}
    raw = {name: values[~values.isnan().any(-1)] for name, values in raw.items()}
    means = {name: values.mean(0) for name, values in raw.items() if len(values)}
    scales = {
        name: whitener(raw[name]) if name in WHITE else torch.eye(len(mean)) / raw[name].var(0).mean().sqrt()
        for name, mean in means.items()
    }
    return Corpus(features.mean(0), features.std(0).clamp_min(0.01), features[::SAMPLE_STEP], means, scales)


def whitener(values: Float[Tensor, "row value"]) -> Float[Tensor, "value component"]:
    """Matrix to the strongest components, each with deviation 1."""
    centred = (values - values.mean(0)).double()
    variances, axes = torch.linalg.eigh(centred.T @ centred / len(centred))
    top = slice(-N_WHITE_COMPONENTS, None)
    # The least of these components would otherwise be noise blown up to the size of a signal.
    return (axes[:, top] / (variances[top] + 1e-3 * variances.max()).sqrt()).float()
