"""Devices and processes of a run, through Lightning Fabric."""

from __future__ import annotations

import logging

import torch
from lightning_fabric import Fabric
from torch import Tensor

from sordino.compute import Compute
from sordino.config import Training


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
