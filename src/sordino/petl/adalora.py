"""AdaLoRA: a low-rank change in the form of singular values and vectors, of which those that are least important over
all sites together are pruned while it trains, until a budget is reached.

    y = W x + b + P diag(lambda) Q x
    score of triplet i: s(lambda_i) + mean_j s(P_ji) + mean_j s(Q_ij),   s(w) = I(w) U(w)
    I and U moving averages: of |w dL/dw|, and of its distance from I

Paper: Zhang et al., AdaLoRA: Adaptive Budget Allocation for Parameter-Efficient Fine-Tuning, 2023, section 3
https://arxiv.org/abs/2303.10512
Differs: as in the authors' code, what keeps P and Q orthogonal is the mean of norms over all matrices, not the sum of
squared ones (equation 4), and I is taken from the weights behind the step; warm-up and end are shares of the steps; a
value that was pruned may come back until the budget is reached, so weights kept from an earlier step (the best on
validation) may have more than r; the file holds all of P and Q, with zeros in lambda; a grouped convolution has a
rank in each group.
Parameters: the sum over sites of r_initial (in * kernel + out + 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn

from sordino.contracts import Attachment, Backbone, Part, Site
from sordino.petl._maps import (
    LinearMap,
    add_low_rank,
    linear_module,
    low_rank_shapes,
    low_rank_weight,
    n_groups,
    n_low_rank,
)
from sordino.petl._roles import RoleMethod, Roles
from sordino.petl.lora import LINEARS
from sordino.rules import Count, NotNegative, Range

SPREAD = 0.02  # standard deviation of the vectors at the start
Average = Annotated[float, Range(above=0, below=1)]


class Triplets(Part):
    """P, the diagonal and Q for one linear map, and how important each of their entries was so far.

    Args:
        module: the Linear or convolution it belongs to.
        r: how many triplets of a value, a column of P and a row of Q it starts with (in each group).
    """

    def __init__(self, module: LinearMap, r: int):
        super().__init__()
        shape_q, shape_p = low_rank_shapes(module, r)
        device, self.groups = module.weight.device, n_groups(module)
        self.P = nn.Parameter(SPREAD * torch.randn(shape_p, device=device))
        self.lambdas = nn.Parameter(torch.zeros(shape_q[0], device=device))
        self.Q = nn.Parameter(SPREAD * torch.randn(shape_q, device=device))
        for name, value in list(self.named_parameters()):
            self.register_buffer(f"{name}_sensitivity", torch.zeros_like(value))
            self.register_buffer(f"{name}_uncertainty", torch.zeros_like(value))

    def factors(self) -> tuple[Tensor, Tensor]:
        """diag(lambda) Q, and P."""
        return self.lambdas.reshape(-1, *[1] * (self.Q.dim() - 1)) * self.Q, self.P

    def after(self, module: LinearMap, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Add the low-rank path."""
        return add_low_rank(module, output, inputs[0], *self.factors(), 1.0)

    def merged(self, module: LinearMap, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weight with the change added."""
        return {"weight": values["weight"] + low_rank_weight(module, *self.factors())}

    def distances(self) -> Tensor:
        """How far the columns of P and the rows of Q are from orthogonal, a norm for each matrix."""
        p, q = self.P.unflatten(0, (self.groups, -1)), self.Q.flatten(1).unflatten(0, (self.groups, -1))
        products = torch.cat([p.mT @ p, q @ q.mT])
        return torch.linalg.matrix_norm(products - torch.eye(products.shape[-1], device=products.device))

    def weigh(self, beta1: float, beta2: float) -> None:
        """Take the gradients of a step into the averages (equations 8 to 10)."""
        for name, value in self.named_parameters():
            if value.grad is not None:
                now = (value * value.grad).abs()
                sensitivity = self.get_buffer(f"{name}_sensitivity").lerp_(now, 1 - beta1)
                self.get_buffer(f"{name}_uncertainty").lerp_((now - sensitivity).abs(), 1 - beta2)

    def scores(self) -> Tensor:
        """The score of each triplet."""
        p, value, q = (
            self.get_buffer(f"{name}_sensitivity") * self.get_buffer(f"{name}_uncertainty")
            for name in ("P", "lambdas", "Q")
        )
        return value + p.unflatten(0, (self.groups, -1)).mean(1).flatten() + q.flatten(1).mean(1)

    def export(self) -> dict[str, Tensor]:
        """Without the averages."""
        return {name: value.detach() for name, value in self.named_parameters()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take them back; the averages stay."""
        self.load_state_dict({**dict(self.named_buffers()), **tensors})


@dataclass(kw_only=True)
class AdaLoRA(RoleMethod):
    """Adaptive low-rank adaptation.

    Attributes:
        roles: the linear maps that get one.
        r: mean rank at the end.
        r_initial: rank at the start.
        warmup: share of the steps before the first pruning.
        final: share of the steps, the last ones, in which the ranks stay.
        prune_every: steps from one pruning to the next, until then.
        beta1: what the average of the sensitivity keeps in a step.
        beta2: what the average of the uncertainty keeps in a step.
        orthogonal: weight of the distance from orthogonal in the loss.
    """

    name: ClassVar[str] = "adalora"
    title: ClassVar[str] = "AdaLoRA"
    paper: ClassVar[str] = "https://arxiv.org/abs/2303.10512"
    year: ClassVar[int] = 2023
    mergeable: ClassVar[bool] = True
    learning_rate: ClassVar[float] = 1e-3

    roles: Roles = LINEARS
    r: Count = 2
    r_initial: Count = 3
    warmup: Annotated[float, Range(0, below=1)] = 0.15
    final: Annotated[float, Range(0, below=1)] = 0.5
    prune_every: Count = 10
    beta1: Average = 0.85
    beta2: Average = 0.85
    orthogonal: NotNegative = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.r > self.r_initial:
            raise ValueError(f"adalora.r = {self.r} is more than r_initial = {self.r_initial}, and ranks only fall")
        if self.warmup + self.final > 1:
            raise ValueError(f"adalora: warmup = {self.warmup:g} and final = {self.final:g} are more than all steps")

    def parts(self, backbone: Backbone) -> list[tuple[Site, Part]]:
        """The triplets of each site."""
        return [(site, Triplets(linear_module(backbone, site), self.r_initial)) for site in self.sites(backbone)]

    def n_parameters(self, backbone: Backbone) -> int:
        """The sum over sites of r_initial (in * kernel + out + 1)."""
        modules = [linear_module(backbone, site) for site in self.sites(backbone)]
        return sum(n_low_rank(module, self.r_initial) + n_groups(module) * self.r_initial for module in modules)

    def penalty(self, attachment: Attachment) -> Tensor:
        """The mean distance from orthogonal, weighted."""
        return self.orthogonal * torch.cat([part.distances() for part in triplets(attachment)]).mean()

    @torch.no_grad()
    def after_step(self, attachment: Attachment, step: int, steps: int) -> None:
        """Score the triplets, and set to zero the values of those that are beyond the budget (section 3.2)."""
        parts = triplets(attachment)
        first, last = round(self.warmup * steps), steps - round(self.final * steps)
        if step <= last:
            for part in parts:
                part.weigh(self.beta1, self.beta2)
        if step >= last or (step > first and step % self.prune_every == 0):
            order = torch.cat([part.scores() for part in parts]).argsort(descending=True, stable=True)
            kept = torch.zeros_like(order, dtype=torch.bool)
            kept[order[: self.budget(sum(part.groups for part in parts), step, first, last)]] = True
            for part, own in zip(parts, kept.split([len(part.lambdas) for part in parts]), strict=True):
                part.lambdas.mul_(own)

    def budget(self, matrices: int, step: int, first: int, last: int) -> int:
        """How many triplets are left at a step, from `first` to `last`, of so many matrices (section 3.3)."""
        left = max(0.0, 1 - (step - first) / max(1, last - first)) ** 3
        return matrices * self.r + int(left * matrices * (self.r_initial - self.r))


def triplets(attachment: Attachment) -> list[Triplets]:
    """The parts of an attachment."""
    return [part for _, part in attachment.placed() if isinstance(part, Triplets)]
