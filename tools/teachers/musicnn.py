"""musicnn: 50 tags and the embedding before them, one patch of 187 frames (2.992 s) after the other.

Paper: Pons and Serra, musicnn: Pre-trained Convolutional Neural Networks for Music Audio Tagging, 2019
https://arxiv.org/abs/1909.06654
Weights: `MSD_musicnn` of the wheel musicnn (ISC), through the package's backbone `musicnn` and its tag layers.
Conventions: the mel frames are those of the whole track, each patch is then answered by itself, as the original does;
what is left behind the last whole patch is not answered. The embedding is the 200 values behind the ReLU.
"""

import tempfile
import zipfile
from pathlib import Path

import torch
from torch.nn import functional

from sordino import load_backbone
from sordino.compute import Compute
from sordino.contracts import Frames
from sordino.registry import find

PATCH_FRAMES, BATCH = 187, 16


class Musicnn:
    """The trunk and its dense layers.

    Args:
        wheel: the wheel's file.
    """

    name = "musicnn"
    licence = "ISC"
    sample_rate_hz = 16_000
    frame_rate_hz = sample_rate_hz / 256 / PATCH_FRAMES
    weights = "musicnn/MSD_musicnn/.data-00000-of-00001"

    def __init__(self, wheel):
        with tempfile.TemporaryDirectory() as folder:
            with zipfile.ZipFile(wheel) as content:
                content.extractall(folder, [name for name in content.namelist() if "/MSD_musicnn/." in name])
            self.trunk = load_backbone("musicnn", weights=Path(folder), variant="msd")
            [head] = find("backbone", "musicnn").own_heads(Path(folder), "msd")
        self.columns = {"tag": list(head.task_config["tags"])}
        self.dense = [(head.tensors[f"mlp.{n}.weight"], head.tensors[f"mlp.{n}.bias"]) for n in (0, 3)]

    @torch.inference_mode()
    def answer(self, waveform):
        """`embedding` [patch 200] and `tag` [patch 50], probabilities; in bfloat16 where that is fast (5 % apart)."""
        mel = self.trunk.extract(torch.from_numpy(waveform)[None])[0]
        patches = mel[: len(mel) // PATCH_FRAMES * PATCH_FRAMES].unflatten(0, (-1, PATCH_FRAMES))
        with Compute.choose("cpu").context():
            last = [self.trunk.encode(Frames(batch))[-1].float() for batch in patches.split(BATCH)]
        pooled = torch.cat([torch.cat([x.mean(1), x.amax(1)], dim=1) for x in last])
        embedding = functional.linear(pooled, *self.dense[0]).relu()
        tags = functional.linear(embedding, *self.dense[1]).sigmoid()
        return {"embedding": embedding.numpy(), "tag": tags.numpy()}
