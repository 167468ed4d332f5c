"""Devices and processes of a run, through Lightning Fabric."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from sordino.compute import Compute
from sordino.config import Training


@contextmanager
def absent(package: str) -> Iterator[None]:
    """Nobody can import a package meanwhile, unless it is imported already."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # as the import system documents it
    try:
        yield
    finally:
        del sys.modules[package]


with absent("torchmetrics"):  # Fabric would import all of it to read its version, seconds for metrics that are not ours
    from lightning_fabric import Fabric

__all__ = ["Fabric", "launched", "summed", "wait"]


def launched(settings: Training) -> Fabric:
    """Fabric with its processes started (or joined, under torchrun and SLURM).

    Precision is not Fabric's: `Compute.context` serves training, validation and test alike.
    """
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    device = Compute.choose(settings.accelerator, "float32").device.type
    strategy = "ddp" if settings.devices > 1 else "auto"
    fabric = Fabric(accelerator=device, devices=settings.devices, strategy=strategy)
    fabric.launch()
    return fabric


def wait(fabric: Fabric) -> None:
    """Until all processes are here."""
    if fabric.world_size > 1:
        fabric.barrier()


def summed(fabric: Fabric, value: Tensor) -> Tensor:
    """The sum over all processes."""
    if fabric.world_size == 1:
        return value
    total = value.clone()
    torch.distributed.all_reduce(total)
    return total
