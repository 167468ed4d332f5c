"""A small network, trained from scratch on sounds whose answers are known, answers new ones nearly without fault."""

import numpy as np
import pytest
import torch

from sordino.backbones.mini import Mini
from sordino.model import Model
from sordino.petl import make_method
from sordino.tasks import make_task
from tests.known_audio import cadence, click_track, key_label

RATE_HZ = 24_000
HELD_OUT = 5  # every fifth sound is a test


def clicks(rng):
    """Click tracks from 40 to 250 BPM in 3/4 and 4/4."""
    for number, bpm in enumerate(np.geomspace(40, 250, 200)):
        wave, label = click_track(bpm, 3 + number % 2, 10.0, rng.uniform(0.05, 0.4), RATE_HZ)
        yield wave + rng.normal(0, 1e-3, len(wave)), {"tempo": bpm, "beat": label}


def cadences(rng):
    """Cadences in all keys, higher and lower, brighter and darker, in and out of tune."""
    for number in range(192):
        tonic, mode = number % 12, ("major", "minor")[number // 12 % 2]
        tone = {"octave": int(rng.integers(3, 5)), "detune": rng.uniform(-0.2, 0.2)}
        tone["brightness"] = rng.uniform(0.3, 0.8)
        wave, chords = cadence(tonic, mode, rng.uniform(0.7, 1.1), rate_hz=RATE_HZ, **tone)
        yield wave + rng.normal(0, 1e-4, len(wave)), {"key": key_label(tonic, mode), "chord": chords}


def scores_after_training(sounds, tasks, n_steps):
    """Train all tasks at once on four fifths of the sounds, score them on the others."""
    torch.manual_seed(0)
    backbone = Mini(n_layers=2, dim=96, n_heads=2)
    model = Model(backbone, tasks, [make_method("finetune")], {"hidden": 0, "layers": "all"})
    examples = []
    for wave, labels in sounds:
        frames = model.backbone.frontend(torch.as_tensor(wave, dtype=torch.float32)[None]).x[0]
        examples.append((frames, {task.name: task.parse(labels[task.name]) for task in tasks}))
    training = [e for number, e in enumerate(examples) if number % HELD_OUT]
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=n_steps)
    generator = torch.Generator().manual_seed(0)
    model.train()
    for _ in range(n_steps):
        batch = [training[i] for i in torch.randint(len(training), (12,), generator=generator)]
        n_frames = max(len(frames) for frames, _ in batch)
        x = torch.stack([torch.nn.functional.pad(f, (0, 0, 0, n_frames - len(f))) for f, _ in batch])
        mask = torch.stack([torch.arange(n_frames) < len(frames) for frames, _ in batch])
        logits = model({-1: x}, mask)
        losses = []
        for task in tasks:
            target = torch.stack([task.encode(labels[task.name], n_frames, 25.0) for _, labels in batch])
            losses.append(task.loss(logits[task.name], target, mask if task.level == "frame" else None))
        optimiser.zero_grad()
        sum(losses).backward()
        optimiser.step()
        schedule.step()
    model.eval()
    answers = {task.name: [] for task in tasks}
    for frames, _ in examples[::HELD_OUT]:
        with torch.inference_mode():
            logits = model({-1: frames[None]})
        for task in tasks:
            answers[task.name].append(task.decode(task.probabilities(logits[task.name])[0].numpy(), 25.0))
    references = {task.name: [labels[task.name] for _, labels in examples[::HELD_OUT]] for task in tasks}
    return {task.name: task.evaluate(references[task.name], answers[task.name]).metrics for task in tasks}


@pytest.mark.slow
def test_tempo_and_beats_of_click_tracks():
    tasks = [make_task("tempo"), make_task("beat")]
    scores = scores_after_training(clicks(np.random.default_rng(0)), tasks, 400)
    assert scores["tempo"]["accuracy1"] >= 0.95
    assert scores["beat"]["f_measure_full"] >= 0.97 and scores["beat"]["cmlt_full"] >= 0.95
    assert scores["beat"]["downbeat_f_measure_full"] >= 0.9


@pytest.mark.slow
def test_keys_and_chords_of_cadences():
    tasks = [make_task("key"), make_task("chord")]
    scores = scores_after_training(cadences(np.random.default_rng(1)), tasks, 250)
    assert scores["key"]["accuracy"] >= 0.95
    assert scores["chord"]["majmin"] >= 0.93 and scores["chord"]["seg"] >= 0.9
