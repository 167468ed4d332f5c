"""The pretraining loop: Fabric for devices and precision, atomic checkpoints, a log line now and then.

A run is a folder: `config.json`, `log.jsonl`, `checkpoint.pt` (to go on from) and `mini.safetensors` (the
network as `load_backbone("mini", weights=...)` takes it, written with every checkpoint).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
from lightning_fabric import Fabric

from sordino.backbones.mini import Mini
from sordino.compute import Compute
from sordino.files import write_json, write_stream
from sordino.holding import held
from sordino.pretrain.batches import CropSampler, Material, Tracks
from sordino.pretrain.objectives import Objectives
from sordino.pretrain.quantiser import Quantiser
from sordino.pretrain.regressions import measure_corpus
from sordino.pretrain.store import FRAME_RATE_HZ

LOG_EVERY_STEPS = 50


@dataclass(kw_only=True)
class PretrainConfig:
    """How a run is made; what it is trained on is given beside it.

    Attributes:
        n_layers: conformer layers.
        dim: width.
        n_heads: attention heads.
        n_onsets: onset channels that the network learns; 0 to read the fixed tempogram instead.
        steps: optimiser steps.
        batch_size: crops in a step, on each device.
        crop_s: length of a crop.
        lr: highest learning rate.
        warmup_steps: steps from zero to `lr`; a cosine then falls to a twentieth of it.
        weight_decay: of AdamW, on matrices.
        labelled_share: part of each batch that is rendered music with labels.
        hidden_share: how much of the unlabelled crops is hidden, from nothing to twice as much.
        dropout: in the backbone, while it is pretrained.
        start_from: weights to begin with, a file as a run writes it or `builtin`; empty for random ones.
        quantiser: `random` or `residual` tokens, see quantiser.py.
        skip: questions left out, names of `objectives.WEIGHTS` (for ablations).
        seed: of everything.
        precision: Fabric's name for it; `bf16-mixed` where the machine is good at it.
        save_every_steps: between checkpoints.
    """

    n_layers: int = 4
    dim: int = 192
    n_heads: int = 3
    n_onsets: int = 16
    steps: int = 5000
    batch_size: int = 8
    crop_s: float = 12.0
    lr: float = 1e-3
    warmup_steps: int = 100
    weight_decay: float = 0.01
    labelled_share: float = 0.5
    hidden_share: float = 0.35
    dropout: float = 0.0
    start_from: str = ""
    quantiser: Literal["random", "residual"] = "random"
    skip: tuple[str, ...] = ()
    seed: int = 0
    precision: str = "bf16-mixed"
    save_every_steps: int = 200


def pretrain(
    config: PretrainConfig,
    material: Material,
    run: Path,
    devices: int | str = "auto",
    report: Callable[[dict[str, Any]], None] = lambda row: None,
    stop_at_step: int | None = None,
) -> Mini:
    """Train, or go on training, in the folder `run`.

    Args:
        config: see there; a run that goes on must be given the same one.
        material: the music and what is known of it.
        run: folder of the run.
        devices: as Fabric takes it.
        report: called with each line of the log.
        stop_at_step: stop there, to go on later; None: at the end.

    Raises:
        ValueError: the run was begun with another configuration.
    """
    run.mkdir(parents=True, exist_ok=True)
    _keep_config(config, run / "config.json")
    fabric = Fabric(devices=devices, precision=config.precision, strategy=_strategy(devices))  # type: ignore[arg-type]
    fabric.launch()
    with held(run / "checkpoint.pt") if fabric.is_global_zero else nullcontext():
        return _pretrained(config, material, run, fabric, report, stop_at_step or config.steps)


def _pretrained(
    config: PretrainConfig,
    material: Material,
    run: Path,
    fabric: Fabric,
    report: Callable[[dict[str, Any]], None],
    stop_at_step: int,
) -> Mini:
    """The network after so many steps; nobody else writes into the folder of the run."""
    torch.manual_seed(config.seed)
    samplers = {split: _sampler(config, split, material) for split in ("train", "validation")}
    objectives = _build(config, samplers["train"].music)
    optimiser = torch.optim.AdamW(
        _parameter_groups(objectives, config.weight_decay), lr=config.lr, betas=(0.9, 0.98), fused=True
    )
    objectives.train()
    step: int = 0
    checkpoint = run / "checkpoint.pt"
    if checkpoint.is_file():
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        objectives.load_state_dict(state["objectives"])
        optimiser.load_state_dict(state["optimiser"])
        step = int(state["step"])
    module, optimiser = fabric.setup(objectives, optimiser)
    begun, begun_at, step_s = time.monotonic(), step, config.batch_size * fabric.world_size * config.crop_s
    while step < stop_at_step:
        for group in optimiser.param_groups:
            group["lr"] = config.lr * schedule(step, config.steps, config.warmup_steps)
        crops, generator = samplers["train"].draw(step * fabric.world_size + fabric.global_rank)
        torch.manual_seed(generator.initial_seed())  # dropout, too, depends on nothing but seed and step
        losses = module(crops.to(fabric.device), generator)
        losses = {"loss": objectives.total(losses), **losses}
        fabric.backward(losses["loss"])
        norm = cast(torch.Tensor, fabric.clip_gradients(module, optimiser, max_norm=1.0, error_if_nonfinite=False))
        if not math.isfinite(float(norm)):
            raise ValueError(f"the gradient is {float(norm)} at step {step}; lower `lr`, the last checkpoint is kept")
        optimiser.step()
        optimiser.zero_grad()
        step += 1
        saves = step % config.save_every_steps == 0 or step in (config.steps, stop_at_step)
        if saves or step % LOG_EVERY_STEPS == 0:
            row = {"step": step, "gradient_norm": float(norm)} | _perplexities(objectives) | objectives.spreads
            row |= {name: value.item() for name, value in losses.items()}
            row["audio_hours"] = step * step_s / 3600
            row["times_real_time"] = (step - begun_at) * step_s / (time.monotonic() - begun)
            if saves:
                row |= _validate(module, objectives, samplers["validation"], fabric.device)
                _save(fabric, objectives, optimiser, step, run)
            if fabric.is_global_zero:
                _log(row, run / "log.jsonl")
                report(row)
    return objectives.backbone.freeze()  # type: ignore[return-value]


def _strategy(devices: int | str) -> str:
    """Several processes need to know that a batch need not reach every head."""
    several = torch.cuda.device_count() > 1 if devices == "auto" else int(devices) > 1
    return "ddp_find_unused_parameters_true" if several else "auto"


def usual_precision() -> str:
    """`bf16-mixed` where the machine computes in bfloat16 itself, else `32-true`."""
    return "bf16-mixed" if Compute.choose().bf16 else "32-true"


def schedule(step: int, steps: int, warmup_steps: int) -> float:
    """The learning rate as a share of the highest: linear rise, then a cosine down to a twentieth."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, steps - warmup_steps)
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * progress))


