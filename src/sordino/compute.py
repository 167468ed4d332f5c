"""On which device and in which precision a model computes: one choice for training, validation, test and prediction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

CONVOLUTIONS = (F.conv1d, F.conv2d, F.conv3d)
WIDE = 8  # frames (or bins) of the last axis of a kernel
MOST_ERROR = 0.05  # of a convolution in bfloat16, relative; its own rounding gives less than 0.01


@dataclass(frozen=True)
class Compute:
    """A device and a precision.

    Attributes:
        device: where tensors lie.
        bf16: matrix products in bfloat16 (autocast); else float32.
    """

    device: torch.device
    bf16: bool

    @classmethod
    def choose(cls, device: str | torch.device = "auto", precision: str = "auto") -> Compute:
        """What this machine has.

        Args:
            device: `cpu`, `cuda`, `cuda:1`, `mps`; `auto` for a GPU if there is one.
            precision: `float32` or `bf16`; `auto` for bf16 where the device multiplies it itself. Where a processor
                convolves some shapes wrongly in bf16 (which is tried once), these stay in float32.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        chosen = torch.device(device)
        wanted = precision == "bf16" or (precision == "auto" and _multiplies_bf16(chosen))
        return cls(chosen, wanted)

    @property
    def precision(self) -> str:
        """`bf16` or `float32`."""
        return "bf16" if self.bf16 else "float32"

    @contextmanager
    def context(self) -> Iterator[None]:
        """Everything that a model computes runs inside it."""
        with ExitStack() as stack:
            stack.enter_context(torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16))
            if self.bf16 and self.device.type == "cpu" and not _convolves_rightly():
                stack.enter_context(_WideInFloat32())
            yield


def _multiplies_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    check = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return device.type == "cpu" and bool(check and check())


def _has_amx() -> bool:
    """Whether this processor multiplies tiles of bfloat16 (Intel's AMX)."""
    check = getattr(torch.cpu, "_is_amx_tile_supported", None)
    if check is not None:
        return bool(check())
    told = Path("/proc/cpuinfo")
    return told.is_file() and "amx_bf16" in told.read_text(errors="replace")


@cache
def _convolves_rightly() -> bool:
    """Whether convolutions in bfloat16 are what they are in float32, on processors where they may not be.

    With AMX, oneDNN of torch 2.13 convolves some wide kernels wrongly, with a relative error of about 1: of 3,124
    random shapes 48, all 8 or more wide, none depthwise. Only the answer is wrong, the gradients are right.
    """
    if not _has_amx():
        return True
    generator = torch.Generator().manual_seed(0)
    for shape in ((8, 8, 8), (8, 8, 1, 8), (16, 8, 8), (8, 2, 3, 32)):
        x = torch.randn(2, shape[1], *[4] * (len(shape) - 3), 64, generator=generator)
        weight = torch.randn(shape, generator=generator)
        convolve = F.conv1d if len(shape) == 3 else F.conv2d
        exact, found = convolve(x, weight), convolve(x.bfloat16(), weight.bfloat16()).float()
        if not float((found - exact).norm()) < MOST_ERROR * float(exact.norm()):
            return False
    return True


class _WideInFloat32(TorchFunctionMode):
    """Within it, convolutions by kernels that are at least `WIDE` wide and not depthwise are computed in float32."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function in CONVOLUTIONS:
            weight = kwargs["weight"] if "weight" in kwargs else args[1]
            if weight.shape[-1] >= WIDE and weight.shape[1] > 1:
                with torch.autocast("cpu", enabled=False):
                    return function(*map(_float32, args), **{name: _float32(value) for name, value in kwargs.items()})
        return function(*args, **kwargs)


def _float32(value):
    return value.float() if isinstance(value, torch.Tensor) else value
