"""What frozen mini knows: a linear probe on the demo set, beside random weights and plain features.

    python benchmarks/mini_probe.py --out benchmarks/results/mini_probe.md
    python benchmarks/mini_probe.py --silence mel pitch tempogram --no-baselines
    python benchmarks/mini_probe.py --weights runs/a/mini.safetensors runs/b/mini.safetensors --no-baselines

Key, instruments and tempo: one linear layer on the mean over time; beats: one linear layer on each frame, then the
package's beat tracker. Layer and weight decay are chosen on the validation split, the test split is scored once. Three
seeds: of the probe's start and order of clips, and of the random networks. Intervals: 2,000 bootstrap samples of the
test clips (95 %), after the mean over seeds; the last column is the paired difference to the first row of the task.
"""

import argparse
import hashlib
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from sordino import audio, load_backbone, load_dataset, make_task
from sordino.backbones._mini_frontend import FRAME_SAMPLES, MEL_STACK, SAMPLE_RATE_HZ, VIEWS, fold_chroma, lag_bpms
from sordino.contracts import Prediction

FRAME_RATE_HZ = SAMPLE_RATE_HZ / FRAME_SAMPLES
SEEDS = [0, 1, 2]
DECAYS = (0.003, 0.03, 0.3)
N_BOOTSTRAP = 2000
PLAIN = {  # what stands beside the networks: means over time, for beats the frames themselves
    "key": ("chroma", "mel"),
    "tempo": ("tempogram", "mel"),
    "instruments": ("mel", "chroma"),
    "beat": ("mel", "all views"),
}


class Row:
    """One task: how labels become targets, outputs become per-clip scores, and scores one number."""

    def __init__(self, name, tracks):
        self.name, self.tracks = name, tracks
        self.task = make_task({"instruments": "tagging"}.get(name, name))
        self.labels = [track.labels.get(name) for track in tracks]
        known = [label is not None for label in self.labels]
        self.rows = {s: np.array([i for i, t in enumerate(tracks) if t.split == s and known[i]])
                     for s in ("train", "validation", "test")}  # fmt: skip
        self.parsed = [self.task.parse(label) if label is not None else None for label in self.labels]
        self.task.fit([self.parsed[i] for i in self.rows["train"]])

    def targets(self, rows, n_frames):
        if self.name == "tempo":  # classes in equal steps of log tempo, so that few clips suffice
            step = torch.log(lag_bpms()[1] / lag_bpms()[0])
            away = [torch.log(lag_bpms() / self.parsed[i]) / step for i in rows]
            return torch.stack([F.normalize(torch.exp(-0.5 * d**2), p=1, dim=0) for d in away])
        return torch.stack([self.task.encode(self.parsed[i], n_frames, FRAME_RATE_HZ) for i in rows])

    def loss(self, logits, target):
        return F.cross_entropy(logits, target) if self.name == "tempo" else self.task.loss(logits, target)

    def answers(self, logits):
        if self.name == "tempo":
            return [Prediction(float(lag_bpms()[row.argmax()])) for row in logits]
        return [self.task.decode(p, FRAME_RATE_HZ) for p in self.task.probabilities(logits).numpy()]

    def per_clip(self, rows, logits):
        """Metric name to what one clip contributes: a score, or for instruments (target, output) rows."""
        if self.name == "instruments":
            return {"mAP": np.stack([self.targets(rows, 0).numpy(), logits.numpy()], axis=1)}
        scored = [self.task.score(self.parsed[i], a.value) for i, a in zip(rows, self.answers(logits), strict=True)]
        names = {"key": {"weighted": "weighted_score"}, "tempo": {"accuracy 1": "accuracy1", "accuracy 2": "accuracy2"},
                 "beat": {"F1": "f_measure_full"}}[self.name]  # fmt: skip
        return {shown: np.array([row[key] for row in scored]) for shown, key in names.items()}


def summary(values, index=slice(None)):
    """A metric from what the clips contribute."""
    values = values[index]
    return float(np.nanmean(values)) if values.ndim == 1 else macro_map(values[:, 0], values[:, 1])


