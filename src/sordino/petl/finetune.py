"""Full fine-tuning: the encoder's own weights are trained, each layer with its rate.

    rate of layer k of n = backbone_learning_rate * layer_decay ** (n - k)

What comes before layer 1 counts as layer 0, the frontend (with `frontend`) as layer -1, the final norm as layer n. The
model works on a copy of the backbone. One rate for everything, as in Ding and Lerch, 2024, is `frontend = true` and
`training.lr` at the backbone's rate.

Paper: Howard and Ruder, Universal Language Model Fine-tuning for Text Classification, 2018, section 3.2
(rates by layer) https://arxiv.org/abs/1801.06146
Differs: the frontend stays frozen unless it is asked for; the statistics of every BatchNorm always do, and only its
weight and bias learn.
Parameters: all that a gradient reaches from the frontend's output (with `frontend` from the waveform) to the
highest hidden state that is read, in the chosen layers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from sordino.contracts import Backbone, Frames, Method, Part, Site
from sordino.rules import NotNegative, Share

N_TRIAL_FRAMES = 8
USUAL_RATE = 1e-5  # of weights that were trained before


def layers_of(backbone: Backbone, frontend: bool = False) -> dict[str, int]:
    """The parameters up to the highest state that is read, and the layer of each.

    The layer is -1 in the frontend (if that is wanted), 0 between it and layer 1, n_layers + 1 behind the last. The
    parameters are found by trying which ones a gradient reaches, so that no backbone needs to list them.
    """
    trial = backbone.share()
    for module in trial.modules():  # leaves of their own, so that nobody else's requires_grad is touched
        module._parameters = {
            name: None if value is None else torch.nn.Parameter(value.detach())
            for name, value in module._parameters.items()
        }
    named = dict(trial.named_parameters())
    sample = next(iter(named.values()))

    def reached(state: torch.Tensor) -> set[str]:
        if not state.requires_grad:
            return set()
        found = torch.autograd.grad(state.sum(), list(named.values()), allow_unused=True, retain_graph=True)
        return {name for name, gradient in zip(named, found, strict=True) if gradient is not None}

    with torch.enable_grad():
        x = torch.zeros(1, N_TRIAL_FRAMES, backbone.dim, device=sample.device, dtype=sample.dtype)
        states = trial.encode(Frames(x), stop=backbone.top)
        before, anywhere = reached(states[0]), reached(states[-1])
        waveform = torch.zeros(1, N_TRIAL_FRAMES * backbone.hop_samples, device=sample.device)
        heard = reached(trial.extract(waveform)) if frontend else set()
    layers = {}
    for name in named:
        inside = re.match(r"layers\.(\d+)\.", name)
        if name in heard:
            layers[name] = -1
        elif name in before:
            layers[name] = 0
        elif name in anywhere:
            layers[name] = int(inside[1]) + 1 if inside else backbone.n_layers + 1
    return layers


@dataclass(kw_only=True)
class Finetune(Method):
    """Train the encoder itself.

    Attributes:
        layers: the layers that are trained; what comes before layer 1 goes with it, the final norm with all.
        frontend: train the frontend too, where layer 1 is; every step then begins with the sound.
        backbone_learning_rate: rate of the last layer; none: 1e-5, or the rate of the run where the weights are random.
        layer_decay: factor on the rate from each layer to the one below.
    """

    name: ClassVar[str] = "finetune"
    title: ClassVar[str] = "Full fine-tuning"
    paper: ClassVar[str] = "https://arxiv.org/abs/1801.06146"
    year: ClassVar[int] = 2018
    trains_backbone: ClassVar[bool] = True

    frontend: bool = False
    backbone_learning_rate: NotNegative | None = None
    layer_decay: Share = 1.0

    def parts(self, backbone: Backbone) -> list[tuple[Site, Part]]:
        """None: the weights themselves are trained."""
        return []

    def trained_layers(self, backbone: Backbone) -> dict[str, int]:
        """The trained parameters and the layer of each."""
        chosen = {*self.chosen_layers(backbone), backbone.n_layers + 1}
        chosen |= {0, *([-1] if self.frontend else [])} if 1 in chosen else set()
        return {name: layer for name, layer in layers_of(backbone, self.frontend).items() if layer in chosen}

    def unfrozen(self, backbone: Backbone) -> dict[str, int]:
        """What is trained, in the backbone's order; the final norm touches the last state and none before it."""
        return {name: min(layer, backbone.n_layers) for name, layer in self.trained_layers(backbone).items()}

    def n_parameters(self, backbone: Backbone) -> int:
        """The size of all that is trained."""
        named = dict(backbone.named_parameters())
        return sum(named[name].numel() for name in self.unfrozen(backbone))

    def parameter_groups(self, model: Any, lr: float) -> list[dict[str, Any]]:
        """One group for each layer, with its rate."""
        named, n_layers = dict(model.backbone.named_parameters()), model.backbone.n_layers
        usual = lr if model.backbone.weights.startswith("random") else USUAL_RATE
        rate = usual if self.backbone_learning_rate is None else self.backbone_learning_rate
        groups: dict[int, list[torch.nn.Parameter]] = {}
        for name, layer in self.unfrozen(model.backbone).items():
            groups.setdefault(layer, []).append(named[name])
        return [
            {"params": params, "lr": rate * self.layer_decay ** (n_layers - layer)}
            for layer, params in sorted(groups.items())
        ]
