"""Which frames are hidden: spans of 0.4 s, replaced by noise.

Paper: Won et al., A Foundation Model for Music Informatics, 2023, section 3.1 https://arxiv.org/abs/2311.03318
Differs: spans lie on a grid with a random phase, so the share of hidden frames is the probability itself.
"""

from __future__ import annotations

import torch
from einops import repeat
from jaxtyping import Bool, Float
from torch import Tensor

SPAN_FRAMES = 10  # 0.4 s
NOISE_STD = 0.1


def span_mask(n_frames: int, share: Float[Tensor, " batch"], generator: torch.Generator) -> Bool[Tensor, "batch frame"]:
    """Hide each span of the grid with the probability `share` of its row."""
    n_spans = n_frames // SPAN_FRAMES + 2
    hidden = torch.rand(len(share), n_spans, generator=generator) < share[:, None]
    frames = repeat(hidden, "batch span -> batch (span frame)", frame=SPAN_FRAMES)
    phases = torch.randint(SPAN_FRAMES, (len(share), 1), generator=generator)
    return frames.gather(1, phases + torch.arange(n_frames))


def hide(
    x: Float[Tensor, "batch frame feature"], mask: Bool[Tensor, "batch frame"], generator: torch.Generator
) -> Float[Tensor, "batch frame feature"]:
    """Replace the masked frames of normed features by quiet noise."""
    noise = torch.randn(x.shape, generator=generator) * NOISE_STD
    return torch.where(mask[..., None], noise.to(x), x)