def _build(config: PretrainConfig, music: Tracks) -> Objectives:
    n_frames = round(config.crop_s * FRAME_RATE_HZ)
    n_batches = min(64, 1 + round(music.store.duration_s / config.crop_s / 8))  # 512 crops, or about all there is
    corpus = measure_corpus(CropSampler(music, None, n_frames, 8, augment=False, seed=config.seed), n_batches)
    if config.start_from:
        backbone = Mini.load(None if config.start_from == "builtin" else config.start_from).requires_grad_(True)
    else:
        backbone = Mini(config.n_layers, config.dim, config.n_heads, config.n_onsets)
        backbone.feature_mean.copy_(corpus.feature_mean)
        backbone.feature_std.copy_(corpus.feature_std)
    for module in backbone.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = config.dropout
    return Objectives(backbone, corpus, config.skip, config.quantiser)


def _sampler(config: PretrainConfig, split: str, material: Material) -> CropSampler:
    music, rendered = material.of(split)
    return CropSampler(
        music,
        rendered,
        round(config.crop_s * FRAME_RATE_HZ),
        config.batch_size,
        config.hidden_share,
        config.labelled_share,
        augment=split == "train",
        seed=config.seed if split == "train" else 1,
    )


def _parameter_groups(module: torch.nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    parameters = list(module.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


@torch.no_grad()
def _validate(
    module: torch.nn.Module,
    objectives: Objectives,
    sampler: CropSampler,
    device: torch.device,
    n_batches: int = 8,
) -> dict[str, float]:
    """Losses on held-out albums and tunes, always the same crops; none where no album is held out."""
    if not sampler.music.store.items:
        return {}
    module.eval()
    sums: dict[str, float] = {}
    for step in range(n_batches):
        crops, generator = sampler.draw(step)
        losses = {name: value.item() for name, value in module(crops.to(device), generator).items()}
        for name, value in (losses | objectives.spreads).items():
            sums[name] = sums.get(name, 0.0) + value / n_batches
    module.train()
    return {f"validation_{name}": value for name, value in sums.items()}


def _perplexities(objectives: Objectives) -> dict[str, float]:
    quantisers = {view: cast(Quantiser, own) for view, own in objectives.quantisers.items()}
    return {f"perplexity_{view}": own.perplexity().mean().item() for view, own in quantisers.items()}


def _save(fabric: Fabric, objectives: Objectives, optimiser: Any, step: int, run: Path) -> None:
    if not fabric.is_global_zero:
        return
    state = {"objectives": objectives.state_dict(), "optimiser": optimiser.state_dict(), "step": step}
    write_stream(run / "checkpoint.pt", lambda file: torch.save(state, file))
    objectives.backbone.save(run / "mini.safetensors")


def _keep_config(config: PretrainConfig, path: Path) -> None:
    written = json.loads(json.dumps(asdict(config)))
    if path.is_file() and json.loads(path.read_text()) != written:
        raise ValueError(f"{path}: this run was begun with another configuration; give that, or another folder")
    write_json(path, written)


def _log(row: dict[str, Any], path: Path) -> None:
    with path.open("a") as file:
        file.write(json.dumps({name: round(value, 5) for name, value in row.items()}) + "\n")
