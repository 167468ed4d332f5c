"""Quantisers: frames to tokens, for a view and several codebooks.

Each frame of a view, normed per band, has its own mean taken off (else loudness would fill the codebook). Then

- `random`: it is projected by random matrices, brought to length one, and named by the nearest of V random unit
  vectors, for each codebook anew; nothing is learned.
- `residual`: it is brought to its principal components, named by the nearest of V learned vectors, and what is
  left over by the nearest of V others. Learned by k-means before the training begins, then frozen.

Paper: Chiu et al., Self-supervised Learning with Random-projection Quantizer for Speech Recognition, 2022,
    section 3.1 https://arxiv.org/abs/2202.01855 (random); Zhu et al., MuQ: Self-Supervised Music Representation
    Learning with Mel Residual Vector Quantization, 2025, section 3.2 https://arxiv.org/abs/2501.01108 (residual)
Differs: per-band norm and the frame's mean taken off; with MusicFM's one mean and deviation for all bands a
    codebook of 1024 collapses to a perplexity of 33 on game music. Principal components and k-means for MuQ's
    autoencoder.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

CODE_DIM = 16
RESIDUAL_DIM = 32
KMEANS_ROUNDS = 8


class Quantiser(nn.Module):
    """Running counts of how often each code of each codebook is used; a subclass names the codes."""

    counts: Tensor

    def __init__(self, n_codebooks: int, n_codes: int):
        super().__init__()
        self.register_buffer("counts", torch.ones(n_codebooks, n_codes))

    def forward(self, x: Float[Tensor, "batch frame feature"]) -> Int[Tensor, "codebook batch frame"]:
        """Tokens of a view that is normed per band."""
        raise NotImplementedError

    @torch.no_grad()
    def count(self, tokens: Int[Tensor, "codebook batch frame"], decay: float = 0.99) -> None:
        """Add tokens to the running counts."""
        n_codes = self.counts.shape[1]
        for counts, row in zip(self.counts, tokens.flatten(1), strict=True):
            counts.mul_(decay).add_(torch.bincount(row, minlength=n_codes), alpha=1 - decay)

    def entropy(self) -> Float[Tensor, " codebook"]:
        """Unigram entropy of the tokens seen, in nats: the loss of who knows only how common each code is."""
        share = self.counts / self.counts.sum(-1, keepdim=True)
        return torch.special.entr(share).sum(-1)

    def perplexity(self) -> Float[Tensor, " codebook"]:
        """The number of codes in use, as it were: exp of the entropy."""
        return self.entropy().exp()


class RandomQuantiser(Quantiser):
    """Random projections and codebooks.

    Args:
        n_features: width of the view.
        n_codebooks: independent projections and codebooks.
        n_codes: vectors in each.
        seed: of the random numbers; the same seed gives the same tokens.
    """

    projections: Tensor
    codes: Tensor

    def __init__(self, n_features: int, n_codebooks: int = 2, n_codes: int = 512, seed: int = 0):
        super().__init__(n_codebooks, n_codes)
        generator = torch.Generator().manual_seed(seed)
        projections = torch.randn(n_codebooks, n_features, CODE_DIM, generator=generator) / math.sqrt(n_features)
        codes = F.normalize(torch.randn(n_codebooks, n_codes, CODE_DIM, generator=generator), dim=-1)
        self.register_buffer("projections", projections / math.sqrt(n_features))
        self.register_buffer("codes", codes)

    @torch.no_grad()
    def forward(self, x: Float[Tensor, "batch frame feature"]) -> Int[Tensor, "codebook batch frame"]:
        """The nearest code by angle, in each codebook."""
        x = x - x.mean(-1, keepdim=True)
        projected = F.normalize(torch.einsum("btf,cfd->cbtd", x, self.projections), dim=-1)
        return torch.einsum("cbtd,cvd->cbtv", projected, self.codes).argmax(-1)


class ResidualQuantiser(Quantiser):
    """Codebooks learned one after the other, each of what the ones before it leave over.

    Args:
        sample: frames of the view to learn from, normed per band; some tens for each code.
        n_codebooks: stages.
        n_codes: vectors in each.
        seed: of the frames that k-means begins with.
    """

    components: Tensor
    codes: Tensor

    def __init__(self, sample: Float[Tensor, "frame feature"], n_codebooks: int = 2, n_codes: int = 512, seed: int = 0):
        super().__init__(n_codebooks, n_codes)
        generator = torch.Generator().manual_seed(seed)
        sample = sample - sample.mean(-1, keepdim=True)
        _, axes = torch.linalg.eigh(sample.T @ sample)
        self.register_buffer("components", axes[:, -RESIDUAL_DIM:].contiguous())
        rest, codes = sample @ self.components, []
        for _ in range(n_codebooks):
            codes.append(kmeans(rest, n_codes, generator))
            rest = rest - codes[-1][nearest(rest, codes[-1])]
        self.register_buffer("codes", torch.stack(codes))

    @torch.no_grad()
    def forward(self, x: Float[Tensor, "batch frame feature"]) -> Int[Tensor, "codebook batch frame"]:
        """The nearest code, then the nearest to what is left over."""
        rest, tokens = (x - x.mean(-1, keepdim=True)) @ self.components, []
        for codes in self.codes:
            tokens.append(nearest(rest, codes))
            rest = rest - codes[tokens[-1]]
        return torch.stack(tokens)


def nearest(x: Float[Tensor, "*row dim"], codes: Float[Tensor, "code dim"]) -> Int[Tensor, "*row"]:
    """Number of the code at the least distance."""
    return (2 * x @ codes.T - codes.square().sum(-1)).argmax(-1)


def kmeans(x: Float[Tensor, "row dim"], n_codes: int, generator: torch.Generator) -> Float[Tensor, "code dim"]:
    """Centres of k-means; one that loses all its rows stays where it was."""
    centres = x[torch.randperm(len(x), generator=generator)[:n_codes]].clone()
    for _ in range(KMEANS_ROUNDS):
        chosen = nearest(x, centres)
        n_rows = torch.bincount(chosen, minlength=n_codes)[:, None]
        sums = torch.zeros_like(centres).index_add_(0, chosen, x)
        centres = torch.where(n_rows > 0, sums / n_rows.clamp_min(1), centres)
    return centres
