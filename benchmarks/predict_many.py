"""What many adapters cost beside one, and how much of the time decoding takes.

    OMP_NUM_THREADS=1 python benchmarks/predict_many.py --backbone mini --length-s 10 60
    OMP_NUM_THREADS=1 python benchmarks/predict_many.py --backbone musicfm --probes 1 --length-s 10 --rounds 3
    OMP_NUM_THREADS=1 python benchmarks/predict_many.py --files 200

Adapters are random, for key, on segments of 10 s, on `mini` with its weights or on six layers of MusicFM with random
ones. Rows of one table are measured in turn in one run, the median of `--rounds` is shown in CPU seconds. Three ways:

- together: `Predictor`, decoding included;
- in turn: the frontend once, then each adapter runs the encoder by itself (decoding not included);
- floor: what one frontend and n times an adapter's own layers take (for a probe the layers once), at the speed at which
  one adapter runs them on the same batch: below it only faster layers lead.

`--files` answers noise files of 30 s with one probe on `mini` and tells how much of the main thread's wall time passed
in waiting for sound; the rest is computing. Other processes on the machine make every figure worse.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch

from sordino import audio, inference
from sordino.adapter_file import save_adapter
from sordino.answering import pad
from sordino.backbones import load_backbone
from sordino.model import Model
from sordino.petl import make_method
from sordino.segments import stream
from sordino.tasks import make_task

SEGMENT_S = 10.0
SPECS = {"mini": {"name": "mini"}, "musicfm": {"name": "musicfm", "weights": "random", "depth": 6}}


def noise_file(path, length_s, seed=0):
    """Stereo noise at 44.1 kHz."""
    samples = np.random.default_rng(seed).standard_normal((round(length_s * 44_100), 2))
    soundfile.write(path, 0.1 * samples, 44_100)
    return path


def adapters(folder, backbone, spec, method, n):
    """Random adapters of a method."""
    fingerprint, found = backbone.fingerprint(), []
    for number in range(n):
        model = Model(backbone, [make_task("key")], [make_method(method)], seed=number)
        with torch.no_grad():
            for value in model.attachments.parameters():
                value += 0.01 * torch.randn_like(value)
        found.append(save_adapter(model, folder / f"{method}{number}.adapter", spec, fingerprint, SEGMENT_S))
    return found


class Case:
    """A number of adapters of one method on one file.

    Args:
        folders: the adapters.
        path: the file.
    """

    def __init__(self, folders, path):
        self.path, self.n = path, len(folders)
        self.predictor = inference.Predictor(folders, [str(number) for number in range(self.n)], "cpu")
        (only,) = self.predictor.passes
        self.models, self.backbone = [model for _, model in only.models], only.backbone
        waves = [wave for _, wave in stream([audio.read(path, self.backbone.sample_rate_hz)], only.grid)]
        self.batches = [pad(waves[first : first + 8]) for first in range(0, len(waves), 8)]

    def together(self):
        self.predictor.file(self.path)

    def in_turn(self):
        self._run(self.models, lambda model, frames: model(*model.constant_from(frames)))

    def frontend(self):
        self._run([], None)

    def _run(self, models, work):
        with torch.inference_mode(), self.predictor.compute.context():
            for waveform, n_samples in self.batches:
                frames = self.backbone.frontend(waveform, n_samples)
                for model in models:
                    work(model, frames)


def medians(calls, rounds):
    """CPU seconds of each call, taken in turn."""
    found = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            began = time.process_time()
            call()
            found[name].append(time.process_time() - began)
    return {name: statistics.median(values[1:]) for name, values in found.items()}  # the first round warms up


def table(backbone_name, method, counts, length_s, rounds):
    """One method and one length: 1 adapter and more."""
    spec = SPECS[backbone_name]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folders = adapters(folder, load_backbone(**spec), spec, method, max(counts))
        path = noise_file(folder / "a.wav", length_s)
        cases = {n: Case(folders[:n], path) for n in counts}
        calls = {("frontend", 1): cases[1].frontend}
        for n, case in cases.items():
            calls |= {("together", n): case.together, ("in turn", n): case.in_turn}
        took = medians(calls, rounds)
    frontend_s, layers_s = took["frontend", 1], took["in turn", 1] - took["frontend", 1]
    for n in counts:
        floor_s = frontend_s + (layers_s if method == "probe" else n * layers_s)
        ratios = took["together", n] / took["together", 1], floor_s / (frontend_s + layers_s)
        print(f"| {backbone_name} | {length_s:g} s | {n} {method} | {took['together', n]:.3f} | {ratios[0]:.2f} |"
              f" {took['in turn', n]:.3f} | {floor_s:.3f} | {ratios[1]:.2f} |", flush=True)  # fmt: skip


def share_of_compute(n_files):
    """Answer many files; how long the main thread waited for sound."""
    waited_s = 0.0
    ahead = inference.ahead

    def timed(*args):
        nonlocal waited_s
        items = ahead(*args)
        while True:
            began = time.perf_counter()
            item = next(items, None)
            waited_s += time.perf_counter() - began
            if item is None:
                return
            yield item

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        own = adapters(folder, load_backbone("mini"), SPECS["mini"], "probe", 1)
        paths = [noise_file(folder / f"{number}.flac", 30.0, number) for number in range(n_files)]
        predictor = inference.Predictor(own, device="cpu")
        predictor.file(paths[0])
        inference.ahead = timed
        clocks = (time.perf_counter, time.process_time, time.thread_time)
        began = [clock() for clock in clocks]
        assert all(answer.error is None for answer in predictor.files(paths))
        wall_s, cpu_s, main_s = (clock() - then for clock, then in zip(clocks, began, strict=True))
        inference.ahead = ahead
    print(f"{n_files} files of 30 s: {wall_s:.1f} s, {30 * n_files / wall_s:.0f} x real time; {cpu_s:.1f} CPU s, "
          f"{main_s:.1f} of them in the main thread; it waited {waited_s:.2f} s: "
          f"{1 - waited_s / wall_s:.1%} of its time was computing")  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", choices=SPECS)
    parser.add_argument("--length-s", type=float, nargs="+", default=[10.0, 60.0], help="of the file")
    parser.add_argument("--probes", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--loras", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--files", type=int, help="answer so many files")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    if args.backbone:
        print("| backbone | file | adapters | together | to one | in turn | floor | to one |")
        print("|---|---|---|--:|--:|--:|--:|--:|")
        for length_s in args.length_s:
            for method, counts in (("probe", args.probes), ("lora", args.loras)):
                table(args.backbone, method, sorted({1, *counts}), length_s, args.rounds)
    if args.files:
        share_of_compute(args.files)


if __name__ == "__main__":
    main()
