"""Genre from each hidden state of a backbone: logistic regression on the mean over time, folds by track.

    python benchmarks/genre_by_state.py FOLDER --backbone musicnn variant=msd

FOLDER holds a folder of sound files for each genre, such as the 100 clips that mirdata knows as version `mini` of
`gtzan_genre`. Beside the states: the slot that each layer of musicnn writes, its tag layers' hidden units (of patches,
as published), and the mel bands' mean and deviation.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sordino import audio, registry
from sordino.backbones import load_backbone
from sordino.config import override
from sordino.heads import Head, HeadConfig

N_FOLDS = 5
SEEDS = (0, 1, 2)
N_PATCH_FRAMES = 187


@torch.no_grad()
def features(backbone, head, waveform):
    """Vectors of one clip by name."""
    states = backbone(waveform[None])
    found = {f"state {number}": state[0].mean(0) for number, state in enumerate(states)}
    for number, (before, state) in enumerate(pairwise(states), start=1):
        new = (state[0] != before[0]).any(0)
        if number > 1 and not new.all():
            found[f"state {number}, what layer {number} wrote"] = state[0][:, new].mean(0)
    found["state 0, mean and deviation"] = torch.cat([states[0][0].mean(0), states[0][0].std(0)])
    if head is not None:
        length = N_PATCH_FRAMES * backbone.hop_samples
        patches = waveform[: len(waveform) // length * length].reshape(-1, length)
        inner = head.mlp[:3](head.pool(backbone(patches)[-1]))
        found["tag layers, hidden units of patches"] = inner.mean(0)
    return {name: value.numpy() for name, value in found.items()}


def accuracy(x, genres, seed):
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    return np.mean(cross_val_predict(model, x, genres, cv=folds) == genres)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backbone", default="musicnn")
    parser.add_argument("options", nargs="*", help="of the backbone, key=value")
    args = parser.parse_intermixed_args()
    options = override({}, args.options)
    backbone = load_backbone(args.backbone, **options)
    own = registry.find("backbone", args.backbone).own_heads(**options) if "random" not in backbone.weights else []
    head = Head(backbone.dim, 50, backbone.n_layers, "clip", HeadConfig(**own[0].head)).eval() if own else None
    if head is not None:
        head.load_state_dict(dict(own[0].tensors))
    paths = sorted(path for path in args.folder.rglob("*") if path.suffix in (".wav", ".flac", ".mp3", ".ogg"))
    genres = np.array([path.parent.name for path in paths])
    rows = [features(backbone, head, torch.from_numpy(audio.read(path, backbone.sample_rate_hz))) for path in paths]
    print(f"{args.backbone}, {backbone.weights}: {len(paths)} clips, {len(set(genres))} genres, {N_FOLDS} folds")
    print("| features | width | accuracy, mean of three shuffles | least | most |\n|---|---:|---:|---:|---:|")
    for name in rows[0]:
        x = np.stack([row[name] for row in rows])
        used = x.std(0) > 0
        scores = [accuracy(x[:, used], genres, seed) for seed in SEEDS]
        print(f"| {name} | {used.sum()} | {np.mean(scores):.3f} | {min(scores):.2f} | {max(scores):.2f} |", flush=True)


if __name__ == "__main__":
    main()
