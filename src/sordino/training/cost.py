"""What a training step costs, measured: seconds and peak memory of tensors."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only


def peak_memory_bytes(model: nn.Module, loss_of: Callable[[], Tensor]) -> int:
    """Peak memory of tensors in a training step: weights, activations, gradients and Adam's two moments.

    On a GPU the allocator's own peak, on a CPU the running sum of the storages that operators gave back. Weights and
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
    with _Storages() as seen:
        _backward(parameters, loss_of)
    return seen.peak + weights + adam


def _backward(parameters: Sequence[Tensor], loss_of: Callable[[], Tensor]) -> None:
    loss = loss_of()
    loss.backward()
    for parameter in parameters:
        parameter.grad = None


class _Storages(TorchDispatchMode):
    """Adds up the storages that operators give back, for as long as something refers to them."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self._alive: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        tree_map_only(Tensor, self._see, result)
        return result

    def _see(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._alive:
            self._alive.add(key)
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._release, key, storage.nbytes())
        return tensor

    def _release(self, key: int, n_bytes: int) -> None:
        self._alive.discard(key)
        self.now -= n_bytes
