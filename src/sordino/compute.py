"""On which device and in which precision a model computes: one choice for training, validation, test and prediction."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F

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
            precision: `float32` or `bf16`; `auto` for bf16 where the device multiplies it itself. Where it would
                convolve wrongly in bf16 (which is tried once), it is float32 all the same, and stderr says so.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        chosen = torch.device(device)
        wanted = precision == "bf16" or (precision == "auto" and _multiplies_bf16(chosen))
        return cls(chosen, wanted and (chosen.type != "cpu" or _is_right_in_bf16()))

    @property
    def precision(self) -> str:
        """`bf16` or `float32`."""
        return "bf16" if self.bf16 else "float32"

    def context(self) -> torch.autocast:
        """Everything that a model computes runs inside it."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)


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
def _is_right_in_bf16() -> bool:
    """Whether convolutions in bfloat16 are what they are in float32, on processors where they may not be.

    oneDNN of torch 2.13 convolves 8 channels by kernels of width 8 wrongly with AMX, with a relative error of about 1.
    """
    if not _has_amx():
        return True
    generator = torch.Generator().manual_seed(0)
    for shape in ((8, 8, 8), (8, 8, 1, 8), (16, 8, 8), (8, 8, 3)):
        x = torch.randn(2, 8, *[1] * (len(shape) - 3), 64, generator=generator)
        weight = torch.randn(shape, generator=generator)
        convolve = F.conv1d if len(shape) == 3 else F.conv2d
        exact, found = convolve(x, weight), convolve(x.bfloat16(), weight.bfloat16()).float()
        if not float((found - exact).norm()) < MOST_ERROR * float(exact.norm()):
            told = "this processor (AMX) with this PyTorch convolves wrongly in bfloat16: float32 is used instead; "
            print(f"{told}ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16 in the environment makes bf16 right", file=sys.stderr)
            return False
    return True
