"""Adapters with random tensors on a tiny backbone, in a moment."""

import torch

from sordino.adapter_file import save_adapter
from sordino.backbones import load_backbone
from sordino.model import Model
from sordino.petl import make_method
from sordino.tasks import make_task
from tests.conftest import TINY


def adapter(folder, task, method: str = "lora", segment_s: float = 1.0, spec=TINY, seed: int = 0, **options):
    """An adapter with random trained tensors."""
    backbone = load_backbone(**spec)
    task = make_task(task) if isinstance(task, str) else task
    model = Model(
        backbone,
        [task],
        [make_method(method, **options)],
        {"hidden": 0},
        seed=3,
    )
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in model.trained().values():
            value += 0.1 * torch.randn(value.shape, generator=generator)
    return save_adapter(model, folder, spec, backbone.fingerprint(), segment_s)


def song_adapters(folder):
    """One for each part of the song card."""
    instruments = make_task("tagging", label="instruments", tags=["guitar", "piano"])
    for name in ("key", "tempo", "beat", "chord"):
        adapter(folder / f"{name}.adapter", name)
    adapter(folder / "instruments.adapter", instruments, "probe")
