"""Answers that must move as the music was moved: tempo with the stretch, tonality with the transposition.

Two crops of one track, each moved by its own amount, are asked for a distribution over classes of log tempo, or over
twelve tonics (of two modes). The answer to one, moved by the difference and sharpened, is the target of the other.
A network that answers always the same pays for it, one that answers from the amount of the move would not: `spread`
tells whether the answers differ between tracks once the moves are undone.

Paper: Riou et al., PESTO, 2023, section 2.2 https://arxiv.org/abs/2309.02265; Quinton, Equivariant Self-Supervision
    for Musical Tempo Estimation, 2022 https://arxiv.org/abs/2209.01478; Kong et al., S-KEY, 2025
    https://arxiv.org/abs/2501.12907
Differs: one loss for both, a cross-entropy with a sharpened and moved target in both directions; key beside it by
    the circle of fifths, as in S-KEY, for keys a fifth apart are nearly the same.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

SHARPNESS = 2.0  # the target is the other answer to this power
N_TONICS = 12
FIFTH = 7  # semitones


def move_tempi(share: Float[Tensor, "row tempo"], steps: Int[Tensor, " row"]) -> Float[Tensor, "row tempo"]:
    """Move distributions over tempi `steps` classes up; what leaves the range is lost."""
    n_tempi = share.shape[1]
    source = torch.arange(n_tempi, device=share.device) - steps[:, None]
    inside = (source >= 0) & (source < n_tempi)
    return share.gather(1, source.clamp(0, n_tempi - 1)) * inside


def move_keys(share: Float[Tensor, "row key"], semitones: Int[Tensor, " row"]) -> Float[Tensor, "row key"]:
    """Transpose distributions over twelve tonics of each mode."""
    key = torch.arange(share.shape[1], device=share.device)
    source = key // N_TONICS * N_TONICS + (key - semitones[:, None]) % N_TONICS
    return share.gather(1, source)


def equivariance_loss(logits: Float[Tensor, "row class"], moves: Int[Tensor, " row"], move) -> Float[Tensor, ""]:
    """Mean cross-entropy of each answer with its partner's, moved.

    Args:
        logits: rows 2k and 2k + 1 are partners.
        moves: by how much each crop was moved.
        move: `move_tempi` or `move_keys`.
    """
    swapped = logits.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)
    difference = moves - moves.unflatten(0, (-1, 2)).flip(1).flatten()
    target = move((SHARPNESS * swapped.detach()).softmax(-1), difference)
    return F.cross_entropy(logits, target)


def fifths_loss(logits: Float[Tensor, "row key"], semitones: Int[Tensor, " row"]) -> Float[Tensor, ""]:
    """How far the answers of partners are from the same turn of the circle of fifths, 0 to 2.

    Keys lie on the circle by their signature (a minor key where its relative major lies), an answer's mean is a point
    inside it. Two points that move with the transpositions and lie on the circle cost nothing; to be undecided costs
    1/2, to be the same for unequal transpositions up to 2.
    """
    key = torch.arange(logits.shape[1], device=logits.device)
    signature = key % N_TONICS + 3 * (key // N_TONICS)
    turn = 2 * math.pi * FIFTH / N_TONICS
    share = logits.softmax(-1)[:, None]
    # Sums and no matrix products: those an autocast would compute in bfloat16, which complex numbers do not know.
    on_circle = torch.stack([torch.cos(turn * signature), torch.sin(turn * signature)])
    point = torch.view_as_complex((share * on_circle).sum(-1))
    unmoved = point * torch.polar(torch.ones_like(point.real), -turn * semitones.float())
    return (unmoved[0::2] * unmoved[1::2].conj() - 1).abs().square().mean() / 2


@torch.no_grad()
def spread(logits: Float[Tensor, "row class"], moves: Int[Tensor, " row"], move) -> float:
    """How many different answers there are, the moves undone: 1 where all tracks get the same one."""
    share = move(logits.float().softmax(-1), -moves)
    share = share / share.sum(-1, keepdim=True).clamp_min(1e-9)
    return float((torch.special.entr(share.mean(0)).sum() - torch.special.entr(share).sum(-1).mean()).exp())
