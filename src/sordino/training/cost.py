"""What a training step costs, measured: seconds and peak memory of tensors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from sordino.model import Model


def peak_memory_bytes(model: Model, loss_of: Callable[[], Tensor]) -> int:
    """Peak memory of tensors in a training step: weights, activations, gradients and Adam's two moments.

    On a GPU the allocator's own peak, on a CPU the running sum of the allocations the profiler saw. Weights and
    gradients are left as they were.

    Args:
        model: what is trained, on its device.
        loss_of: computes the loss of one batch, with everything that a step computes.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    weights += sum(b.numel() * b.element_size() for b in model.buffers())
    adam = 2 * sum(p.numel() * p.element_size() for p in parameters)
    device = parameters[0].device
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        _backward(parameters, loss_of)
        return torch.cuda.max_memory_allocated(device) - before + weights + adam
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        _backward(parameters, loss_of)
    return _peak(seen) + weights + adam


def _backward(parameters: list[Tensor], loss_of: Callable[[], Tensor]) -> None:
    loss = loss_of()
    loss.backward()
    for parameter in parameters:
        parameter.grad = None


def _peak(seen: profile) -> int:
    """The highest running sum of allocations and releases."""
    events = [e for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]  # type: ignore[union-attr]
    now = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return peak