def macro_map(target, output):
    order = np.argsort(-output, axis=0, kind="stable")
    hits = np.take_along_axis(target, order, axis=0)
    precision = hits.cumsum(0) / np.arange(1, len(hits) + 1)[:, None]
    n = hits.sum(0)
    return float(((precision * hits).sum(0)[n > 0] / n[n > 0]).mean())


def fit(row, x, decay, seed):
    """Train the linear layer on the training clips: Adam, each batch a third of them."""
    rows, steps = row.rows["train"], 100 if x.ndim == 3 else 300
    target = row.targets(rows, x.shape[1] if x.ndim == 3 else 1)
    generator = torch.Generator().manual_seed(seed)
    weight = (0.01 * torch.randn(x.shape[-1], target.shape[-1], generator=generator)).requires_grad_()
    bias = torch.zeros(target.shape[-1], requires_grad=True)
    optimiser = torch.optim.AdamW([weight, bias], lr=0.01, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    source = x[torch.as_tensor(rows)]
    for _ in range(steps):
        chosen = torch.randperm(len(rows), generator=generator)[: max(32, len(rows) // 3)]
        loss = row.loss(source[chosen] @ weight + bias, target[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return lambda rows: (x[torch.as_tensor(rows)] @ weight + bias).detach()


def standardise(x, row):
    train = x[torch.as_tensor(row.rows["train"])].flatten(0, -2)
    return (x - train.mean(0)) / train.std(0).clamp_min(1e-4)


def probe(row, layers, seed):
    """The test clips' contributions for the layer and decay that do best on validation, and that layer's number."""
    best = None
    for number, x in enumerate(layers):
        x = standardise(x, row)
        for decay in DECAYS if x.ndim == 2 else DECAYS[1:2]:  # frames are plenty, clips are few
            outputs = fit(row, x, decay, seed)
            [score, *_] = map(summary, row.per_clip(row.rows["validation"], outputs(row.rows["validation"])).values())
            if best is None or score > best[0]:
                best = (score, number, outputs)
    return row.per_clip(row.rows["test"], best[2](row.rows["test"])), best[1]


def interval(samples):
    return np.percentile(samples, [2.5, 97.5])


def bootstrap(runs, n_clips):
    """Bootstrap samples of the mean over seeds; the same clips for every row of a task."""
    rng = np.random.default_rng(0)
    picks = [rng.integers(n_clips, size=n_clips) for _ in range(N_BOOTSTRAP)]
    return np.array([np.mean([summary(run, pick) for run in runs]) for pick in picks])


def read_views(tracks, frontend):
    clips = [audio.read(track.path, SAMPLE_RATE_HZ) for track in tracks]
    n = min(map(len, clips))
    return torch.cat([frontend(torch.from_numpy(clip[None, :n].copy())) for clip in clips])


@torch.no_grad()
def hidden_states(model, views):
    """[layer][clip frame dim], float32."""
    batches = []
    for batch in views.split(16):
        x = model.embed_features(batch)
        states = [x]
        for layer in model.layers:
            states.append(layer(states[-1], None))
        states[-1] = model.finish(states[-1])
        batches.append(states)
    return [torch.cat(layer) for layer in zip(*batches, strict=True)]


def plain_features(views):
    return {
        "mel": views[..., VIEWS["mel"]].unflatten(-1, (MEL_STACK, -1)).mean(-2),
        "chroma": fold_chroma(views[..., VIEWS["pitch"]]),
        "tempogram": views[..., VIEWS["tempogram"]],
        "all views": views,
    }


class Candidates:
    """Features by name, computed when they are first asked for: finished probes in the cache need none."""

    def __init__(self, tracks, networks, with_plain):
        self.tracks, self.networks, self.with_plain = tracks, networks, with_plain

    @cached_property
    def views(self):
        return read_views(self.tracks, next(iter(self.networks.values()))[0].views)

    @cached_property
    def plain(self):
        return plain_features(self.views)

    @cache  # noqa: B019
    def states(self, name):
        return [hidden_states(model, self.heard(model, name)) for model in self.networks[name]]

    def heard(self, model, name):
        """The views, one of them at its mean where the name says `without`."""
        _, _, view = name.partition(" without ")
        if not view:
            return self.views
        views = self.views.clone()
        views[..., VIEWS[view]] = model.feature_mean[VIEWS[view]]
        return views

    def names(self, task):
        return [*self.networks, *(PLAIN[task] if self.with_plain else ())]

    def nets(self, task, name):
        """For each seed's network its layers: [clip dim], for beats [clip frame dim]."""
        nets = self.states(name) if name in self.networks else [[self.plain[name]]]
        return [[x if task == "beat" else x.mean(1) for x in layers] for layers in nets]

    def key(self, task, name):
        prints = [model.fingerprint() for model in self.networks.get(name, ())]
        data = hashlib.sha256(repr([(t.id, t.labels.get(task)) for t in self.tracks]).encode()).hexdigest()[:8]
        return "-".join([task, name.replace(" ", "_").replace("/", "_"), *prints, data])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", nargs="*", default=["builtin"], help="files, or `builtin`")
    parser.add_argument("--no-baselines", action="store_true", help="neither plain nor random ones")
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="how many of the seeds")
    parser.add_argument("--tasks", nargs="*", default=list(PLAIN))
    parser.add_argument("--silence", nargs="*", default=[], choices=list(VIEWS), help="also without these views")
    parser.add_argument("--cache", type=Path, help="keep finished probes here")
    parser.add_argument("--out", type=Path, help="write the table here too")
    args = parser.parse_args()
    del SEEDS[args.seeds :]
    tracks = load_dataset("demo").tracks()
    networks = {w: [load_backbone("mini", weights=None if w == "builtin" else w)] for w in args.weights}
    for view in args.silence:
        networks |= {f"{w} without {view}": networks[w] for w in args.weights}
    if not args.no_baselines:
        config = next(iter(networks.values()))[0].config
        networks["random weights"] = [load_backbone("mini", weights=f"random:{seed}", **config) for seed in SEEDS]
    candidates = Candidates(tracks, networks, not args.no_baselines)
    lines = [
        "| task | metric | features | layer | test | 95 % | first row minus this |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in args.tasks:
        lines += table(Row(name, tracks), candidates, args.cache)
    print("\n".join(lines))
    if args.out:
        args.out.write_text("\n".join(lines) + "\n")


def probe_all(row, candidates, name, cache_folder):
    """Contributions by metric, a list over seeds, and the layers chosen; from the cache where they are there."""
    file = None if cache_folder is None else cache_folder / (candidates.key(row.name, name) + ".pt")
    if file is not None and file.exists():
        return torch.load(file, weights_only=False)
    nets = candidates.nets(row.name, name)
    runs = [probe(row, nets[seed % len(nets)], seed) for seed in SEEDS]
    found = ({m: [run[0][m] for run in runs] for m in runs[0][0]}, sorted({run[1] for run in runs}), len(nets[0]))
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.save(found, file)
    return found


def table(row, candidates, cache_folder):
    """Lines of one task: every candidate's mean over seeds with its interval and its distance to the first."""
    found = {name: probe_all(row, candidates, name, cache_folder) for name in candidates.names(row.name)}
    lines, n_clips = [], len(row.rows["test"])
    for metric in next(iter(found.values()))[0]:
        first = None
        for name, (runs, layers, n_layers) in found.items():
            samples = bootstrap(runs[metric], n_clips)
            first = samples if first is None else first
            low, high = interval(samples)
            mean = np.mean([summary(run) for run in runs[metric]])
            difference = "" if first is samples else "{:+.3f} to {:+.3f}".format(*interval(first - samples))
            layer = ", ".join(map(str, layers)) if n_layers > 1 else ""
            cells = (row.name, metric, name, layer, f"{mean:.3f}", f"{low:.3f} to {high:.3f}", difference)
            lines.append("| " + " | ".join(cells) + " |")
    return lines


if __name__ == "__main__":
    main()
