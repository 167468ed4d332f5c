"""On which device and in which precision a model computes: one choice for training, validation, test and prediction."""

from __future__ import annotations

from dataclasses import dataclass

import torch


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
            precision: `float32` or `bf16`; `auto` for bf16 where the device multiplies it itself.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        chosen = torch.device(device)
        return cls(chosen, precision == "bf16" or (precision == "auto" and _multiplies_bf16(chosen)))

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
