"""Every method adapts every backbone: a few steps lower the loss and change what is declared, no more."""

import functools
import math
from dataclasses import dataclass

import pytest
import torch

from sordino import registry
from sordino.contracts import Task
from sordino.model import Model
from sordino.petl import make_method
from tests.contract.exclusions import pairs, reason

N_CLIPS = 4


class TwoClasses(Task):
    """Stands for any task: which of two random classes a clip belongs to."""

    name, title, level = "two_classes", "two classes", "clip"
    label, metric, n_outputs = "class", "accuracy", 2

    def parse(self, label):
        return label

    def encode(self, label, n_frames, frame_rate_hz, start_s=0.0):
        return torch.tensor(label)

    def loss(self, logits, target, mask=None):
        return torch.nn.functional.cross_entropy(logits, target)

    def probabilities(self, logits):
        return logits.softmax(-1)

    def decode(self, probabilities, frame_rate_hz):
        raise NotImplementedError

    def score(self, reference, estimated):
        raise NotImplementedError


@dataclass
class Data:
    backbone: object
    waveform: torch.Tensor
    n_samples: torch.Tensor
    target: torch.Tensor


@functools.cache
def data(name):
    backbone = registry.find("backbone", name).tiny()
    n_samples = torch.tensor([round(seconds * backbone.sample_rate_hz) for seconds in (0.8, 0.5, 0.8, 0.61)])
    generator = torch.Generator().manual_seed(0)
    waveform = 0.1 * torch.randn(N_CLIPS, int(n_samples.max()), generator=generator)
    waveform = waveform * (torch.arange(waveform.shape[1]) < n_samples[:, None])
    return Data(backbone, waveform, n_samples, torch.tensor([0, 1, 1, 0]))


@pytest.mark.parametrize(
    ("method_name", "options", "backbone_name"), pairs([(name, {}) for name in registry.names("method")])
)
def test_a_few_steps_lower_the_loss_and_change_only_what_is_declared(method_name, options, backbone_name):
    if method_name == "peft":
        pytest.importorskip("peft")
    given, method = data(backbone_name), make_method(method_name, **options)
    if excluded := reason(method_name, options, backbone_name):
        with pytest.raises(ValueError, match="matches nothing on"):
            method.n_parameters(given.backbone)
        pytest.skip(excluded)
    task = TwoClasses()
    model = Model(given.backbone, [task], [method], {"dropout": 0.0})
    before = {name: value.clone() for name, value in model.backbone.state_dict().items()}
    trained_before = {name: value.detach().clone() for name, value in model.trained().items()}
    constant, mask = model.constant(given.waveform, given.n_samples)
    optimiser = torch.optim.Adam(model.parameter_groups(3e-3))
    losses = []
    model.train()
    for layer in model.backbone.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0
    for _ in range(8):
        loss = task.loss(model(constant, mask)[task.name], given.target)
        losses.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert all(math.isfinite(value) for value in losses)
    assert losses[-1] < losses[0]
    changed = {name for name, value in model.backbone.state_dict().items() if not torch.equal(value, before[name])}
    assert changed <= set(model.unfrozen)
    assert bool(changed) == method.trains_backbone
    n_trained = sum(p.numel() for p in model.attachment_parameters(method) if p.requires_grad)
    assert n_trained == method.n_parameters(given.backbone)
    moved = [name for name, value in model.trained().items() if not torch.equal(value, trained_before[name])]
    assert any(name.startswith("heads.") for name in moved)
    assert any(not name.startswith("heads.") for name in moved) == (n_trained > 0)
    assert given.backbone.fingerprint() == type(given.backbone).tiny().fingerprint()
