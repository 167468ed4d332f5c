"""What a step of pretraining costs: CPU seconds of one thread, by size of network, and the convolutions it gained by.

    python benchmarks/pretrain_step.py
    python benchmarks/pretrain_step.py --sizes 4x192x4 6x256x2 --crops 8 --seconds 12

A size is layers x width x width inside the feed-forwards / width. A step here is forward and backward of the network on
noise, without questions and optimiser. The least of `--repeats` is shown; `audio` is seconds of audio for each CPU
second. Other processes on the machine make every figure worse: compare within one run only.
"""

import argparse
import time

import torch
from torch import nn

from sordino.backbones._conformer import ConformerLayer, DepthwiseConv, PointwiseConv
from sordino.backbones._mini_frontend import N_FEATURES
from sordino.backbones._pulse import PulseLayer


def least_cpu_s(call, repeats):
    call()
    found = []
    for _ in range(repeats):
        begun = time.process_time()
        call()
        found.append(time.process_time() - begun)
    return min(found)


def backward_of(call):
    """A call that computes and goes back through the sum of squares."""
    return lambda: call().square().mean().backward()


def encoder_step(size, x, frames):
    n_layers, dim, times = map(int, size.split("x"))
    project, pulse = nn.Linear(N_FEATURES, dim), PulseLayer(dim, 16)
    layers = nn.Sequential(*(Layer(dim, times) for _ in range(n_layers)))
    n_parameters = sum(p.numel() for module in (project, pulse, layers) for p in module.parameters())
    return backward_of(lambda: layers(project(x) + pulse(frames))), n_parameters


class Layer(ConformerLayer):
    """A conformer layer called without a mask."""

    def __init__(self, dim, times):
        super().__init__(dim, max(1, dim // 64), times * dim)

    def forward(self, x):
        return super().forward(x, None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="*", default=["4x128x4", "4x192x4", "6x192x2", "4x256x4", "6x256x4"])
    parser.add_argument("--crops", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x = torch.randn(args.crops, round(25 * args.seconds), N_FEATURES)
    audio_s = args.crops * args.seconds
    print("| network | parameters | CPU s | audio |\n|---|---|---|---|")
    for size in args.sizes:
        step, n_parameters = encoder_step(size, x, x[..., :256])
        cpu_s = least_cpu_s(step, args.repeats)
        print(f"| {size} | {n_parameters / 1e6:.2f} M | {cpu_s:.2f} | {audio_s / cpu_s:.0f}x |", flush=True)
    print("\n| convolution, width 192 | CPU ms | the same of nn.Conv1d, CPU ms | ratio |\n|---|---|---|---|")
    stream = torch.randn(args.crops, x.shape[1], 192, requires_grad=True)
    for name, conv in {"depthwise 31": DepthwiseConv(192, 31), "pointwise": PointwiseConv(192, 384, 1)}.items():
        ours = least_cpu_s(backward_of(lambda conv=conv: conv(stream.transpose(1, 2))), args.repeats)
        usual = least_cpu_s(
            backward_of(lambda conv=conv: nn.Conv1d.forward(conv, stream.transpose(1, 2))), args.repeats
        )
        print(f"| {name} | {1e3 * ours:.1f} | {1e3 * usual:.1f} | {ours / usual:.2f} |", flush=True)


if __name__ == "__main__":
    main()
